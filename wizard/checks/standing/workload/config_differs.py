"""Are the rules for the sample the same in every primary?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wizard.checks.standing.answering import controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.policies import Policy, covers, full_host, near, read, sample_host, shown_by
from wizard.checks.standing.routes import covering
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Ref
from wizard.messages import msg
from wizard.text import listing


def find(here: Here) -> Iterable[Fault]:
    primaries = controls(here)
    if here not in primaries:
        return
    before, after = primaries[: primaries.index(here)], primaries[primaries.index(here) + 1 :]
    for ref, policy in _concerning(here).items():
        if any(ref in _concerning(each) for each in before):
            continue  # told of that one
        others = {each.name: _concerning(each).get(ref) for each in (*before, *after)}
        lacking = [name for name, other in others.items() if other is None]
        differing = [name for name, other in others.items() if other is not None and other.spec != policy.spec]
        if lacking:
            text = msg(
                "{cluster}: {policy} is for the sample, and not in {lacking}: an istiod reads rules in its own cluster only, so "
                "clients there go by others",
                cluster=here.name, policy=policy.told, lacking=listing(lacking),
            )  # fmt: skip
        elif differing:
            text = msg(
                "{cluster}: {policy} is for the sample, and says something else in {differing}",
                cluster=here.name, policy=policy.told, differing=listing(differing),
            )  # fmt: skip
        else:
            continue
        yield Fault(
            text,
            str(ref),
            evidence=(msg("{policy}, read in {clusters}", policy=policy.told, clusters=listing((here.name, *others))),),
            remedy=msg("Apply the same rules to every primary."),
            commands=tuple(shown_by(here.view.at(name), ref) for name in (here.name, *differing)),
        )


def _concerning(control: Here) -> Mapping[Ref, Policy]:
    """The rules of this primary that are for the sample."""

    def found() -> dict[Ref, Policy]:
        host = sample_host(control)
        virtual = [each for each in read(control, VIRTUAL_SERVICE, ("",)) if covering(control, each)]
        rules = [
            each
            for each in near(control, DESTINATION_RULE)
            if covers(full_host(each.spec.get("host") or "", each, control), host)
        ]
        return {each.ref: each for each in (*virtual, *rules)}

    return control.once("rules for the sample", found)


CHECK = Check(
    "config-differs",
    "workload",
    "warning",
    find,
    short=msg("rules differ"),
    title="The rules for the sample are the same in every primary",
    reads="VirtualServices and DestinationRules of every primary whose hosts cover the sample's Service.",
    means="An istiod reads such objects in its own cluster only. A subset or a route that one primary alone has "
    "works for its own clusters' clients, and not for others.",
    arises="A rule was applied to the cluster at hand, and not to the others.",
    mend="Apply every VirtualService and DestinationRule to each primary, best by the same tool.",
    follows=True,
)
