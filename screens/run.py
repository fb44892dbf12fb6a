"""The run that the app owns: a thread with the engine, and the picture of it that the screens render.

The thread outlives every screen. Events wait in a queue until the app drains it, some fifteen times a second, so that
five hundred lines a second cost fifteen updates.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from wizard import kinds
from wizard.answered import Answered
from wizard.board import Board
from wizard.checks.explained import Explained
from wizard.checks.finding import Finding
from wizard.console.report import TRAIL
from wizard.engine.approval import Stale
from wizard.engine.events import (
    Event,
    Paused,
    PersonNeeded,
    RunEnded,
    RunStarted,
    Status,
    StepChanged,
    StepEvent,
    StepSaid,
    StepWaits,
)
from wizard.errors import Trouble
from wizard.messages import msg
from wizard.operations.working import working
from wizard.text import one_line

if TYPE_CHECKING:
    from wizard.engine.engine import Engine
    from wizard.operations.operation import Operation

log = logging.getLogger(__name__)

BROKEN = frozenset({Status.FAILED, Status.CONFLICT})
ACTIVE = frozenset({Status.PROBING, Status.RUNNING, Status.UNDOING})
PASSED = frozenset({Status.DONE, Status.SKIPPED, Status.UNDONE})
WORDS = {
    Status.WAITING: msg("waiting"),
    Status.PROBING: msg("probing"),
    Status.RUNNING: msg("running"),
    Status.DONE: msg("done"),
    Status.SKIPPED: msg("skipped"),
    Status.FAILED: msg("failed"),
    Status.CONFLICT: msg("conflict"),
    Status.BLOCKED: msg("blocked"),
    Status.UNDOING: msg("undoing"),
    Status.UNDONE: msg("undone"),
}
MOST_EVENTS = 4000  # drained in one go, so that a flood never blocks the keys


@dataclass
class StepView:
    """One step as the screens show it."""

    id: str
    kind: str
    title: str
    cluster: str | None
    status: Status = Status.WAITING
    detail: str = ""
    remedy: str = ""
    seconds: float = 0.0
    since: float = 0.0  # monotonic: when it became active
    waits: StepWaits | None = None
    waits_since: float = 0.0  # monotonic

    def waited(self) -> float:
        """Seconds of waiting for what it waits for."""
        return time.monotonic() - self.waits_since

    def elapsed(self) -> float:
        """Seconds of work so far."""
        return time.monotonic() - self.since if self.status in ACTIVE else self.seconds


@dataclass
class RunView:
    """A run, folded from its events."""

    board: Board
    steps: dict[str, StepView] = field(default_factory=dict)
    # cluster, kind of step, its peer, text
    log: deque[tuple[str, str, str, str]] = field(default_factory=lambda: deque(maxlen=5000))
    logged: int = 0
    answers: dict[str, Answered] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)  # cluster → why it does not hear others
    wanted: dict[str, PersonNeeded] = field(default_factory=dict)  # step → what a person has to do for it
    paused: bool = False
    ended: RunEnded | None = None
    began: float = field(default_factory=time.monotonic)

    def take(self, event: Event) -> None:
        """Account for one event."""
        match event:
            case RunStarted():
                self.steps.clear()
                self.findings.clear()
                self.wanted.clear()
                self.began, self.ended = time.monotonic(), None
            case StepChanged():
                self._changed(event)
            case StepSaid():
                self.say(event, event.text)
            case StepWaits():
                if event.step in self.steps:
                    view = self.steps[event.step]
                    before, view.waits = view.waits, event
                    view.waits_since = time.monotonic() - event.elapsed
                    if not before or before.seen != event.seen:
                        self.say(event, _waiting(event))
            case PersonNeeded():
                self.wanted[event.step] = event
                self.say(event, msg("waits for you: {what}", what=event.what))
            case Answered():
                self.answers[event.cluster] = event
                self.board.answered(event.cluster, event.counts)
            case Explained():
                self.findings[event.cluster] = event.finding
                self.board.explained(event.cluster, event.peers, event.finding.short)
            case Paused():
                self.paused = event.paused
                self.say(None, msg("paused: no further steps are started") if event.paused else msg("going on"))
            case RunEnded():
                self.ended = event
                self.say(None, event.what)

    def _changed(self, event: StepChanged) -> None:
        view = self.steps.get(event.step)
        if view is None:
            view = self.steps[event.step] = StepView(event.step, event.kind, one_line(event.title), event.cluster)
        if event.status in ACTIVE and view.status not in ACTIVE:
            view.since = time.monotonic()
        if event.status not in ACTIVE:
            view.waits = None
            self.wanted.pop(event.step, None)
        view.status, view.detail, view.remedy = event.status, event.detail, event.remedy
        view.seconds = event.seconds
        self.board.step(event.kind, event.cluster, event.peer, event.status, event.failed_peers)
        if event.status is not Status.WAITING:
            status = WORDS[event.status]
            self.say(event, msg("{status}: {detail}", status=status, detail=event.detail) if event.detail else status)

    def say(self, of: StepEvent | None, text: str) -> None:
        """One line of the log. `of`: the event that tells whose it is, None: of the whole run."""
        whose = (of.cluster or "", of.kind, of.peer or "") if of else ("", "", "")
        self.log.append((*whose, one_line(text, 1000)))
        self.logged += 1

    def lines_since(self, seen: int) -> Iterator[tuple[str, str, str, str]]:
        """The log lines after the first `seen` ever logged, as far as they are kept."""
        start = max(0, len(self.log) - (self.logged - seen))
        for index in range(start, len(self.log)):
            yield self.log[index]

    @property
    def broken(self) -> list[StepView]:
        """Steps that wait for a person: to try again, skip or give up."""
        return [step for step in self.steps.values() if step.status in BROKEN]

    @property
    def active(self) -> list[StepView]:
        """Steps at work."""
        return [step for step in self.steps.values() if step.status in ACTIVE]

    @property
    def passed(self) -> int:
        """How many steps are done or skipped."""
        return sum(step.status in PASSED for step in self.steps.values())

    @property
    def elapsed(self) -> float:
        """Seconds since it began, until it ended."""
        return self.ended.seconds if self.ended else time.monotonic() - self.began

    def verifying(self) -> bool:
        """Whether all that is left is to verify."""
        left = {step.kind for step in self.steps.values() if step.status not in PASSED}
        begun = {step.kind for step in self.steps.values() if step.status is not Status.WAITING}
        return kinds.VERIFY in begun and left <= {kinds.VERIFY}


def _waiting(event: StepWaits) -> str:
    if not event.seen:
        return msg("waits: {what}; sees:", what=event.what)
    return msg("waits: {what}; sees: {seen}", what=event.what, seen=event.seen)


class Run:
    """The engine in a thread of its own."""

    def __init__(self, operation: Operation) -> None:
        """`operation`: what is done, and then what follows it."""
        self.again = operation
        """What goes on with it where it ended before all was done."""
        self.prepared = operation.prepared
        self.view = RunView(Board(self.prepared.mesh))
        self.engine: Engine | None = None
        self._stopping = threading.Lock()
        self._given_up = False
        self.stale = False  # whether it ended before it began: what was agreed to is to be looked at again
        self._events: SimpleQueue[Event] = SimpleQueue()
        # A daemon thread: one that hangs in a call to a dead cluster must not keep the program from ending.
        self._thread = threading.Thread(target=self._work, name="run", daemon=True)

    def start(self) -> None:
        """Begin the work."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it goes on, or its end has not been seen yet."""
        return self.view.ended is None

    def emit(self, event: Event) -> None:
        """Let the screens know, at their next look; from any thread."""
        self._events.put(event)

    def drain(self) -> bool:
        """Account for what happened since the last time; whether anything did."""
        any_event = False
        for _ in range(MOST_EVENTS):
            try:
                event = self._events.get_nowait()
            except Empty:
                break
            self.view.take(event)
            any_event = True
        return any_event

    def give_up(self) -> None:
        """Stop: what failed stays failed, what runs is ended, and nothing begins that has not. What was done stays recorded."""
        with self._stopping:
            self._given_up = True
            engine = self.engine
        if engine:
            if self.view.active:
                engine.controls.abort()
            else:
                engine.controls.drain()

    def _steer(self, engine: Engine) -> None:
        """This engine obeys from now on."""
        with self._stopping:
            self.engine = engine
            if self._given_up:
                engine.controls.abort()

    def join(self, seconds: float) -> None:
        """Wait for the thread's end, so that the state is closed properly."""
        self._thread.join(seconds)

    def _work(self) -> None:
        began = time.monotonic()
        ended: RunEnded | None = None

        def listen(event: Event) -> None:
            nonlocal ended
            if isinstance(event, RunEnded):
                ended = event  # told when the state is written, so that whoever sees it may leave at once
            else:
                self.emit(event)

        following: Operation | None = self.again
        try:
            while following:
                operation = self.again = following
                heard = TRAIL.watch(operation.mesh, operation.plan, listen)
                with working(operation, heard, linger=operation.direction == "forward", attended=True) as engine:
                    self._steer(engine)
                    outcome = operation.run(engine)
                if outcome.refused:
                    self.stale = True
                    return
                self.again = operation.again()
                following = operation.then() if outcome.ok else None
        except Trouble as trouble:
            self.stale = isinstance(trouble, Stale)
            seconds = time.monotonic() - began
            ended = RunEnded(
                ok=False, exit_code=trouble.exit_code, what=trouble.what, remedy=trouble.remedy, seconds=seconds
            )
        except Exception as error:
            log.exception("run")
            what = msg("unexpected {kind}: {error}", kind=type(error).__name__, error=one_line(error))
            remedy = msg(
                "Please report this, with the log. Go on with: {command}", command=self.prepared.resume_command
            )
            ended = RunEnded(ok=False, exit_code=1, what=what, remedy=remedy, seconds=time.monotonic() - began)
        finally:
            self.emit(ended or RunEnded(ok=False, exit_code=1, what=msg("the run ended"), remedy="", seconds=0.0))
