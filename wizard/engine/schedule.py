"""Which steps may start now, and which never will. It only looks: the engine does what is said here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from wizard.engine.events import FINAL, Status
from wizard.engine.progress import BROKEN, SATISFIED
from wizard.engine.step import Plan, Step
from wizard.messages import msg

LANES_PER_CLUSTER = 4


@dataclass(frozen=True)
class Now:
    """A run at one moment. `done`: steps that the first look found as wanted; `busy`: how many steps of a cluster are at work;
    `holding`: nothing new is to start.
    """

    status: Mapping[str, Status]
    done: Collection[str] = ()
    busy: Mapping[str | None, int] = field(default_factory=dict)
    holding: bool = False


@dataclass(frozen=True)
class Moves:
    """`start`: steps to start, as many as there are lanes for. `blocked`: step → why it will not run as things are."""

    start: tuple[Step, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.start or self.blocked)


class Schedule:
    """The order of one plan, forwards and backwards."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._upstream = _upstream(plan)
        self._dependants = dependants(plan)

    def needed_by(self, ids: Collection[str]) -> frozenset[str]:
        """Every step that these build on, however indirectly."""
        return frozenset[str]().union(*(self._upstream[id] for id in ids))

    def forward(self, now: Now) -> Moves:
        """What to do on the way to a mesh."""
        conflicts = {id for id, status in now.status.items() if status is Status.CONFLICT}
        return self._moves(now, lambda step: self._ahead(step, now, conflicts))

    def backward(self, now: Now) -> Moves:
        """What to do to take it back: each step after what builds on it."""
        return self._moves(now, lambda step: self._back(step, now))

    def _moves(self, now: Now, judge: Callable[[Step], Status | str]) -> Moves:
        busy = dict(now.busy)
        start: list[Step] = []
        blocked: dict[str, str] = {}
        for step in self._plan.steps:
            if now.status[step.id] is not Status.WAITING:
                continue
            verdict = judge(step)
            if not isinstance(verdict, Status):
                blocked[step.id] = verdict
            elif verdict is Status.PROBING and not now.holding and busy.get(step.cluster, 0) < LANES_PER_CLUSTER:
                busy[step.cluster] = busy.get(step.cluster, 0) + 1
                start.append(step)
        return Moves(tuple(start), blocked)

    def _ahead(self, step: Step, now: Now, conflicts: Collection[str]) -> Status | str:
        """PROBING where it may start, WAITING where it must wait; else why it is blocked."""
        before = step.needs + step.joins
        if step.id in now.done:
            # Already as wanted, whatever becomes of what it was built from; but looked at again if that changes.
            return Status.PROBING if all(now.status[id] in FINAL for id in before) else Status.WAITING
        broken = [id for id in before + step.awaits if now.status[id] in BROKEN]
        if not broken and conflicts and not self._upstream[step.id].isdisjoint(conflicts):
            # What somebody must decide holds back all that would build on it, however far up it stands.
            broken = sorted(self._upstream[step.id].intersection(conflicts))
        if broken:
            return _waits_for(broken)
        ready = all(now.status[id] in SATISFIED for id in step.needs)
        joined = all(now.status[id] is not Status.WAITING for id in step.joins)
        return Status.PROBING if ready and joined else Status.WAITING

    def _back(self, step: Step, now: Now) -> Status | str:
        after = self._dependants[step.id]
        broken = [id for id in after if now.status[id] in BROKEN]
        if broken:
            return _waits_for(broken)
        return Status.PROBING if all(now.status[id] is Status.UNDONE for id in after) else Status.WAITING


def _waits_for(ids: list[str]) -> str:
    return msg("waits for {steps}", steps=", ".join(ids[:3]))


def _upstream(plan: Plan) -> dict[str, frozenset[str]]:
    """For each step every step it builds on, however indirectly."""
    direct = {step.id: step.needs + step.joins for step in plan.steps}
    # A step may watch one that is typed after it, so the plan's order does not do.
    ordered = TopologicalSorter(direct).static_order()
    found: dict[str, frozenset[str]] = {}
    for id in ordered:
        found[id] = frozenset(direct[id]).union(*(found[each] for each in direct[id]))
    return found


def dependants(plan: Plan) -> dict[str, list[str]]:
    """For each step those that build directly on it."""
    found: dict[str, list[str]] = {step.id: [] for step in plan.steps}
    for step in plan.steps:
        for id in step.needs + step.joins:
            found[id].append(step.id)
    return found
