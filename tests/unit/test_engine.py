"""The engine over toy steps: order, lanes, failures, the person's controls, the journal, undo."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.engine.engine import Engine
from wizard.engine.events import Event, RunEnded, Status, StepChanged, StepWaits
from wizard.engine.outcome import Outcome
from wizard.engine.schedule import LANES_PER_CLUSTER
from wizard.engine.step import Conflict, Difference, Done, Job, Kind, Needed, Plan, Probe, Step
from wizard.errors import Failed, NeedsPerson, Unreachable, VerificationFailed
from wizard.world import World

WORLD: Any = World(clusters={}, istioctl=None, roots=None, simulated=True)  # type: ignore[arg-type]


class Toy(Step):
    """Counts what is done to it. `trouble`: raised by apply; cleared by tests to let a retry pass."""

    kind = Kind("toy")

    def __init__(
        self, id: str, *needs: str, cluster: str | None = "c", joins: tuple[str, ...] = (), guard: bool = False
    ):
        super().__init__(id, cluster=cluster, needs=needs, joins=joins)
        self.id = id  # of no shape that the engine could know
        self.guard = guard
        self.made = False
        self.log: list[str] = []
        self.trouble: Exception | None = None
        self.look_trouble: Exception | None = None
        self.conflict: Conflict | None = None
        self.work: Callable[[Job], None] = lambda job: None

    def probe(self, world: World) -> Probe:
        self.log.append("probe")
        if self.look_trouble:
            raise self.look_trouble
        if self.conflict:
            return self.conflict
        return Done() if self.made or self.guard else Needed((Difference(self.id, "", None, "made"),))

    def apply(self, world: World, job: Job) -> None:
        self.log.append("apply")
        self.work(job)
        if self.trouble:
            raise self.trouble
        self.made = True

    def undo(self, world: World, job: Job) -> None:
        self.log.append("undo")
        self.made = False


class Book:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, ...]] = []
        self.trouble: Failed | None = None

    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None:
        if self.trouble:
            raise self.trouble
        self.lines.append(("begin", step))

    def end(self, step: str, status: str, detail: str = "") -> None:
        self.lines.append((status, step))


def engine_of(*steps: Step, book: Book | None = None, **options: Any) -> tuple[Engine, list[Event]]:
    events: list[Event] = []
    engine = Engine(
        Plan(steps), WORLD, book or Book(), events.append, mesh="m", resume="meshwizard resume m", **options
    )
    return engine, events


def status_in(events: list[Event], id: str) -> Status | None:
    """The last status of this step that was told."""
    told = [event.status for event in events if isinstance(event, StepChanged) and event.step == id]
    return told[-1] if told else None


def in_thread(engine: Engine) -> tuple[threading.Thread, list[Outcome]]:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(engine.run()), daemon=True)
    thread.start()
    return thread, outcomes


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def test_steps_run_after_what_they_need_and_are_recorded() -> None:
    a, b = Toy("a"), Toy("b", "a")
    book = Book()
    engine, _ = engine_of(a, b, book=book)
    assert engine.run().ok
    assert book.lines == [("begin", "a"), ("done", "a"), ("begin", "b"), ("done", "b")]
    assert engine.succeeded


@pytest.mark.promise(18)
def test_a_finished_mesh_is_only_looked_at() -> None:
    guard, a = Toy("guard", guard=True), Toy("a", "guard")
    a.made = True
    book = Book()
    engine, _ = engine_of(guard, a, book=book)
    outcome = engine.run()
    assert outcome.ok
    assert guard.log == []
    assert a.log == ["probe"]
    assert ("begin", "a") not in book.lines


def test_guards_run_where_there_is_work_and_stop_it() -> None:
    guard, a = Toy("guard", guard=True), Toy("a", "guard")
    guard.look_trouble = Unreachable("c does not answer", "start it")
    engine, _ = engine_of(guard, a)
    outcome = engine.run()
    assert outcome.exit_code == 1
    assert "c does not answer" in outcome.what
    assert outcome.remedy.splitlines() == ["start it", "Go on with: meshwizard resume m"]
    assert a.log == ["probe"]


@pytest.mark.promise(20)
def test_failure_stops_only_what_depends_on_it() -> None:
    a, b, c = Toy("a", cluster="one"), Toy("b", "a", cluster="one"), Toy("c", cluster="two")
    a.trouble = Failed("no", "do this")
    engine, events = engine_of(a, b, c)
    outcome = engine.run()
    assert outcome.statuses == {"a": Status.FAILED, "b": Status.BLOCKED, "c": Status.DONE}
    assert "one: a: no" in outcome.what
    assert isinstance(events[-1], RunEnded)


def test_what_is_done_already_stays_done_when_its_source_fails() -> None:
    a, b = Toy("a"), Toy("b", "a")
    a.trouble = Failed("no")
    b.made = True
    engine, _ = engine_of(a, b)
    assert engine.run().statuses == {"a": Status.FAILED, "b": Status.DONE}


@pytest.mark.parametrize(
    ("troubles", "code"),
    [
        ([VerificationFailed("silent")], 4),
        ([NeedsPerson("decide")], 3),
        ([NeedsPerson("decide"), VerificationFailed("silent")], 3),
        ([VerificationFailed("silent"), Failed("broken")], 1),
    ],
)
def test_exit_code_is_that_of_the_gravest(troubles: list[Exception], code: int) -> None:
    steps = [Toy(str(index)) for index in range(len(troubles))]
    for step, trouble in zip(steps, troubles, strict=True):
        step.trouble = trouble
    assert engine_of(*steps)[0].run().exit_code == code


def test_a_conflict_is_not_applied() -> None:
    a = Toy("a")
    a.conflict = Conflict("theirs", "ask them")
    outcome = engine_of(a)[0].run()
    assert outcome.exit_code == 3
    assert "apply" not in a.log
    assert outcome.statuses["a"] is Status.CONFLICT


def test_an_unexpected_error_is_one_failed_step() -> None:
    a, b = Toy("a"), Toy("b", cluster="other")
    a.trouble = ZeroDivisionError("ours")
    outcome = engine_of(a, b)[0].run()
    assert outcome.statuses == {"a": Status.FAILED, "b": Status.DONE}
    assert "ZeroDivisionError" in outcome.what


def test_applied_but_not_as_wanted_is_a_failure() -> None:
    class Stubborn(Toy):
        def apply(self, world: World, job: Job) -> None:
            pass

    outcome = engine_of(Stubborn("a"))[0].run()
    assert "still not as wanted" in outcome.what


def test_lanes_are_bounded_and_clusters_do_not_wait_for_each_other() -> None:
    running: dict[str, int] = {}
    most: dict[str, int] = {}
    lock = threading.Lock()
    release = threading.Event()

    def work(cluster: str) -> Callable[[Job], None]:
        def inside(job: Job) -> None:
            with lock:
                running[cluster] = running.get(cluster, 0) + 1
                most[cluster] = max(most.get(cluster, 0), running[cluster])
            if cluster == "slow":
                release.wait(10)
            with lock:
                running[cluster] -= 1

        return inside

    steps = [Toy(f"{cluster}{index}", cluster=cluster) for cluster in ("slow", "quick") for index in range(12)]
    for step in steps:
        step.work = work(str(step.cluster))
    engine, _ = engine_of(*steps)
    thread, outcomes = in_thread(engine)
    until(lambda: all(step.made for step in steps if step.cluster == "quick"))
    until(lambda: running.get("slow", 0) >= LANES_PER_CLUSTER)
    assert not any(step.made for step in steps if step.cluster == "slow")
    release.set()
    thread.join(10)
    assert outcomes[0].ok
    assert most["slow"] == LANES_PER_CLUSTER


def test_a_joined_step_is_watched_while_it_works() -> None:
    install, ready = Toy("install"), Toy("ready", joins=("install",))
    started = threading.Event()
    install.work = lambda job: (started.set(), until(lambda: ready.made))[0]  # type: ignore[func-returns-value]
    ready.work = lambda job: until(started.is_set)
    assert engine_of(install, ready)[0].run().ok


def test_a_step_gives_up_when_the_one_it_joins_fails() -> None:
    install, ready = Toy("install"), Toy("ready", joins=("install",))
    install.trouble = Failed("broken")
    ready.work = lambda job: job.wait("it", lambda: (None, "nothing"), seconds=60, every=0.01)
    outcome = engine_of(install, ready)[0].run()
    assert outcome.statuses == {"install": Status.FAILED, "ready": Status.BLOCKED}
    assert outcome.exit_code == 1


def test_a_step_gives_up_when_one_that_it_awaits_fails() -> None:
    install, secret = Toy("install"), Toy("secret", joins=("install",))
    install.awaits = ("secret",)
    secret.trouble = Failed("not allowed")
    install.work = lambda job: job.wait("its gateway", lambda: (None, "nothing"), seconds=60, every=0.01)
    engine, _ = engine_of(install, secret)
    assert engine.run().statuses == {"install": Status.BLOCKED, "secret": Status.FAILED}
    assert secret.log.count("apply") == 1


def test_a_step_is_taken_back_whatever_becomes_of_the_one_it_joined() -> None:
    install, beside, ready = Toy("install"), Toy("beside", "install"), Toy("ready", joins=("install",))
    failed = threading.Event()

    def broken(step: Step, job: Job) -> None:
        failed.set()
        raise Failed("broken")

    def after_it(step: Step, job: Job) -> None:
        assert failed.wait(10)
        until(lambda: status_in(events, "install") is Status.BLOCKED)
        job.wait("it to go", lambda: (True, ""), seconds=1, every=0.01)

    beside.undo = lambda world, job: broken(beside, job)  # type: ignore[method-assign]
    ready.undo = lambda world, job: after_it(ready, job)  # type: ignore[method-assign]
    engine, events = engine_of(install, beside, ready)
    outcome = engine.undo()
    assert outcome.statuses == {"install": Status.BLOCKED, "beside": Status.FAILED, "ready": Status.UNDONE}


def test_waits_say_what_and_how_long_and_end_with_what_was_seen() -> None:
    a = Toy("a")
    a.work = lambda job: job.wait("the pod", lambda: (None, "Pending"), seconds=0.05, every=0.01, remedy="look at it")
    engine, events = engine_of(a)
    outcome = engine.run()
    waits = [event for event in events if isinstance(event, StepWaits)]
    assert waits
    assert (waits[0].what, waits[0].seen, waits[0].deadline) == ("the pod", "Pending", 0.05)
    assert "the pod: not within 0.1 s; last seen: Pending" in outcome.what
    assert "look at it" in outcome.remedy


@pytest.mark.promise(32)
def test_abort_ends_waits_and_exits_130() -> None:
    a, b = Toy("a"), Toy("b", "a")
    a.work = lambda job: job.wait("it", lambda: (None, ""), seconds=60, every=0.01)
    engine, events = engine_of(a, b)
    thread, outcomes = in_thread(engine)
    until(lambda: any(isinstance(event, StepWaits) for event in events))
    engine.controls.abort()
    thread.join(10)
    assert outcomes[0].exit_code == 130
    assert "meshwizard resume m" in outcomes[0].remedy


@pytest.mark.promise(32)
def test_drain_lets_what_runs_end() -> None:
    a, b = Toy("a"), Toy("b", "a")
    inside, go_on = threading.Event(), threading.Event()
    a.work = lambda job: (inside.set(), go_on.wait(10))[0]  # type: ignore[func-returns-value]
    engine, _ = engine_of(a, b)
    thread, outcomes = in_thread(engine)
    assert inside.wait(10)
    engine.controls.drain()
    go_on.set()
    thread.join(10)
    assert outcomes[0].exit_code == 130
    assert a.made
    assert "apply" not in b.log


def test_pause_starts_nothing_until_it_ends() -> None:
    a = Toy("a")
    engine, _ = engine_of(a)
    engine.controls.pause()
    thread, outcomes = in_thread(engine)
    time.sleep(0.1)
    assert "apply" not in a.log
    engine.controls.pause(False)
    thread.join(10)
    assert outcomes[0].ok


def test_retry_goes_on_where_it_failed() -> None:
    a, b = Toy("a"), Toy("b", "a")
    a.trouble = Failed("not yet")
    engine, events = engine_of(a, b, linger=True)
    thread, outcomes = in_thread(engine)
    until(lambda: any(isinstance(event, StepChanged) and event.status is Status.BLOCKED for event in events))
    a.trouble = None
    engine.controls.retry("a")
    thread.join(10)
    assert outcomes[0].ok


def test_skip_counts_as_done_for_what_follows() -> None:
    a, b = Toy("a"), Toy("b", "a")
    a.trouble = Failed("never")
    engine, events = engine_of(a, b, linger=True)
    thread, outcomes = in_thread(engine)
    until(lambda: any(isinstance(event, StepChanged) and event.status is Status.BLOCKED for event in events))
    engine.controls.skip("a")
    thread.join(10)
    assert outcomes[0].ok
    assert outcomes[0].statuses == {"a": Status.SKIPPED, "b": Status.DONE}


@pytest.mark.promise(15)
def test_without_a_record_nothing_is_applied() -> None:
    a, b = Toy("a"), Toy("b", cluster="other")
    book = Book()
    book.trouble = Failed("the disk is full", "free space")
    outcome = engine_of(a, b, book=book)[0].run()
    assert outcome.exit_code == 1
    assert outcome.what == "the disk is full"
    assert "apply" not in a.log + b.log


@pytest.mark.promise(21)
def test_undo_runs_in_reverse() -> None:
    order: list[str] = []

    class Noted(Toy):
        def undo(self, world: World, job: Job) -> None:
            order.append(self.id)

    engine, _ = engine_of(Noted("a"), Noted("b", "a"), Noted("c", "b", joins=("a",)))
    assert engine.undo().ok
    assert order == ["c", "b", "a"]


@pytest.mark.promise(20)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_plan_ends_with_every_step_accounted_for(data: st.DataObject) -> None:
    """Random plans and failures: each step is done, failed, or blocked by something that failed; never lost."""
    count = data.draw(st.integers(1, 12))
    steps = []
    for index in range(count):
        needs = data.draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        step = Toy(str(index), *map(str, sorted(needs)), cluster=data.draw(st.sampled_from(["x", "y", None])))
        step.made = data.draw(st.booleans())
        step.trouble = Failed("no") if data.draw(st.booleans()) else None
        steps.append(step)
    before = {step.id: step.made for step in steps}
    outcome = engine_of(*steps)[0].run()
    for step in steps:
        status = outcome.statuses[step.id]
        broken_needs = [id for id in step.needs if outcome.statuses[id] in (Status.FAILED, Status.BLOCKED)]
        if status is Status.DONE:
            assert step.made
        elif status is Status.BLOCKED:
            assert broken_needs
            assert not before[step.id]
        else:
            assert status is Status.FAILED
            assert not broken_needs
            assert step.trouble


@pytest.mark.promise(3)
@pytest.mark.parametrize("breaks", ["begin", "end"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_journal_that_breaks_in_whatever_way_ends_the_run_and_hangs_nobody(breaks: str, fails: bool) -> None:
    class Broken(Book):
        def begin(self, step: str, inputs: str, *, undo: bool = False) -> None:
            if breaks == "begin":
                raise PermissionError(13, "Permission denied")

        def end(self, step: str, status: str, detail: str = "") -> None:
            if breaks == "end":
                raise PermissionError(13, "Permission denied")

    a, b = Toy("a"), Toy("b", "a")
    a.trouble = Failed("a broke") if fails else None
    engine, _ = engine_of(a, b, book=Broken(), linger=True)
    thread, outcomes = in_thread(engine)
    thread.join(20)
    assert outcomes, "it hangs"
    assert outcomes[0].exit_code == 1
    assert "unexpected PermissionError" in outcomes[0].what
    assert "meshwizard resume m" in outcomes[0].remedy
    assert b.log == ["probe"]


@pytest.mark.promise(3)
@pytest.mark.parametrize("fails", [False, True])
def test_the_end_of_the_program_while_a_step_is_recorded_ends_the_run(fails: bool) -> None:
    """However the step ended: nobody waits for one whose end could not be told."""

    class Ending(Book):
        def end(self, step: str, status: str, detail: str = "") -> None:
            raise SystemExit

    a, b = Toy("a"), Toy("b", "a")
    a.trouble = Failed("a broke") if fails else None
    engine, _ = engine_of(a, b, book=Ending())
    thread, outcomes = in_thread(engine)
    thread.join(20)
    engine.controls.abort()
    assert outcomes, "it hangs"
    assert outcomes[0].exit_code == 130
    assert b.log == ["probe"]
