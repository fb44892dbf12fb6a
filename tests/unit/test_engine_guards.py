"""Guards that look, guards that work, and steps that need a person."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.test_engine import Book, Toy, engine_of, in_thread, status_in, until
from wizard.engine.events import Event, PersonNeeded, Status, StepWaits
from wizard.engine.schedule import LANES_PER_CLUSTER
from wizard.engine.step import Difference, Job, Needed, Probe
from wizard.errors import Failed, NeedsPerson, Unreachable
from wizard.world import World


class Trial(Toy):
    """A guard that has to work to find out."""

    def __init__(self, id: str, *needs: str, cluster: str | None = "c") -> None:
        super().__init__(id, *needs, cluster=cluster, guard=True)
        self.leaves = True

    def probe(self, world: World) -> Probe:
        self.log.append("probe")
        return Needed((Difference(self.id, "", "not tried", "tried"),))


class Manual(Toy):
    """Waits for a person until `came` is set."""

    def __init__(self, id: str, *needs: str, cluster: str | None = "c") -> None:
        super().__init__(id, *needs, cluster=cluster)
        self.came = threading.Event()
        self.ended = threading.Event()
        self.work = self._ask

    def _ask(self, job: Job) -> None:
        try:
            job.person("route the\nrange", "on node n1:\n  do \x1b[31mthis", self._look, every=0.01)
        finally:
            self.ended.set()

    def _look(self) -> tuple[bool | None, str]:
        return (True if self.came.is_set() else None), "no way there"


def told(events: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_guard_runs_only_where_what_builds_on_it_needs_work() -> None:
    fresh, old = Toy("fresh-guard", guard=True), Toy("old-guard", guard=True)
    middle, work = Toy("middle", "fresh-guard"), Toy("work", "middle")
    done = Toy("done", "old-guard")
    middle.made = done.made = True
    outcome = engine_of(fresh, old, middle, work, done)[0].run()
    assert outcome.ok
    assert fresh.log == ["probe"], "work builds on it through a step that is done"
    assert old.log == []
    assert outcome.statuses["old-guard"] is Status.DONE


def test_a_guard_is_needed_where_a_look_failed() -> None:
    guard, work = Toy("guard", guard=True), Toy("work", "guard")
    work.look_trouble = Unreachable("silent")
    engine_of(guard, work)[0].run()
    assert guard.log == ["probe"]


def test_a_guard_that_works_passes_when_its_work_returns() -> None:
    trial, work = Trial("trial"), Toy("work", "trial")
    book = Book()
    outcome = engine_of(trial, work, book=book)[0].run()
    assert outcome.ok
    assert trial.log == ["probe", "apply"]
    assert book.lines == [("begin", "trial"), ("done", "trial"), ("begin", "work"), ("done", "work")]


def test_a_guard_that_works_does_not_make_others_look_again() -> None:
    trial = Trial("trial")
    same, work = Toy("same", "trial"), Toy("work", "trial")
    same.made = True
    assert engine_of(trial, same, work)[0].run().ok
    assert same.log == ["probe"]


def test_a_guard_that_works_is_not_run_for_a_finished_mesh() -> None:
    trial, work = Trial("trial"), Toy("work", "trial")
    work.made = True
    book = Book()
    assert engine_of(trial, work, book=book)[0].run().ok
    assert trial.log == []
    assert book.lines == [("done", "work")]


@pytest.mark.parametrize("trouble", [Failed("closed"), NeedsPerson("no image")])
def test_a_guard_blocks_what_builds_on_it_only(trouble: Exception) -> None:
    trial, below, further, beside = Trial("trial"), Toy("below", "trial"), Toy("further", "below"), Toy("beside")
    trial.trouble = trouble
    book = Book()
    outcome = engine_of(trial, below, further, beside, book=book)[0].run()
    assert outcome.statuses["below"] is outcome.statuses["further"] is Status.BLOCKED
    assert outcome.statuses["beside"] is Status.DONE
    assert ("failed", "trial") in book.lines


def test_a_guard_that_failed_is_tried_again() -> None:
    trial, work = Trial("trial"), Toy("work", "trial")
    trial.trouble = Failed("closed")
    engine, events = engine_of(trial, work, linger=True)
    thread, outcomes = in_thread(engine)
    until(lambda: status_in(events, "work") is Status.BLOCKED)
    trial.trouble = None
    engine.controls.retry("trial")
    thread.join(10)
    assert outcomes[0].ok
    assert trial.log.count("apply") == 2


def test_a_guard_that_failed_may_be_skipped() -> None:
    trial, work = Trial("trial"), Toy("work", "trial")
    trial.trouble = NeedsPerson("no image")
    engine, events = engine_of(trial, work, linger=True)
    thread, outcomes = in_thread(engine)
    until(lambda: status_in(events, "work") is Status.BLOCKED)
    engine.controls.skip("trial")
    thread.join(10)
    assert outcomes[0].statuses == {"trial": Status.SKIPPED, "work": Status.DONE}


def test_undo_takes_back_what_a_guard_may_have_left() -> None:
    looks, works = Toy("looks", guard=True), Trial("works", "looks")
    book = Book()
    assert engine_of(looks, works, book=book)[0].undo().ok
    assert works.log == ["undo"]
    assert looks.log == []
    assert book.lines == [("begin", "works"), ("undone", "works")]


def test_unattended_a_person_is_asked_for_with_the_instructions() -> None:
    manual, after, beside = Manual("manual"), Toy("after", "manual"), Toy("beside")
    engine, events = engine_of(manual, after, beside)
    outcome = engine.run()
    assert outcome.exit_code == 3
    assert "manual: route the range" in outcome.what
    assert "on node n1:\n  do \N{REPLACEMENT CHARACTER}[31mthis" in outcome.remedy
    assert outcome.statuses == {"manual": Status.CONFLICT, "after": Status.BLOCKED, "beside": Status.DONE}
    assert not told(events, PersonNeeded)


def test_attended_it_asks_once_and_waits_until_it_is_done() -> None:
    manual, after = Manual("manual"), Toy("after", "manual")
    engine, events = engine_of(manual, after, attended=True)
    thread, outcomes = in_thread(engine)
    until(lambda: len(told(events, StepWaits)) > 3)
    manual.came.set()
    thread.join(10)
    assert outcomes[0].ok
    (asked,) = told(events, PersonNeeded)
    assert (asked.step, asked.cluster, asked.what) == ("manual", "c", "route the range")
    assert "\x1b" not in asked.instructions
    waits = told(events, StepWaits)
    assert {wait.deadline for wait in waits} == {0.0}
    assert waits[0].seen == "no way there"
    assert asked.as_dict()["event"] == "personneeded"


def test_what_needs_no_person_asks_none() -> None:
    manual = Manual("manual")
    manual.came.set()
    engine, events = engine_of(manual, attended=True)
    assert engine.run().ok
    assert not told(events, PersonNeeded)


def waiting(*others: Toy) -> tuple[Any, Manual, list[Event], threading.Thread, list[Any], Book]:
    manual, book = Manual("manual"), Book()
    engine, events = engine_of(manual, *others, attended=True, book=book)
    thread, outcomes = in_thread(engine)
    until(lambda: bool(told(events, PersonNeeded)))
    return engine, manual, events, thread, outcomes, book


@pytest.mark.parametrize("leave", ["drain", "abort"])
def test_a_wait_for_a_person_can_be_left_and_resumed(leave: str) -> None:
    engine, manual, _, thread, outcomes, _ = waiting(Toy("after", "manual"))
    getattr(engine.controls, leave)()
    thread.join(10)
    assert outcomes[0].exit_code == 130
    assert "meshwizard resume m" in outcomes[0].remedy
    assert manual.ended.is_set()


def test_a_wait_for_a_person_can_be_skipped() -> None:
    engine, _, _, thread, outcomes, book = waiting(Toy("after", "manual"))
    engine.controls.skip("manual")
    thread.join(10)
    assert outcomes[0].statuses == {"manual": Status.SKIPPED, "after": Status.DONE}
    assert ("skipped", "manual") in book.lines


def test_those_who_wait_for_a_person_hold_up_nobody() -> None:
    manuals = [Manual(f"manual{index}") for index in range(LANES_PER_CLUSTER + 1)]
    other = Toy("other")
    engine, _ = engine_of(*manuals, other, attended=True)
    thread, outcomes = in_thread(engine)
    until(lambda: other.made)
    for manual in manuals:
        manual.came.set()
    thread.join(10)
    assert outcomes[0].ok


def test_a_look_that_fails_is_what_was_seen() -> None:
    looks: list[Callable[[], tuple[bool | None, str]]] = []

    def silent() -> tuple[bool | None, str]:
        looks.append(silent)
        if len(looks) < 3:
            raise Unreachable("c does not answer")
        return True, ""

    step = Toy("manual")

    def ask(job: Job) -> None:
        job.person("do it", "like this", silent, every=0.01)

    step.work = ask
    engine, events = engine_of(step, attended=True)
    assert engine.run().ok
    assert told(events, StepWaits)[0].seen == "c does not answer"
