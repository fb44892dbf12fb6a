"""Runs a plan: looks at everything first, then works in parallel lanes per cluster, and records as it goes.

Two phases. *Look*: every step is probed, in parallel, reading only; where all is done the run ends here, without one
writing request. *Work*: steps run as soon as what they need is done, a bounded number per cluster, so that a slow or
dead cluster holds up nobody else. A failure stops only what depends on it.

The clusters are the truth: a step is applied because its probe says so, never because the state file does. The journal
records `begin` durably before any effect and `end` after it; whatever was left open is simply probed again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from wizard.engine.approval import Approval
from wizard.engine.controls import Controls
from wizard.engine.events import Event, RunEnded, RunStarted, Status
from wizard.engine.outcome import Outcome, outcome_of
from wizard.engine.progress import BROKEN, SATISFIED, Look, Progress
from wizard.engine.record import Journal, Record, unexpected
from wizard.engine.schedule import Moves, Now, Schedule
from wizard.engine.step import Done, Plan, Step, Surroundings
from wizard.engine.worker import Worker
from wizard.errors import Trouble
from wizard.messages import msg

log = logging.getLogger(__name__)

MAX_THREADS = 128


@dataclass(frozen=True)
class _Direction:
    """Which way a plan is run: the name of it, what every step is to become, who may move, and how one is worked on."""

    operation: str
    goal: frozenset[Status]
    moves: Callable[[Now], Moves]
    act: Callable[[Step], None]


class Engine:
    """One run of one plan. `run` and `undo` block: call them from a thread of your own. `controls` may be used from any thread
    at any time.
    """

    def __init__(
        self,
        plan: Plan,
        world: Surroundings,
        journal: Journal,
        emit: Callable[[Event], None],
        *,
        mesh: str,
        resume: str = "",
        linger: bool = False,
        attended: bool = False,
        approval: Approval | None = None,
        agreed: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`emit`: hears every event, one after the other, from the engine's threads; it must not block (`Delivery.put` does
        not). `resume`: the command that goes on after a failure. `linger`: after a failure, wait for retry, skip or abort
        instead of ending. `attended`: a person watches, so what only a person can do is waited for. `approval`: what the
        person agreed to; where the first look finds that something else would be done, the run ends before it begins.
        `agreed`: called after that look, before anything is recorded or changed; Trouble of it ends the run, too.
        """
        self._plan = plan
        self._world = world
        self._mesh = mesh
        self._resume = resume
        self._linger = linger
        self._approval = approval
        self._agreed = agreed
        self._progress = Progress(plan, emit)
        self.controls = Controls(self._progress)
        record = Record(journal, self.controls.end_with)
        self._worker = Worker(
            world, self._progress, self.controls, record, approval=approval, attended=attended, sleep=sleep
        )
        self._schedule = Schedule(plan)
        self._refused = False
        self._succeeded = False

    @property
    def succeeded(self) -> bool:
        """Whether the run that ended did all it set out to do."""
        return self._succeeded

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
            return unexpected(error, step.title)

    # -- working

    def run(self, operation: str = "apply") -> Outcome:
        """Make every step done. Returns when nothing more can be done; never raises. `operation`: what events call it."""
        forward = _Direction(operation, SATISFIED, self._schedule.forward, self._worker.apply)
        began = self._start(forward)
        with self._pool() as pool:
            looked = self._look(pool)
            with self._progress.changed:
                self._progress.looked = looked
            if self._may_begin(looked):
                self._pass_guards(looked)
                self._work(pool, forward)
        return self._end(forward, began)

    def undo(self, operation: str = "uninstall") -> Outcome:
        """Take back every step, in reverse, each after what builds on it. Returns when nothing more can be done; never raises.
        `operation`: what events call it.
        """
        backward = _Direction(operation, frozenset({Status.UNDONE}), self._schedule.backward, self._worker.undo)
        began = self._start(backward)
        with self._pool() as pool:
            self._work(pool, backward)
        return self._end(backward, began)

    def _start(self, direction: _Direction) -> float:
        steps = tuple(step.id for step in self._plan.steps)
        self._progress.tell(
            RunStarted(mesh=self._mesh, operation=direction.operation, steps=steps, simulated=self._world.simulated)
        )
        self._progress.tell_all()
        return time.monotonic()

    def _end(self, direction: _Direction, began: float) -> Outcome:
        seconds = time.monotonic() - began
        # A run that was refused left nothing to go on with.
        resume = "" if self._refused else self._resume
        outcome = outcome_of(
            self._progress, self.controls, direction.goal, name=self._mesh, resume=resume, seconds=seconds
        )
        outcome = replace(outcome, refused=self._refused)
        self._succeeded = outcome.ok
        self._progress.tell(
            RunEnded(
                ok=outcome.ok,
                exit_code=outcome.exit_code,
                what=outcome.what,
                remedy=outcome.remedy,
                seconds=seconds,
            )
        )
        return outcome

    def _may_begin(self, looked: dict[str, Look]) -> bool:
        try:
            if self._approval:
                self._approval.check(self._plan, looked)
            self._agreed()
        except Trouble as trouble:
            self.controls.end_with(trouble)
            self._refused = True
        return not self._refused

    def _pass_guards(self, looked: dict[str, Look]) -> None:
        """Guards are for work: those on which none builds count as passed, so a finished mesh costs no request."""
        needed = self._schedule.needed_by([id for id, result in looked.items() if not isinstance(result, Done)])
        for step in self._plan.steps:
            if step.guard and step.id not in needed:
                self._progress.change(step, Status.DONE, msg("not needed: nothing to do"))

    def _pool(self) -> ThreadPoolExecutor:
        threads = max(1, min(MAX_THREADS, len(self._plan.steps)))
        return ThreadPoolExecutor(max_workers=threads, thread_name_prefix="step")

    def _work(self, pool: ThreadPoolExecutor, direction: _Direction) -> None:
        with self._progress.changed:
            while True:
                moves = direction.moves(self._now())
                for id, why in moves.blocked.items():
                    self._progress.change(self._plan.step(id), Status.BLOCKED, why)
                for step in moves.start:
                    self._worker.take(step)
                    pool.submit(self._worker.work_on, step, direction.act)
                if moves:
                    continue
                if self._is_over():
                    return
                self._progress.changed.wait()

    def _now(self) -> Now:
        controls = self.controls
        return Now(
            self._progress.status, self._progress.seen_done(), self._worker.busy, controls.paused or controls.draining
        )

    def _is_over(self) -> bool:
        """Whether nothing is at work, and nothing will be."""
        controls, statuses = self.controls, self._progress.status.values()
        if any(self._worker.busy.values()) or controls.attending:
            return False
        if controls.draining:
            return True
        return Status.WAITING not in statuses and not (self._linger and not BROKEN.isdisjoint(statuses))
