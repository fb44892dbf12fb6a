"""Is it another cluster than the others of the mesh?"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.view import Here
from wizard.clusters.typed import kubectl
from wizard.messages import msg
from wizard.text import one_line


def find(here: Here) -> Iterable[Fault]:
    for other in answering(takewhile(lambda each: each is not here, here.view.all)):
        if other.identity() != here.identity():
            continue
        yield Fault(
            msg(
                "{one} and {other} are one cluster under two contexts, so there is nothing between them to hear from",
                one=other.name,
                other=here.name,
            ),
            msg("context {context}", context=one_line(here.member.context)),
            evidence=(msg("the UID of namespace kube-system: {uid}", uid=one_line(here.identity())),),
            remedy=msg("Take one of them out of the mesh, or give it the context of the cluster that is meant."),
            commands=tuple(
                f"{tool} get namespace kube-system -o jsonpath='{{.metadata.uid}}'"
                for tool in (kubectl(other.member), here.kubectl)
            ),
            breaks=((other.name, here.name), (here.name, other.name)),
        )


CHECK = Check(
    "same-cluster",
    "cluster",
    "error",
    find,
    short=msg("one cluster twice"),
    title="Each context leads to a cluster of its own",
    reads="The UID of namespace `kube-system` through each context.",
    means="Two members of the mesh are the same cluster: the second was installed over the first, and no traffic can go between "
    "them.",
    arises="A kubeconfig that was copied and changed only in part, or a context whose server was moved.",
    mend="Take one of the two out of the mesh, or correct its context.",
)
