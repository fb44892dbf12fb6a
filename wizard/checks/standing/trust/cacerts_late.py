"""Does istiod sign for the root that its Secret names?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.answering import controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import runs_istiod
from wizard.checks.standing.restarting import istiod_again, proxies_again
from wizard.checks.standing.roots import (
    DISTRIBUTED,
    apart,
    distributed,
    is_late,
    named,
    plugged_in,
    strangers_to,
    trust_of,
)
from wizard.checks.standing.view import Here
from wizard.messages import msg
from wizard.objects.cacerts import CACERTS
from wizard.text import listing


def find(here: Here) -> Iterable[Fault]:
    if not runs_istiod(here) or not is_late(here):
        return
    wanted = plugged_in(here)
    words = {
        "cluster": here.name,
        "secret": str(CACERTS),
        "now": named(distributed(here)),
        "wanted": named(wanted),
    }
    evidence = (
        msg("{object} in {cluster}: {now}", object=str(DISTRIBUTED), cluster=here.name, now=words["now"]),
        msg("{secret} in {cluster}: {wanted}", secret=str(CACERTS), cluster=here.name, wanted=words["wanted"]),
    )
    breaks = apart(here, strangers_to(here))
    others = [other for other in controls(here) if other is not here]
    against = [other.name for other in others if (trust := trust_of(other)) and not trust.trusted & wanted]
    if against:
        yield Fault(
            msg(
                "{cluster}: {secret} holds another root ({wanted}) than istiod signs for ({now}), and {others} do not "
                "trust it: once istiod starts anew, nothing passes between them",
                **words,
                others=listing(against),
            ),
            str(CACERTS),
            short=msg("root changed"),
            evidence=evidence,
            remedy=msg("Put back the {secret} that was there before istiod starts anew.", secret=str(CACERTS)),
            breaks=breaks,
        )
        return
    yield Fault(
        msg(
            "{cluster}: istiod signs for another root ({now}) than {secret} holds ({wanted}): it was started before that "
            "was there, and takes up no other root while it runs",
            **words,
        ),
        str(CACERTS),
        evidence=evidence,
        remedy=msg("Start istiod of {cluster} anew, and after it the gateways and all workloads:", cluster=here.name),
        commands=(*istiod_again(here), *proxies_again(here)),
        breaks=breaks,
    )


CHECK = Check(
    "cacerts-late",
    "trust",
    "error",
    find,
    short=msg("cacerts came after istiod"),
    title="istiod signs for the root of its Secret cacerts",
    reads="In each cluster with an istiod that is ready, the certificates in ConfigMap `istio-ca-root-cert`, which istiod "
    "writes, against those of `root-cert.pem` in Secret `cacerts`.",
    means="istiod reads `cacerts` when it starts, and takes up no other root while it runs. What it signs until then is of the "
    "former root, often one that it made itself, which the other clusters do not trust. Or the Secret was given a root that "
    "the others do not have, and once istiod starts anew nothing passes between them.",
    arises="`cacerts` was made after istiod, or its root was changed while istiod ran.",
    mend="Where the Secret is right, start istiod anew, then the gateways, then all workloads: each keeps the old root until "
    "then. Where it is not, put the former Secret back first.",
)
