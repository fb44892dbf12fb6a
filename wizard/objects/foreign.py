"""What others set on objects that are ours, as the cluster's managed fields tell: looked at before it would be lost, for istioctl
overwrites by force, and what is deleted is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wizard.clusters.kinds import (
    AUTOSCALER,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ENDPOINT_SLICE,
    ENDPOINTS,
    MUTATING_WEBHOOK,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Object,
    ref_of,
)
from wizard.clusters.port import Cluster
from wizard.engine.step import Difference
from wizard.istio.operator import OPERATOR_NAME
from wizard.objects.managers import ISTIOCTL, is_machinery
from wizard.objects.ownership import ISTIO_OWNER, Path, same, show
from wizard.text import one_line

_INSTALLED = (
    DEPLOYMENT, SERVICE, CONFIG_MAP, AUTOSCALER, DISRUPTION_BUDGET, MUTATING_WEBHOOK, VALIDATING_WEBHOOK, ROLE, ROLE_BINDING,
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING, SERVICE_ACCOUNT, ENDPOINTS, ENDPOINT_SLICE,
)  # fmt: skip
# Where a remote's Service istiod leads: Endpoints up to Istio 1.27, an EndpointSlice since. Kubernetes itself makes such for any
# Service, and copies the labels of the Service to them.
_ALSO_OF_KUBERNETES = (ENDPOINTS, ENDPOINT_SLICE)
_CONTENT = frozenset(
    {"spec", "data", "binaryData", "webhooks", "rules", "subjects", "roleRef", "subsets", "endpoints", "ports"}
)
_ABSENT: Any = object()
_REPLICAS = ("f:spec", "f:replicas")


def set_by_others(live: Object) -> list[tuple[Path, str]]:
    """(path, manager) of each field, at the end of its path and in the notation of managed fields, that only others own."""
    entries = live["metadata"].get("managedFields") or []
    known, others = set[Path](), dict[Path, str]()
    for entry in entries:
        leaves = _leaves(entry.get("fieldsV1") or {}, ())
        if is_machinery(entry):
            known.update(leaves)
        else:
            others |= dict.fromkeys(leaves, one_line(entry.get("manager", ""), 60))
    return [(path, manager) for path, manager in others.items() if path not in known]


def installed(cluster: Cluster) -> Iterator[Object]:
    """What an install of ours made and still stands, but for the definitions of kinds."""
    for kind in _INSTALLED:
        for live in cluster.objects(kind, labels=f"{ISTIO_OWNER}={OPERATOR_NAME}"):
            if kind not in _ALSO_OF_KUBERNETES or _is_of_istioctl(live):
                yield live


def overwritten(
    cluster: Cluster, render: Callable[[], Sequence[Object]], told: Callable[[Object, str], bool]
) -> list[Difference]:
    """What an install would overwrite with another value that somebody else set on an object of an earlier install of ours.
    `render`: what the install would apply; asked only where it matters. `told`: whether that field of that object is looked
    after elsewhere.
    """
    found = []
    for live in installed(cluster):
        for path, manager in set_by_others(live):
            # The certificate of a webhook is istiod's business, whoever set it.
            if path[0][2:] in _CONTENT and path[-1] != "f:caBundle" and not told(live, spelled(path)):
                found.append((live, path, manager))
    if not found:
        return []
    rendered = {_address(manifest): manifest for manifest in render()}
    return [
        Difference(str(ref_of(live)), spelled(path), show(now), show(then), manager)
        for live, path, manager in found
        for now, then in [_values(live, rendered.get(_address(live)), path)]
        if then is not _ABSENT and now is not _ABSENT and not same(then, now)
    ]


def spelled(path: Path) -> str:
    """Such a path as differences name fields: `spec.template.spec.containers.discovery.image`."""
    words = []
    for step in path:
        kind, _, name = step.partition(":")
        if kind == "k":
            keys = json.loads(name)
            name = str(keys["name"]) if "name" in keys else ",".join(map(str, keys.values()))
        words.append(name)
    return one_line(".".join(words), 300)


def _is_of_istioctl(live: Object) -> bool:
    return any(entry.get("manager") in ISTIOCTL for entry in live["metadata"].get("managedFields") or [])


def _values(live: Object, wanted: Object | None, path: Path) -> tuple[Any, Any]:
    now = _at(live, path)
    then = _at(wanted, path) if wanted is not None else _ABSENT
    if wanted is not None and then is _ABSENT and path == _REPLICAS:
        then = 1  # what an install counts on where it leaves the number to an autoscaler
    return now, then


def _at(manifest: Object, path: Path) -> Any:
    here: Any = manifest
    for step in path:
        kind, _, name = step.partition(":")
        if kind == "f":
            here = here.get(name, _ABSENT) if isinstance(here, dict) else _ABSENT
        elif kind == "k":
            keys = json.loads(name)
            items = here if isinstance(here, list) else []
            here = next((item for item in items if _has(item, keys)), _ABSENT)
        else:
            here = _ABSENT  # one of a set has no value that could be another
    return here


def _has(item: Any, keys: Object) -> bool:
    # A port's protocol is TCP where nobody says otherwise.
    return isinstance(item, dict) and all(
        item.get(key, "TCP" if key == "protocol" else None) == value for key, value in keys.items()
    )


def _leaves(node: Any, path: Path) -> Iterator[Path]:
    below = {step: child for step, child in node.items() if step != "."} if isinstance(node, dict) else {}
    if not below and path:
        yield path
    for step, child in below.items():
        yield from _leaves(child, (*path, step))


def _address(manifest: Object) -> tuple[str, str, str]:
    metadata = manifest["metadata"]
    return str(manifest.get("kind")), str(metadata.get("namespace", "")), str(metadata.get("name"))
