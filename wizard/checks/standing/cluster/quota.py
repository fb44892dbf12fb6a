"""Can the Pods that the mesh needs be made and scheduled?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.view import Here
from wizard.checks.standing.workloads import Lacking, lacking
from wizard.clusters.kinds import Kind, Ref
from wizard.messages import msg
from wizard.text import quoted

_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
_OF_QUOTA = re.compile(r"(?:exceeded|failed) quota: (?P<name>[a-z0-9][a-z0-9.-]{0,252})")


def find(here: Here) -> Iterable[Fault]:
    for each in lacking(here):
        # Webhooks that do not answer and PodSecurity have checks of their own.
        if each.cause.layer not in ("refused", "scheduling") or each.webhook or "PodSecurity" in each.cause.text:
            continue
        ref = each.workload.ref
        tool = f"{here.kubectl} -n {quoted(ref.namespace)}"
        yield Fault(
            msg(
                "{cluster}: {ready} of {wanted} Pods of {object} are Ready: {problem}",
                cluster=here.name,
                ready=each.workload.ready,
                wanted=each.workload.wanted,
                object=str(ref),
                problem=each.cause.text,
            ),
            _mended(each),
            evidence=(
                msg(
                    "the status of {object}, its Pods, and the events in {namespace}",
                    object=str(ref),
                    namespace=ref.namespace,
                ),
            ),
            remedy=each.cause.remedy or msg("Make room for it: more nodes, or smaller requests."),
            commands=(
                f"{tool} describe deployment {quoted(ref.name)}",
                f"{tool} get events --field-selector type=Warning",
            ),
            breaks=each.breaks,
            severity="warning" if each.workload.ready else "error",
        )


def _mended(each: Lacking) -> str:
    """What a person has to change: the quota where one is named, else the Deployment."""
    found = _OF_QUOTA.search(each.cause.text)
    return str(Ref(_QUOTA, found["name"], each.workload.ref.namespace) if found else each.workload.ref)


CHECK = Check(
    "quota",
    "cluster",
    "error",
    find,
    short=msg("no room for Pods"),
    title="The Pods of the mesh can be made and scheduled",
    reads="The Deployments of istiod, of the gateways and of the sample; and where one has not all Pods Ready, its Pods and the "
    "events of its namespace.",
    means="Kubernetes makes no Pod (a quota, a limit, a policy refuses it) or finds no node for it (too little memory or CPU, "
    "taints). Where at least one Pod serves, it is a warning.",
    arises="istiod asks for 500m CPU and 2 GiB by default, a gateway for 100m and 128 MiB; a ResourceQuota without LimitRange "
    "refuses Pods that do not say how much they take.",
    mend="Raise the quota, add a node, tolerate the taint, or lower the requests (`values.pilot.resources.requests`).",
)
