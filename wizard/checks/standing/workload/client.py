"""Does a Pod of the sample's client run, so that somebody can ask?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.samples import (
    bring_back,
    is_running,
    is_wanted,
    mending_step,
    out_and_within,
    pods_of,
    state_of,
)
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DEPLOYMENT, Ref
from wizard.mesh.sample import CLIENT
from wizard.messages import msg


def find(here: Here) -> Iterable[Fault]:
    pods = pods_of(here, CLIENT)
    if any(map(is_running, pods)) or not is_wanted(here):
        return
    ref = Ref(DEPLOYMENT, CLIENT, here.mesh.verify.namespace)
    live = here.get(ref)
    seen = state_of(live, pods)
    yield Fault(
        msg(
            "{cluster}: no Pod of {deployment} runs ({seen}), so nobody can ask from that cluster",
            cluster=here.name, deployment=str(ref), seen=seen,
        ),
        str(ref),
        evidence=(msg("{deployment} in {cluster}: {seen}", deployment=str(ref), cluster=here.name, seen=seen),),
        remedy=msg("See why its Pods do not run; or apply it again."),
        commands=(bring_back(here, ref, live, CLIENT),),
        step=mending_step(here),
        breaks=out_and_within(here.view, here.name),
        # A mesh of others may be asked from another client; that this one is missing says nothing about the mesh.
        severity="unsure" if here.view.inferred else None,
    )  # fmt: skip


CHECK = Check(
    "client",
    "workload",
    "error",
    find,
    short=msg("no client Pod"),
    title="A Pod of the sample's client runs in every cluster",
    reads="Deployment `curl` in the sample's namespace of every cluster, and its Pods.",
    means="Nobody asks from that cluster, so its traffic is not proven. The mesh itself may be well.",
    arises="The Deployment was scaled to 0 or deleted, its image cannot be pulled, or a quota or a policy refuses "
    "its Pods.",
    mend="`kubectl describe` of the Deployment and its Pods says why; `meshwizard apply` puts the sample back.",
)
