"""Runs a plan: looks at everything first, then works in parallel lanes per cluster, and records as it goes.

Two phases. *Look*: every step is probed, in parallel, reading only; where all is done the run ends here, without one
writing request. *Work*: steps run as soon as what they need is done, a bounded number per cluster, so that a slow or
dead cluster holds up nobody else. A failure stops only what depends on it.

The clusters are the truth: a step is applied because its probe says so, never because the state file does. The journal
records `begin` durably before any effect and `end` after it; whatever was left open is simply probed again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Protocol

from wizard.engine.approval import Approval
from wizard.engine.events import FINAL, Event, Paused, PersonNeeded, RunEnded, RunStarted, Status, StepChanged, StepSaid
from wizard.engine.step import Conflict, Done, Job, Needed, Plan, Probe, Shared, Step, World
from wizard.errors import Failed, Interrupted, NeedsPerson, Trouble
from wizard.text import duration, one_line

log = logging.getLogger(__name__)

LANES_PER_CLUSTER = 4
MAX_THREADS = 128
_SATISFIED = frozenset({Status.DONE, Status.SKIPPED})
_BROKEN = frozenset({Status.FAILED, Status.CONFLICT, Status.BLOCKED})


class Journal(Protocol):
    """Where progress is recorded. Both calls are durable when they return; they raise Trouble when they cannot be."""

    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None: ...

    def end(self, step: str, status: str, detail: str = "") -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How a run went. `statuses` holds the last status of every step."""

    ok: bool
    exit_code: int
    what: str
    remedy: str
    statuses: dict[str, Status]


Look = Probe | Trouble


