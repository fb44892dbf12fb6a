"""What overlays set that our own objects must follow, or cannot: the cluster domain, and which namespaces istiod looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from wizard.clusters.kinds import Object
from wizard.errors import Mistake
from wizard.istio.overlays import operator_in
from wizard.mesh.files import overlay_files
from wizard.mesh.labels import is_domain
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import msg
from wizard.text import one_line

DEFAULT_DOMAIN = "cluster.local"
# In the order in which istioctl lets one win over the other.
_DOMAIN = (("values", "global", "proxy", "clusterDomain"), ("unvalidatedValues", "global", "proxy", "clusterDomain"))
_SELECTORS = (
    ("values", "meshConfig", "discoverySelectors"),
    ("meshConfig", "discoverySelectors"),
    ("unvalidatedValues", "meshConfig", "discoverySelectors"),
)
_LISTED = ("In", "NotIn")

Labels = Mapping[str, str]


def cluster_domain(mesh: Mesh, cluster: Cluster) -> str:
    """The domain of this cluster's Services: `cluster.local`, unless an overlay says another. Asks no cluster."""
    _, found = _set(mesh, cluster, _DOMAIN)
    return str(found) if found else DEFAULT_DOMAIN


def service_hosts(mesh: Mesh, cluster: Cluster) -> str:
    """The hosts of all Services of the mesh, as this control plane's Gateways name them."""
    domain = cluster_domain(mesh, cluster)
    return "*.local" if domain == DEFAULT_DOMAIN else f"*.{domain}"


def domain_mistakes(mesh: Mesh) -> tuple[Mistake, ...]:
    """Where overlays make a cluster domain of what is none, or different ones: every istiod names the Services of all clusters by
    its own, and a gateway passes on only what it knows by that name.
    """
    mistakes: dict[str, Mistake] = {}
    first = mesh.clusters[0]
    for cluster in mesh.clusters:
        place, found = _set(mesh, cluster, _DOMAIN)
        if found and not (isinstance(found, str) and is_domain(found)):
            text = msg("clusterDomain {domain} is no domain", domain=repr(one_line(found, 80)))
            mistakes.setdefault(place, Mistake(place, text))
            continue
        ours, theirs = cluster_domain(mesh, cluster), cluster_domain(mesh, first)
        if ours != theirs:
            place = place or f"clusters[{mesh.clusters.index(cluster)}].overlays"
            text = msg(
                "the cluster domain of {cluster} is {domain}, that of {other} {other_domain}; "
                "in a mesh all must have the same (global.proxy.clusterDomain)",
                cluster=cluster.name,
                domain=one_line(ours, 80),
                other=first.name,
                other_domain=one_line(theirs, 80),
            )
            mistakes.setdefault(place, Mistake(place, text))
    return tuple(mistakes.values())


def unseen_namespaces(mesh: Mesh, labels_of: Callable[[Cluster, str], Labels | None]) -> tuple[Mistake, ...]:
    """Where discoverySelectors of an overlay leave out a namespace that the mesh needs. An istiod asks them of the namespaces of
    every cluster that it reads. `labels_of`: the labels that a namespace of a cluster has or will get, None where that cannot be
    told; asked only where there are such selectors.
    """
    mistakes: dict[tuple[str, str], Mistake] = {}
    for control in mesh.primaries:
        place, selectors = _set(mesh, control, _SELECTORS)
        if not selectors or not isinstance(selectors, list):
            continue
        for cluster in mesh.clusters:
            for namespace in (SYSTEM_NAMESPACE, mesh.verify.namespace):
                labels = labels_of(cluster, namespace)
                if labels is not None and not any(matches(selector, labels) for selector in selectors):
                    text = msg(
                        "discoverySelectors leave out namespace {namespace} of {cluster}, which the mesh needs: select "
                        "kubernetes.io/metadata.name {namespace} too, or label it there as they ask",
                        namespace=namespace,
                        cluster=cluster.name,
                    )
                    mistakes.setdefault((place, namespace), Mistake(place, text))
    return tuple(mistakes.values())


def matches(selector: object, labels: Labels) -> bool:
    """Whether a label selector (matchLabels, matchExpressions) selects these labels; one that is none selects nothing."""
    if not isinstance(selector, dict):
        return False
    wanted = selector.get("matchLabels") or {}
    if not isinstance(wanted, dict) or any(labels.get(str(key)) != value for key, value in wanted.items()):
        return False
    return all(_holds(each, labels) for each in _list(selector.get("matchExpressions")))


def _holds(expression: object, labels: Labels) -> bool:
    if not isinstance(expression, dict):
        return False
    key, operator, values = str(expression.get("key")), expression.get("operator"), _list(expression.get("values"))
    if operator in _LISTED:
        return (labels.get(key) in values if key in labels else False) is (operator == "In")
    return operator in ("Exists", "DoesNotExist") and (key in labels) is (operator == "Exists")


def overlaid(mesh: Mesh, cluster: Cluster, place: str) -> Any:
    """What this cluster's overlays set at this dotted place of `spec`, None where none does."""
    return _set(mesh, cluster, [tuple(place.split("."))])[1]


def _set(mesh: Mesh, cluster: Cluster, places: Iterable[tuple[str, ...]]) -> tuple[str, Any]:
    """(the file's place in the mesh file, the value) that this cluster's overlays set last at one of these places of `spec`; ("",
    None) where none does.
    """
    found: tuple[str, Any] = ("", None)
    files = [(place, _spec(path)) for place, path, clusters in overlay_files(mesh) if cluster in clusters]
    for below in places:
        for place, spec in files:
            value: Any = spec
            for key in below:
                value = value.get(key) if isinstance(value, dict) else None
            found = (place, value) if value is not None else found
    return found


def _spec(path: Path) -> Object:
    try:
        return operator_in(path).get("spec") or {}
    except ValueError:
        return {}  # told elsewhere; where a mesh is taken back it is not needed


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
