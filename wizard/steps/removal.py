"""Takes an Istio that we installed back out of a cluster: just the objects that our IstioOperator owns, and what istiod made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wizard.clusters.kinds import CONFIG_MAP, CRD, DEPLOYMENT, LEASE, POD, SECRET, Kind, Object, Ref, ref_of
from wizard.clusters.port import Cluster
from wizard.engine.step import Job
from wizard.istio.operator import OPERATOR_NAME
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.steps.declared import wait_gone
from wizard.steps.ownership import ISTIO_OWNER, is_ours, label
from wizard.text import listing, one_line

READER_TOKEN = Ref(SECRET, "istio-reader-service-account-istio-remote-secret-token", SYSTEM_NAMESPACE)
_ISTIOD_MANAGERS = ("pilot-discovery",)
_ROOT_COPY = "istio-ca-root-cert"  # istiod writes it into every namespace


def remove_istio(cluster: Cluster, manifest: Sequence[Object], crds_before: set[str], job: Job) -> None:
    """Remove the objects of this manifest where they are ours, then what istiod left. CRDs that were there before us, or
    that hold resources somebody else made, stay, and it says so.
    """
    ours = [ref for ref in _owned(cluster, manifest) if ref.kind is not CRD]
    for ref in reversed(ours):
        job.check()
        cluster.delete(ref)
    wait_gone(cluster, ours, job) if ours else None
    _wait_for_pods(cluster, job)
    cluster.delete(READER_TOKEN)
    if not cluster.objects(DEPLOYMENT, labels="app=istiod"):
        _remove_traces(cluster)
    crds = [ref for ref in _owned(cluster, manifest) if ref.kind is CRD and ref.name not in crds_before]
    kept = [ref for ref in crds if _in_use(cluster, ref)]
    if kept:
        job.say(f"{cluster.name}: these CRDs stay, because they hold resources: {listing(ref.name for ref in kept)}")
    gone = [ref for ref in crds if ref not in kept]
    for ref in gone:
        cluster.delete(ref)
    wait_gone(cluster, gone, job) if gone else None


def _owned(cluster: Cluster, manifest: Sequence[Object]) -> Iterable[Ref]:
    for item in manifest:
        ref = ref_of(item)
        if ref.kind.namespaced and not ref.namespace:
            ref = Ref(ref.kind, ref.name, SYSTEM_NAMESPACE)
        live = cluster.get(ref)
        if live is not None and label(live, ISTIO_OWNER) == OPERATOR_NAME:
            yield ref


def _wait_for_pods(cluster: Cluster, job: Job) -> None:
    """An istiod that still runs would write its ConfigMaps again."""

    def look() -> tuple[bool | None, str]:
        pods = [one_line(pod["metadata"]["name"]) for pod in cluster.objects(POD, SYSTEM_NAMESPACE, "app=istiod")]
        return (None if pods else True), f"still running: {listing(pods)}"

    job.wait("istiod to end", look, seconds=120, every=0.5)


def _remove_traces(cluster: Cluster) -> None:
    for item in cluster.objects(CONFIG_MAP, labels="istio.io/config=true"):
        if item["metadata"]["name"] == _ROOT_COPY:
            cluster.delete(ref_of(item))
    for kind in (CONFIG_MAP, LEASE):
        for item in cluster.objects(kind, SYSTEM_NAMESPACE):
            managers = {entry.get("manager") for entry in item["metadata"].get("managedFields") or []}
            if managers & set(_ISTIOD_MANAGERS) and not is_ours(item):
                cluster.delete(ref_of(item))


def _in_use(cluster: Cluster, ref: Ref) -> bool:
    crd = cluster.get(ref)
    spec = (crd or {}).get("spec") or {}
    version = next((item["name"] for item in spec.get("versions") or [] if item.get("served")), None)
    if version is None:
        return False
    names = spec["names"]
    kind = Kind(f"{spec['group']}/{version}", names["kind"], names["plural"], spec.get("scope") == "Namespaced")
    return any(not is_ours(item) for item in cluster.objects(kind))
