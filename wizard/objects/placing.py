"""Puts objects into a cluster as ours, and takes back what we put there; whatever is not ours stays as it is."""

from __future__ import annotations

import time
from collections.abc import Sequence

from wizard.clusters.kinds import CONFIG_MAP, CRD, NAMESPACE, POD, SECRET, Kind, Object, Ref, ref_of
from wizard.clusters.namespaces import going
from wizard.clusters.patience import FINAL_SECONDS
from wizard.clusters.port import Cluster
from wizard.engine.step import Job
from wizard.errors import Failed, NeedsPerson, Unreachable
from wizard.messages import counted, msg
from wizard.objects.ownership import (
    CREATED,
    ISTIOD_MANAGER,
    LABELS,
    MESH,
    annotation,
    differences,
    is_of,
    is_ours,
    of_another,
)
from wizard.objects.pods import is_going
from wizard.text import listing, one_line

GONE_SECONDS = 180


def put(cluster: Cluster, manifest: Object, mesh: str) -> Object:
    """Apply a manifest as ours. Fields that others own are taken over only on objects that were ours before. NeedsPerson where
    the object is of another mesh.
    """
    live = cluster.get(ref_of(manifest))
    conflict = of_another(cluster.name, live, mesh)
    if conflict:
        raise NeedsPerson(conflict.what, conflict.remedy)
    marked = {**manifest, "metadata": dict(manifest["metadata"])}
    annotations = {**(manifest["metadata"].get("annotations") or {}), MESH: mesh}
    if live is None or annotation(live, CREATED):
        annotations[CREATED] = "true"
        marked["metadata"]["labels"] = {**LABELS, **(manifest["metadata"].get("labels") or {})}
    marked["metadata"]["annotations"] = annotations
    return cluster.apply(marked, force=is_ours(live))


def put_missing(cluster: Cluster, manifest: Object, mesh: str) -> None:
    """`put` where the object is not there or differs: what an interrupted run made already is not written again."""
    if differences("", manifest, cluster.get(ref_of(manifest))):
        put(cluster, manifest, mesh)


def take_back(cluster: Cluster, ref: Ref, mesh: str, job: Job) -> None:
    """Delete the object where this mesh created it; where it only joined in, give up its fields; otherwise leave it alone."""
    live = cluster.get(ref)
    if live is None or not is_of(live, mesh):
        return
    if annotation(live, CREATED):
        if ref.kind is NAMESPACE:
            _must_be_empty(cluster, ref.name, mesh)
        cluster.delete(ref, uid=live["metadata"]["uid"])
        if ref.kind is NAMESPACE:
            wait_gone(cluster, [ref], job)
    else:
        # An apply that names none of our fields gives them all up.
        cluster.apply(
            {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind, "metadata": _address(ref)}, force=True
        )


def await_ended(cluster: Cluster, ref: Ref, job: Job) -> None:
    """Where the object is being deleted, wait until it is gone: what is put into it, or onto it, goes with it."""
    live = cluster.get(ref)
    if live is not None and is_going(live):
        wait_gone(cluster, [ref], job)


def wait_gone(cluster: Cluster, refs: Sequence[Ref], job: Job) -> None:
    """Wait until these objects are gone. Failed after three minutes, naming what is left; sooner, with its own words, where a
    namespace is left that will not go by itself.
    """
    stuck: float | None = None
    remedy: str = msg("Look at its finalizers with kubectl.")

    def look() -> tuple[bool | None, str]:
        nonlocal stuck, remedy
        found = {ref: cluster.get(ref) for ref in refs}
        left = [ref for ref, live in found.items() if live is not None]
        ending = next(filter(None, map(going, found.values())), None)
        stuck = (stuck or time.monotonic()) if ending and ending.stuck else None
        if ending:
            remedy = ending.remedy
            if stuck is not None and time.monotonic() - stuck >= FINAL_SECONDS:
                raise Failed(msg("{cluster}: {problem}", cluster=cluster.name, problem=ending.what), remedy)
        seen = ending.what if ending else msg("still there: {objects}", objects=listing(map(str, left[:5])))
        return (None if left else True), seen

    what = (
        msg("{object} to be gone", object=str(refs[0]))
        if len(refs) == 1
        else counted("{count} object to be gone", "{count} objects to be gone", len(refs))
    )
    try:
        job.wait(what, look, seconds=GONE_SECONDS, every=0.5)
    except Unreachable:
        raise
    except Failed as failure:
        raise Failed(failure.what, remedy) from failure


def _must_be_empty(cluster: Cluster, namespace: str, mesh: str) -> None:
    """A namespace we created may hold what others put there since; deleting it would take that along."""
    foreign = [
        f"{kind.kind} {one_line(item['metadata']['name'])}"
        for kind in (*_TELLING, *_of_istio(cluster))
        for item in _not_everywhere(cluster, kind, namespace)
        if not is_of(item, mesh) and not _follows(item)
    ]
    if foreign:
        raise NeedsPerson(
            msg(
                "{cluster}: namespace {namespace} holds what meshwizard did not make: {objects}",
                cluster=cluster.name,
                namespace=namespace,
                objects=listing(foreign[:5]),
            ),
            msg("Move or delete it, then uninstall again."),
        )


def _follows(item: Object) -> bool:
    """Whether it follows from something else, so that nobody loses it: a Pod of a Deployment, a token of an account, what
    istiod writes.
    """
    metadata = item["metadata"]
    return bool(
        metadata.get("ownerReferences")
        or metadata.get("deletionTimestamp")
        or item.get("type") == "kubernetes.io/service-account-token"
        or any(entry.get("manager") == ISTIOD_MANAGER for entry in metadata.get("managedFields") or [])
    )


def _not_everywhere(cluster: Cluster, kind: Kind, namespace: str) -> list[Object]:
    """What stands in this namespace, but for what something puts into every namespace, such as kube-root-ca.crt."""
    found = cluster.objects(kind, namespace)
    if not found or kind not in _PUT_EVERYWHERE:
        return found
    everywhere = set.intersection(
        *({item["metadata"]["name"] for item in cluster.objects(kind, other)} for other in _ALWAYS_THERE)
    )
    return [item for item in found if item["metadata"]["name"] not in everywhere]


def _of_istio(cluster: Cluster) -> list[Kind]:
    """The namespaced kinds that Istio's CRDs define."""
    return [
        Kind(f"{spec['group']}/{version['name']}", spec["names"]["kind"], spec["names"]["plural"])
        for spec in (item.get("spec") or {} for item in cluster.objects(CRD))
        if str(spec.get("group", "")).endswith("istio.io") and spec.get("scope") == "Namespaced"
        for version in [each for each in spec.get("versions") or [] if each.get("served")][:1]
    ]


_TELLING: tuple[Kind, ...] = (
    Kind("apps/v1", "Deployment", "deployments"),
    Kind("apps/v1", "StatefulSet", "statefulsets"),
    Kind("apps/v1", "DaemonSet", "daemonsets"),
    Kind("batch/v1", "Job", "jobs"),
    Kind("batch/v1", "CronJob", "cronjobs"),
    POD,
    Kind("v1", "Service", "services"),
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    SECRET,
    CONFIG_MAP,
)
_PUT_EVERYWHERE = (SECRET, CONFIG_MAP)
_ALWAYS_THERE = ("default", "kube-system")


def _address(ref: Ref) -> Object:
    return {"name": ref.name} | ({"namespace": ref.namespace} if ref.namespace else {})
