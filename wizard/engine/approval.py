"""What a person was shown and agreed to, and whether it is still what would be done.

Of a step counts what it wants (its inputs) and what the look found: done, or each difference. A step that became done meanwhile
is no surprise, nor is one that needs less; anything else is. What follows from work that was agreed to is part of it.

Left out is what changes nothing in a cluster, or comes and goes by itself: guards, steps that only wait, differences that are
`transient` (a Pod that starts).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from wizard.engine.step import Conflict, Difference, Done, Needed, Plan, Probe, Step
from wizard.errors import NeedsPerson, Trouble
from wizard.messages import counted, joined, msg
from wizard.text import listing, one_line

_Look = Probe | Trouble
_SHOWN = 3  # objections in a sentence


class Stale(NeedsPerson):
    """What was agreed to is not what would be done now. Nothing was changed."""


@dataclass(frozen=True)
class Seen:
    """One step as it was shown. `state`: done, needed, conflict, unknown; `digests`: of its differences, or of its conflict."""

    inputs: str
    state: str
    digests: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Approval:
    """What a person agreed to. `again`: how to look again, in a sentence. `state`: names the record of the mesh as it was then,
    None where that does not count; `clusters`: their identities; `leaving`: clusters that were to be taken out of the mesh.
    """

    steps: Mapping[str, Seen]
    again: str
    state: str | None = None
    clusters: Mapping[str, str] = field(default_factory=dict)
    leaving: Collection[str] = ()

    def check_place(self, state: str, clusters: Mapping[str, str], leaving: Collection[str]) -> None:
        """Raises Stale where the record moved on, a name leads to another cluster, or others would leave."""
        if self.state is not None and self.state != state:
            raise self.stale(msg("another run worked on this mesh since"))
        for name, identity in clusters.items():
            if self.clusters.get(name, identity) != identity:
                raise self.stale(msg("{cluster} is another cluster than then", cluster=one_line(name)))
        if set(self.leaving) != set(leaving):
            then, now = (one_line(listing(names) or msg("no cluster")) for names in (self.leaving, leaving))
            raise self.stale(msg("{now} would leave the mesh, and {then} then", now=now, then=then))

    def check(self, plan: Plan, looks: Mapping[str, _Look]) -> None:
        """Raises Stale where a step would now do something else, naming the step and what changed. A look that failed is no
        objection: what it would have shown is compared when the step can be looked at.
        """
        gone = self.steps.keys() - {step.id for step in plan.steps}
        told: list[str] = [msg("step {step} is not in the plan any more", step=one_line(id)) for id in sorted(gone)]
        for step in plan.steps:
            look = looks.get(step.id)
            if look is not None and not isinstance(look, Trouble):
                told += self._objection(step, look)
        if told:
            why, more = joined(told[:_SHOWN], "; "), len(told) - _SHOWN
            if more > 0:
                why = counted("{objections}; and {count} more", "{objections}; and {count} more", more, objections=why)
            raise self.stale(why)

    def check_step(self, step: Step, probe: Probe) -> None:
        """The same for one step, right before it is applied."""
        told = self._objection(step, probe)
        if told:
            raise self.stale(told[0])

    def stale(self, why: str) -> Stale:
        """The refusal, for this reason."""
        return Stale(msg("this is not what was agreed to, so nothing was changed: {reason}", reason=why), self.again)

    def _objection(self, step: Step, look: Probe) -> list[str]:
        if step.guard or step.waits:
            return []
        name = msg("{cluster}: {step}", cluster=step.cluster, step=step.title) if step.cluster else step.title
        seen = self.steps.get(step.id)
        if seen is None:
            return [msg("{step}: was not in the plan then", step=name)]
        if seen.inputs != step.inputs():
            return [msg("{step}: the mesh asks for something else than then", step=name)]
        if isinstance(look, Done):
            return []
        if isinstance(look, Conflict):
            same = seen.state == "conflict" and seen.digests == _digests(look)
            return [] if same else [msg("{step}: in conflict since: {conflict}", step=name, conflict=look.what)]
        new = [each for each in look.differences if not each.transient and _digest(each) not in seen.digests]
        if seen.state in ("done", "needed") and not new:
            return []
        now = joined((each.told for each in (new or look.differences)[:2]), "; ")
        return [_changed(name, seen.state, now)]


def seen(plan: Plan, looks: Mapping[str, _Look]) -> dict[str, Seen]:
    """What these looks showed of this plan."""
    return {step.id: _seen(step, looks[step.id]) for step in plan.steps if step.id in looks}


def _seen(step: Step, look: _Look) -> Seen:
    match look:
        case Done():
            return Seen(step.inputs(), "done")
        case Needed():
            return Seen(step.inputs(), "needed", _digests(look))
        case Conflict():
            return Seen(step.inputs(), "conflict", _digests(look))
        case Trouble():
            return Seen(step.inputs(), "unknown")


def _changed(step: str, state: str, now: str) -> str:
    """That a step of which the look saw that state then would do this now."""
    match state:
        case "done":
            return msg("{step}: was done then, and now {differences}", step=step, differences=now)
        case "needed":
            return msg("{step}: now {differences}", step=step, differences=now)
        case "conflict":
            return msg("{step}: was in conflict then, and now {differences}", step=step, differences=now)
        case _:
            return msg("{step}: was not seen then, and now {differences}", step=step, differences=now)


def _digests(look: Needed | Conflict) -> frozenset[str]:
    if isinstance(look, Conflict):
        return frozenset({_hash(look.what)})
    return frozenset(_digest(each) for each in look.differences if not each.transient)


def _digest(difference: Difference) -> str:
    # Not by whom: who else owns a field is no part of what becomes of it.
    return _hash(repr((difference.object, difference.field, difference.found, difference.wanted)))


def _hash(text: str) -> str:
    # As a string a message is its code with its values, whatever language it is shown in.
    return sha256(text.encode()).hexdigest()[:16]
