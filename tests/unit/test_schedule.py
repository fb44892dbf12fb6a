"""Which steps may start: any plan, any course of events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_engine import Toy
from wizard.engine.events import FINAL, Status
from wizard.engine.progress import BROKEN, SATISFIED
from wizard.engine.schedule import LANES_PER_CLUSTER, Now, Schedule, dependants
from wizard.engine.step import Plan

CLUSTERS = ["x", "y", None]


@st.composite
def plans(draw: Any) -> Plan:
    steps: list[Toy] = []
    for index in range(draw(st.integers(1, 14))):
        before = st.sets(st.integers(0, index - 1), max_size=3) if index else st.just(set[int]())
        needs, joins = draw(before), draw(before)
        steps.append(
            Toy(
                str(index),
                *map(str, sorted(needs)),
                cluster=draw(st.sampled_from(CLUSTERS)),
                joins=tuple(map(str, sorted(joins - needs))),
            )
        )
    return Plan(tuple(steps))


class Course:
    """A run by hand: what the schedule starts is at work until it is ended here."""

    def __init__(self, plan: Plan, done: set[str], *, back: bool = False) -> None:
        self.plan = plan
        self.done = done
        self.schedule = Schedule(plan)
        self.moves = self.schedule.backward if back else self.schedule.forward
        self.status = {step.id: Status.WAITING for step in plan.steps}
        self.busy: dict[str | None, int] = {}

    @property
    def working(self) -> list[str]:
        return [id for id, status in self.status.items() if status is Status.PROBING]

    def move(self, *, holding: bool = False) -> bool:
        moves = self.moves(Now(dict(self.status), self.done, dict(self.busy), holding))
        for id in moves.blocked:
            assert self.status[id] is Status.WAITING
            self.status[id] = Status.BLOCKED
        for step in moves.start:
            assert not holding
            assert self.status[step.id] is Status.WAITING
            self.status[step.id] = Status.PROBING
            self.busy[step.cluster] = self.busy.get(step.cluster, 0) + 1
            assert self.busy[step.cluster] <= LANES_PER_CLUSTER
        return bool(moves)

    def end(self, id: str, status: Status) -> None:
        self.status[id] = status
        self.busy[self.plan.step(id).cluster] -= 1


@pytest.mark.promise(20)
@settings(max_examples=200, deadline=None)
@given(st.data(), plans())
def test_forwards_every_step_comes_to_its_end_and_none_before_what_it_needs(data: st.DataObject, plan: Plan) -> None:
    done = data.draw(st.sets(st.sampled_from([step.id for step in plan.steps])))
    course = Course(plan, done)
    while course.move() or course.working:
        for id in course.working:
            needs = {course.status[each] for each in plan.step(id).needs}
            assert needs <= SATISFIED or (id in done and needs <= FINAL)
        if course.working:
            ended = data.draw(st.sampled_from([Status.DONE, Status.FAILED, Status.CONFLICT, Status.SKIPPED]))
            course.end(data.draw(st.sampled_from(course.working)), ended)
    for step in plan.steps:
        assert course.status[step.id] in FINAL
        if course.status[step.id] is Status.BLOCKED:
            above = course.schedule.needed_by([step.id])
            assert any(course.status[id] in (Status.FAILED, Status.CONFLICT) for id in above)


@pytest.mark.promise(21)
@settings(max_examples=100, deadline=None)
@given(st.data(), plans())
def test_backwards_no_step_is_taken_back_before_what_builds_on_it(data: st.DataObject, plan: Plan) -> None:
    course, after = Course(plan, set(), back=True), dependants(plan)
    while course.move() or course.working:
        for id in course.working:
            assert all(course.status[each] is Status.UNDONE for each in after[id])
        if course.working:
            ended = data.draw(st.sampled_from([Status.UNDONE, Status.FAILED]))
            course.end(data.draw(st.sampled_from(course.working)), ended)
    for step in plan.steps:
        blocked = course.status[step.id] is Status.BLOCKED
        assert blocked == any(course.status[each] in BROKEN for each in after[step.id])


@settings(max_examples=50, deadline=None)
@given(plans())
def test_while_it_is_held_nothing_starts(plan: Plan) -> None:
    assert not Course(plan, set()).move(holding=True)


def test_a_step_does_not_begin_where_one_that_it_awaits_cannot() -> None:
    install, secret = Toy("install"), Toy("secret", joins=("install",))
    install.awaits = ("secret",)
    course = Course(Plan((install, secret)), set())
    course.status["secret"] = Status.FAILED
    assert course.move()
    assert course.status["install"] is Status.BLOCKED
    course.status |= {"secret": Status.WAITING, "install": Status.WAITING}  # as after a retry
    assert course.move()
    assert course.status["install"] is Status.PROBING