class Engine:
    """One run of one plan. `run` and `undo` block: call them from a thread of your own. Everything else may be called
    from any thread at any time. Events arrive one after the other, from the engine's threads; the listener must not block.
    """

    def __init__(
        self,
        plan: Plan,
        world: World,
        journal: Journal,
        listener: Callable[[Event], None],
        *,
        mesh: str,
        resume: str = "",
        linger: bool = False,
        attended: bool = False,
        approval: Approval | None = None,
        agreed: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`resume`: the command that goes on after a failure. `linger`: after a failure, wait for retry, skip or abort
        instead of ending. `attended`: a person watches, so what only a person can do is waited for. `approval`: what the
        person agreed to; where the first look finds that something else would be done, the run ends before it begins.
        `agreed`: called after that look, before anything is recorded or changed; Trouble of it ends the run, too.
        """
        self._plan = plan
        self._world = world
        self._journal = journal
        self._listener = listener
        self._mesh = mesh
        self._resume = resume
        self._linger = linger
        self._attended = attended
        self._approval = approval
        self._agreed = agreed
        self._refused = False
        self._sleep = sleep
        self._shared = Shared()
        self._changed = threading.Condition()
        self._emitting = threading.Lock()
        self._status: dict[str, Status] = {step.id: Status.WAITING for step in plan.steps}
        self._trouble: dict[str, Trouble] = {}
        self._looked: dict[str, Look] = {}
        self._applied: set[str] = set()
        self._begun: set[str] = set()
        self._busy: dict[str | None, int] = {}
        self._attending: set[str] = set()  # steps that wait for a person
        self._conflicts: set[str] = set()  # as of the last look at who may start
        self._consented: set[str] = set()  # of those, the ones that the person skipped
        self._paused = False
        self._draining = False
        self._aborted = False
        self._fatal: Trouble | None = None
        self._succeeded = False
        self._upstream = _upstream(plan)
        self._dependants = _dependants(plan)

    @property
    def succeeded(self) -> bool:
        """Whether the run that ended did all it set out to do."""
        return self._succeeded

    @property
    def refused(self) -> bool:
        """Whether the run ended before it began, because it was not what was agreed to."""
        return self._refused

    # -- what a front end may do

    def pause(self, paused: bool = True) -> None:
        """Start no further steps until called again with False; what runs goes on."""
        with self._changed:
            self._paused = paused
            self._changed.notify_all()
        self._emit(Paused(paused=paused))

    def retry(self, id: str) -> None:
        """Try a failed step again, and what it blocked. KeyError for an unknown step."""
        with self._changed:
            if self._status[id] in _BROKEN:
                self._looked.pop(id, None)
                self._set_waiting(id)
                for step in self._plan.steps:
                    if self._status[step.id] is Status.BLOCKED:
                        self._set_waiting(step.id)
            self._changed.notify_all()

    def skip(self, id: str) -> None:
        """Count a failed step, or one that waits for a person, as done, because a person said so; what it blocked goes on."""
        with self._changed:
            if id in self._attending:
                self._consented.add(id)
            if self._status[id] in _BROKEN and self._status[id] is not Status.BLOCKED:
                self._finish(self._plan.step(id), Status.SKIPPED, "skipped by you")
                for step in self._plan.steps:
                    if self._status[step.id] is Status.BLOCKED:
                        self._set_waiting(step.id)
            self._changed.notify_all()

    def drain(self) -> None:
        """Start nothing new, let what runs come to its end, then stop. What a first Ctrl-C does."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Stop now: waits end, child processes are ended. What was done stays recorded."""
        with self._changed:
            self._draining = self._aborted = True
            self._changed.notify_all()

    def give_up(self, trouble: Trouble) -> None:
        """Abort because of this trouble, which the run then ends with; nothing more is recorded."""
        with self._changed:
            self._fatal = self._fatal or trouble
            self._draining = self._aborted = True
            self._changed.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether it was told to start nothing new."""
        return self._draining

    def say(self, cluster: str, text: str) -> None:
        """Tell those who watch something of a cluster that is no step's, made printable."""
        self._emit(StepSaid(step="", cluster=cluster, text=one_line(text, 1000)))

    # -- looking

    def look(self) -> dict[str, Look]:
        """Probe every step but the guards, in parallel; changes nothing. A probe that could not be made is its Trouble."""
        with self._pool() as pool:
            return self._look(pool)

    def _look(self, pool: ThreadPoolExecutor) -> dict[str, Look]:
        steps = [step for step in self._plan.steps if not step.guard]
        return {step.id: result for step, result in zip(steps, pool.map(self._look_at, steps), strict=True)}

    def _look_at(self, step: Step) -> Look:
        try:
            return step.probe(self._world)
        except Trouble as trouble:
            return trouble
        except Exception as error:
            log.exception("probe of %s", step.id)
            return _unexpected(error, step.title)

    # -- working

    def run(self) -> Outcome:
        """Make every step done. Returns when nothing more can be done; never raises."""
        began = self._start("apply")
        with self._pool() as pool:
            self._looked = self._look(pool)
            if self._may_begin():
                self._guard()
                self._work(pool, self._apply_ready, self._apply)
        return self._end(began, "apply")

    def _may_begin(self) -> bool:
        try:
            if self._approval:
                self._approval.check(self._plan, self._looked)
            self._agreed()
        except Trouble as trouble:
            with self._changed:
                self._fatal = trouble
                self._refused = True
        return not self._refused

    def undo(self) -> Outcome:
        """Take back every step, in reverse, each after what builds on it. Returns when nothing more can be done."""
        began = self._start("uninstall")
        with self._pool() as pool:
            self._work(pool, self._undo_ready, self._undo)
        return self._end(began, "uninstall")

    def _start(self, operation: str) -> float:
        steps = tuple(step.id for step in self._plan.steps)
        self._emit(RunStarted(mesh=self._mesh, operation=operation, steps=steps, simulated=self._world.simulated))
        for step in self._plan.steps:
            self._emit(StepChanged(step=step.id, cluster=step.cluster, title=step.title, status=Status.WAITING))
        return time.monotonic()

    def _guard(self) -> None:
        """Guards are for work: those on which none builds count as passed, so a finished mesh costs no request."""
        wanting = [id for id, result in self._looked.items() if not isinstance(result, Done)]
        needed = frozenset[str]().union(*(self._upstream[id] for id in wanting))
        for step in self._plan.steps:
            if step.guard and step.id not in needed:
                self._finish(step, Status.DONE, "not needed: nothing to do")

    def _pool(self) -> ThreadPoolExecutor:
        threads = max(1, min(MAX_THREADS, len(self._plan.steps)))
        return ThreadPoolExecutor(max_workers=threads, thread_name_prefix="step")

    def _work(
        self, pool: ThreadPoolExecutor, ready: Callable[[Step], Status | None], act: Callable[[Step], None]
    ) -> None:
        with self._changed:
            while True:
                started = False
                self._conflicts = {id for id, status in self._status.items() if status is Status.CONFLICT}
                for step in self._plan.steps:
                    if self._status[step.id] is not Status.WAITING:
                        continue
                    verdict = ready(step)
                    if verdict is Status.BLOCKED:
                        self._finish(step, Status.BLOCKED, self._why_blocked(step))
                        started = True
                    elif (
                        verdict is Status.PROBING and not self._paused and not self._draining and self._lane_free(step)
                    ):
                        self._busy[step.cluster] = self._busy.get(step.cluster, 0) + 1
                        self._status[step.id] = Status.PROBING
                        pool.submit(self._one, step, act)
                        started = True
                if started:
                    continue
                if not any(self._busy.values()) and not self._attending:
                    waiting = any(status is Status.WAITING for status in self._status.values())
                    if self._draining or self._fatal:
                        return
                    if not waiting and not (
                        self._linger and any(status in _BROKEN for status in self._status.values())
                    ):
                        return
                self._changed.wait()

    def _lane_free(self, step: Step) -> bool:
        return self._busy.get(step.cluster, 0) < LANES_PER_CLUSTER

    def _one(self, step: Step, act: Callable[[Step], None]) -> None:
        began = time.monotonic()
        try:
            act(step)
        except Trouble as trouble:
            self._fail(step, trouble, time.monotonic() - began)
        except Exception as error:  # a mistake of ours must not take the other lanes down
            log.exception("step %s", step.id)
            self._fail(step, _unexpected(error), time.monotonic() - began)
        finally:
            with self._changed:
                if step.id in self._attending:
                    self._attending.discard(step.id)
                    self._consented.discard(step.id)
                else:
                    self._busy[step.cluster] -= 1
                self._changed.notify_all()

    def _apply_ready(self, step: Step) -> Status | None:
        if isinstance(self._looked.get(step.id), Done):
            # Already as wanted, whatever becomes of what it was built from; but looked at again if that changes.
            return None if self._upstream_pending(step) else Status.PROBING
        needs = {self._status[id] for id in step.needs}
        joins = {self._status[id] for id in step.joins}
        if not _BROKEN.isdisjoint(needs | joins):
            return Status.BLOCKED
        if not self._conflicts.isdisjoint(self._upstream[step.id]):
            # What somebody must decide holds back all that would build on it, however far up it stands.
            return Status.BLOCKED
        return Status.PROBING if needs <= _SATISFIED and Status.WAITING not in joins else None

    def _upstream_pending(self, step: Step) -> bool:
        return any(self._status[id] not in FINAL for id in step.needs + step.joins)

    def _apply(self, step: Step) -> None:
        looked = self._looked.pop(step.id, None)
        if isinstance(looked, Done) and not any(id in self._applied for id in step.needs + step.joins):
            self._record_done(step, looked, 0.0)
            return
        began = time.monotonic()
        self._change(step, Status.PROBING)
        probe = step.probe(self._world)
        if self._approval and isinstance(looked, Trouble):
            self._approval.check_step(step, probe)  # it could not be compared before
        if isinstance(probe, Conflict):
            raise NeedsPerson(probe.what, probe.remedy)
        if isinstance(probe, Needed):
            self._change(step, Status.RUNNING, _summary(probe))
            self._begin(step)
            if not step.guard:
                with self._changed:
                    self._applied.add(step.id)
            step.apply(self._world, self._job(step))
            probe = Done() if step.guard else self._settled(step)
        self._record_done(step, probe, time.monotonic() - began)

    def _settled(self, step: Step) -> Done:
        """What a step that was applied looks like now."""
        after = step.probe(self._world)
        if isinstance(after, Conflict):
            raise NeedsPerson(after.what, after.remedy)
        if isinstance(after, Needed):
            raise Failed(f"applied, but still not as wanted: {_summary(after)}", "Somebody else may be changing it.")
        return Done(after.note)  # what there was to hear was told while it worked

    def _begin(self, step: Step, *, undo: bool = False) -> None:
        self._record(lambda: self._journal.begin(step.id, step.inputs(), undo=undo))
        with self._changed:
            self._begun.add(step.id)

    def _recorded(self, step: Step) -> bool:
        """Whether the journal is to hear how this step ended: a guard that only looked is none of its business."""
        return not step.guard or step.id in self._begun

    def _record_done(self, step: Step, done: Done, seconds: float) -> None:
        if self._recorded(step):
            self._record(lambda: self._journal.end(step.id, "done", done.note))
        for event in done.events:
            self._emit(event)
        self._finish(step, Status.DONE, done.note, seconds=seconds)

    def _undo_ready(self, step: Step) -> Status | None:
        dependants = [self._status[id] for id in self._dependants[step.id]]
        if any(status in _BROKEN for status in dependants):
            return Status.BLOCKED
        return Status.PROBING if all(status is Status.UNDONE for status in dependants) else None

    def _undo(self, step: Step) -> None:
        began = time.monotonic()
        if not step.guard or step.leaves:
            self._change(step, Status.UNDOING)
            self._begin(step, undo=True)
            step.undo(self._world, self._job(step))
            self._record(lambda: self._journal.end(step.id, "undone"))
        self._finish(step, Status.UNDONE, seconds=time.monotonic() - began)

    def _job(self, step: Step) -> Job:
        def stopped() -> str | None:
            if self._aborted:
                return "stopped by you"
            for id in step.joins:
                if self._status[id] in _BROKEN:
                    return f"{id} failed"
            return None

        def leaving() -> str | None:
            if step.id in self._consented:
                return "skipped by you"
            return "stopped by you" if self._draining else None

        def emit(event: Event) -> None:
            if isinstance(event, PersonNeeded):
                self._attend(step)
            self._emit(event)

        return Job(step, emit, stopped, self._shared, self._sleep, attended=self._attended, leaving=leaving)

    def _attend(self, step: Step) -> None:
        """A step begins to wait for a person: its cluster's lane is free for others meanwhile."""
        with self._changed:
            if step.id not in self._attending:
                self._attending.add(step.id)
                self._busy[step.cluster] -= 1
                self._changed.notify_all()

    def _record(self, write: Callable[[], None]) -> None:
        """Without a record nothing new may start: what is not written down could not be resumed. Raises Trouble."""
        try:
            write()
        except Trouble as trouble:
            self._cannot_record(trouble)
            raise
        except Exception as error:
            log.exception("recording")
            unexpected = _unexpected(error)
            self._cannot_record(unexpected)
            raise unexpected from error

    def _cannot_record(self, trouble: Trouble) -> None:
        with self._changed:
            self._fatal = self._fatal or trouble
            self._draining = True

    # -- statuses

    def _fail(self, step: Step, trouble: Trouble, seconds: float) -> None:
        if step.id in self._consented:
            status = Status.SKIPPED
        elif isinstance(trouble, Interrupted) and step.id in self._attending and self._draining and not self._aborted:
            status = Status.WAITING  # left, to be gone on with; it did not fail
        elif isinstance(trouble, Interrupted) and not self._aborted:
            status = Status.BLOCKED
        elif isinstance(trouble, NeedsPerson):
            status = Status.CONFLICT
        else:
            status = Status.FAILED
        if self._recorded(step) and self._fatal is None:
            ended = "skipped" if status is Status.SKIPPED else "failed"
            with suppress(Trouble):  # it ends the run
                self._record(lambda: self._journal.end(step.id, ended, one_line(trouble.what)))
        with self._changed:
            self._trouble[step.id] = trouble
        self._finish(step, status, trouble.what, remedy=trouble.remedy, seconds=seconds)

    def _finish(self, step: Step, status: Status, detail: str = "", *, remedy: str = "", seconds: float = 0.0) -> None:
        self._change(step, status, detail, remedy=remedy, seconds=seconds)

    def _set_waiting(self, id: str) -> None:
        self._change(self._plan.step(id), Status.WAITING)

    def _change(self, step: Step, status: Status, detail: str = "", *, remedy: str = "", seconds: float = 0.0) -> None:
        with self._changed:
            self._status[step.id] = status
            self._changed.notify_all()
        self._emit(
            StepChanged(
                step=step.id,
                cluster=step.cluster,
                title=step.title,
                status=status,
                detail=detail,
                remedy=remedy,
                seconds=seconds,
            )
        )

    def _why_blocked(self, step: Step) -> str:
        broken = [id for id in step.needs + step.joins if self._status[id] in _BROKEN]
        broken = broken or [id for id in self._upstream[step.id] if self._status[id] is Status.CONFLICT]
        if not broken:
            broken = [id for id in self._dependants[step.id] if self._status[id] in _BROKEN]
        return f"waits for {', '.join(broken[:3])}"

    def _emit(self, event: Event) -> None:
        with self._emitting:
            match event:
                case StepChanged(status=Status.WAITING):
                    pass
                case StepChanged():
                    log.info("%s: %s %s", event.step, event.status, event.detail)
                case StepSaid():
                    log.info("%s: says %s", event.step or event.cluster, event.text)
            self._listener(event)

    # -- the end

    def _end(self, began: float, operation: str) -> Outcome:
        goal = {Status.UNDONE} if operation == "uninstall" else _SATISFIED
        missing = [step for step in self._plan.steps if self._status[step.id] not in goal]
        seconds = time.monotonic() - began
        if not missing and not self._fatal:
            done = "taken back" if operation == "uninstall" else "done"
            outcome = Outcome(
                True,
                0,
                f"mesh {self._mesh}: all {len(self._plan.steps)} steps {done} in {duration(seconds)}",
                "",
                dict(self._status),
            )
        else:
            outcome = self._unfinished(missing)
        self._succeeded = outcome.ok
        self._emit(
            RunEnded(
                ok=outcome.ok,
                exit_code=outcome.exit_code,
                what=outcome.what,
                remedy=outcome.remedy,
                seconds=seconds,
            )
        )
        return outcome

    def _unfinished(self, missing: Iterable[Step]) -> Outcome:
        missing = list(missing)
        troubles = [
            (step, self._trouble[step.id]) for step in missing if self._status[step.id] in _BROKEN - {Status.BLOCKED}
        ]
        remedies = [trouble.remedy for _, trouble in troubles if trouble.remedy]
        if self._fatal:
            code, what = self._fatal.exit_code, self._fatal.what
            remedies.insert(0, self._fatal.remedy)
        elif troubles and not self._aborted:
            codes = [trouble.exit_code for _, trouble in troubles]
            # One plain failure outweighs what waits for a person, which outweighs missing traffic.
            code = next((code for code in (1, 2, 5, 3, 4) if code in codes), 1)
            what = "; ".join(f"{_at(step)}{step.title}: {trouble.what}" for step, trouble in troubles)
        elif self._draining:
            left = sum(1 for step in missing if self._status[step.id] is not Status.BLOCKED)
            code, what = 130, f"stopped by you; {left} steps are left"
        else:
            code, what = 1, f"{len(missing)} steps could not run"
        # A run that was refused left nothing to go on with.
        go_on = f"Go on with: {self._resume}" if self._resume and not self._refused else ""
        remedy = "\n".join([*dict.fromkeys(remedy for remedy in remedies if remedy), *([go_on] if go_on else [])])
        return Outcome(False, code, what, remedy, dict(self._status))


def _upstream(plan: Plan) -> dict[str, frozenset[str]]:
    """For each step every step it builds on, however indirectly."""
    direct = {step.id: step.needs + step.joins for step in plan.steps}
    # A step may watch one that is typed after it, so the plan's order does not do.
    ordered = TopologicalSorter(direct).static_order()
    found: dict[str, frozenset[str]] = {}
    for id in ordered:
        found[id] = frozenset(direct[id]).union(*(found[each] for each in direct[id]))
    return found


def _dependants(plan: Plan) -> dict[str, list[str]]:
    """For each step those that build directly on it."""
    found: dict[str, list[str]] = {step.id: [] for step in plan.steps}
    for step in plan.steps:
        for id in step.needs + step.joins:
            found[id].append(step.id)
    return found


def _unexpected(error: Exception, where: str = "") -> Failed:
    place = f"{where}: " if where else ""
    return Failed(f"{place}unexpected {type(error).__name__}: {one_line(error)}", "Please report this, with the log.")


def _at(step: Step) -> str:
    return f"{step.cluster}: " if step.cluster else ""


def _summary(probe: Needed) -> str:
    first = "; ".join(str(difference) for difference in probe.differences[:3])
    more = len(probe.differences) - 3
    return one_line(f"{first}; and {more} more" if more > 0 else first)
