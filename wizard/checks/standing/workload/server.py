"""Does a Pod of the sample's server run in every cluster?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.samples import bring_back, is_wanted, mending_step, pods_of, state_of, within
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DEPLOYMENT, Ref
from wizard.mesh.sample import SERVICE
from wizard.messages import msg
from wizard.objects.pods import is_pod_of, is_ready


def find(here: Here) -> Iterable[Fault]:
    mesh = here.mesh
    ref = Ref(DEPLOYMENT, f"{SERVICE}-{mesh.sample_version(here.name)}", mesh.verify.namespace)
    pods = pods_of(here, SERVICE)
    if not here.view.inferred:
        pods = [pod for pod in pods if is_pod_of(pod, ref.name)]
    if any(map(is_ready, pods)) or not is_wanted(here):
        return
    live = here.get(ref)
    seen = state_of(live, pods)
    yield Fault(
        msg(
            "{cluster}: no Pod of {deployment} is Ready ({seen}), so nobody gets an answer of that cluster",
            cluster=here.name, deployment=str(ref), seen=seen,
        ),
        str(ref),
        evidence=(msg("{deployment} in {cluster}: {seen}", deployment=str(ref), cluster=here.name, seen=seen),),
        remedy=msg("See why its Pods do not run; or apply it again."),
        commands=(bring_back(here, ref, live, SERVICE),),
        step=mending_step(here),
        breaks=within(here.view, here.name),
    )  # fmt: skip


CHECK = Check(
    "server",
    "workload",
    "error",
    find,
    short=msg("no server Pod"),
    title="A Pod of the sample's server is Ready in every cluster",
    reads="The Deployment of helloworld in the sample's namespace of every cluster, and its Pods.",
    means="There is nobody in that cluster who could answer: istiod gives out only endpoints that are Ready.",
    arises="The Deployment was scaled to 0 or deleted, its image cannot be pulled, a quota or a policy refuses its "
    "Pods, or no node has room for them.",
    mend="`kubectl describe` of the Deployment and its Pods says why; `meshwizard apply` puts the sample back.",
)
