"""Takes an Istio that we installed back out of a cluster: the objects that our IstioOperator owns, and what istiod made.

istioctl marks all it makes, also what it makes beside the manifest (the default revision's tag), with the owner's name; but for
its own record of the install, which it keeps in the cluster up to Istio 1.23.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ISTIO_OPERATOR,
    KINDS,
    LEASE,
    POD,
    SECRET,
    Kind,
    Object,
    Ref,
    ref_of,
)
from wizard.clusters.port import Cluster, Outdated
from wizard.engine.step import Job
from wizard.istio.operator import OPERATOR_NAME
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects.before import Before
from wizard.objects.ownership import ISTIO_OWNER, ISTIOD_MANAGER, is_ours, label
from wizard.objects.placing import wait_gone
from wizard.text import listing, one_line

READER_TOKEN = Ref(SECRET, "istio-reader-service-account-istio-remote-secret-token", SYSTEM_NAMESPACE)
ENDING_SECONDS = 120
_EVERYWHERE = "istio.io/config=true"  # on what an istiod writes into every namespace


def stands(cluster: Cluster) -> bool:
    """Whether anything that our IstioOperator owns is in the cluster, CRDs left out."""
    return any(ref_of(item).kind != CRD for item in owned(cluster))


def remove_istio(cluster: Cluster, before: Before, job: Job) -> None:
    """Remove what our IstioOperator owns, then what istiod left. What was there before us stays and is given back; CRDs that
    hold resources somebody else made stay, too, and it says so.
    """
    ours = [item for item in owned(cluster) if not before.holds(item)]
    crds = [item for item in ours if ref_of(item).kind == CRD]
    _remove(cluster, [item for item in ours if item not in crds], job)
    token = cluster.get(READER_TOKEN)
    if token is not None and not before.holds(token):
        cluster.delete(READER_TOKEN, uid=token["metadata"]["uid"])
    remove_traces(cluster, job)
    kept = [item for item in crds if _in_use(cluster, ref_of(item))]
    if kept:
        names = listing(one_line(item["metadata"]["name"]) for item in kept)
        job.say(
            msg("{cluster}: these CRDs stay, because they hold resources: {names}", cluster=cluster.name, names=names)
        )
    _remove(cluster, [item for item in crds if item not in kept], job)
    for entry in before.entries.values():
        job.check()
        entry.give_back(cluster)


def owned(cluster: Cluster) -> list[Object]:
    """Every object of a kind that istioctl makes which carries our IstioOperator's name, and istioctl's own records of its
    installs; webhooks first, since they call into what goes away.
    """
    found = [item for kind in KINDS for item in cluster.objects(kind, labels=f"{ISTIO_OWNER}={OPERATOR_NAME}")]
    found += [item for item in cluster.objects(ISTIO_OPERATOR, SYSTEM_NAMESPACE) if _is_record(item)]
    return sorted(found, key=lambda item: "webhook" not in ref_of(item).kind.plural)


def _is_record(operator: Object) -> bool:
    """Whether istioctl wrote this IstioOperator for an install of ours: named for its operator and its revision."""
    revision = (operator.get("spec") or {}).get("revision")
    name = "-".join(["installed-state", OPERATOR_NAME, *([str(revision)] if revision else [])])
    return bool(operator["metadata"]["name"] == name)


def _remove(cluster: Cluster, items: Sequence[Object], job: Job) -> None:
    for item in items:
        job.check()
        cluster.delete(ref_of(item), uid=item["metadata"]["uid"])
    if items:
        wait_gone(cluster, [ref_of(item) for item in items], job)


def _wait_for_pods(cluster: Cluster, job: Job) -> None:
    """An istiod that still runs would write its ConfigMaps again."""

    def look() -> tuple[bool | None, str]:
        pods = [one_line(pod["metadata"]["name"]) for pod in cluster.objects(POD, SYSTEM_NAMESPACE, "app=istiod")]
        return (None if pods else True), msg("still running: {pods}", pods=listing(pods))

    job.wait(msg("istiod to end"), look, seconds=ENDING_SECONDS, every=0.5)


def remove_traces(cluster: Cluster, job: Job) -> None:
    """ConfigMaps that an istiod wrote into every namespace, and what it used to elect a leader; none of it where an istiod is
    left beside ours, and only the latter where one is left in another namespace. A primary that was just told to forget this
    cluster may write them once more: they are gone when two looks in a row found none.
    """
    left = {item["metadata"].get("namespace") for item in cluster.objects(DEPLOYMENT, labels="app=istiod")}
    if SYSTEM_NAMESPACE in left:
        return
    _wait_for_pods(cluster, job)
    clean = 0

    def look() -> tuple[bool | None, str]:
        nonlocal clean
        traces = _traces(cluster, everywhere=not left)
        for item in traces:
            with suppress(Outdated):  # written once more: the next look sees it
                cluster.delete(ref_of(item), uid=item["metadata"]["uid"])
        clean = 0 if traces else clean + 1
        return (True if clean > 1 else None), listing(str(ref_of(item)) for item in traces[:5])

    job.wait(msg("what istiod wrote to be gone"), look, seconds=ENDING_SECONDS, every=0.7)


def _traces(cluster: Cluster, *, everywhere: bool) -> list[Object]:
    written = cluster.objects(CONFIG_MAP, labels=_EVERYWHERE) if everywhere else []
    for kind in (CONFIG_MAP, LEASE):
        written += cluster.objects(kind, SYSTEM_NAMESPACE, "" if everywhere else f"!{_EVERYWHERE.partition('=')[0]}")
    found = {
        ref_of(item): item
        for item in written
        if not is_ours(item)
        and any(entry.get("manager") == ISTIOD_MANAGER for entry in item["metadata"].get("managedFields") or [])
    }
    return list(found.values())


def _in_use(cluster: Cluster, ref: Ref) -> bool:
    spec = (cluster.get(ref) or {}).get("spec") or {}
    version = next((item["name"] for item in spec.get("versions") or [] if item.get("served")), None)
    return version is not None and any(
        not _made_by_us(item)
        for item in cluster.objects(Kind(f"{spec['group']}/{version}", spec["names"]["kind"], spec["names"]["plural"]))
    )


def _made_by_us(item: Object) -> bool:
    return is_ours(item) or label(item, ISTIO_OWNER) == OPERATOR_NAME
