"""A run as lines: for a person to follow (`Lines`) or for a program to read (`JsonLines`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from wizard.answered import Answered
from wizard.board import Board
from wizard.checks.explained import Explained
from wizard.console.output import Output, echo, speaks_unicode
from wizard.engine.events import Event, PersonNeeded, RunStarted, Status, StepChanged, StepSaid, StepWaits
from wizard.mesh.drawing import draw
from wizard.mesh.model import Mesh
from wizard.messages import counted, joined, msg
from wizard.messages.catalogue import rendered, tr
from wizard.messages.cells import padded, widest
from wizard.text import as_json, duration, listing, one_line, printable, tamed

log = logging.getLogger(__name__)

SAID_EVERY = 1.0  # seconds between two lines of a program's output
EVERY = 5.0  # seconds between two lines of a step that goes on waiting
PERSON_EVERY = 60.0  # the same, where it waits for a person
_MARKS = {
    Status.RUNNING: ("▸", "cyan"),
    Status.UNDOING: ("▸", "cyan"),
    Status.DONE: ("✔", "green"),
    Status.UNDONE: ("↩", "green"),
    Status.SKIPPED: ("–", "yellow"),
    Status.FAILED: ("✘", "red"),
    Status.CONFLICT: ("⚠", "yellow"),
    Status.BLOCKED: ("·", "yellow"),
}


class _Quiet:
    """Writes until nobody reads any more. The work goes on: a closed pipe or terminal must not leave it half done, and
    the engine's threads must not meet an exception in their listener.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._gone = False

    def __call__(self, text: str) -> None:
        if self._gone:
            return
        try:
            self._write(text)
        except (OSError, ValueError) as error:
            self._gone = True
            log.info("progress is no longer shown: %s", error)


class Lines:
    """An engine's listener that prints one line per event of interest: elapsed time, lane, what happened."""

    def __init__(self, out: Output, mesh: Mesh, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._line = _Quiet(out.line)
        self._width = widest(cluster.name for cluster in mesh.clusters)
        self._clock = clock
        self._began = clock()
        self._shown: dict[str, float] = {}  # step → when it last had a line that is throttled
        # cluster and step → what was said last that was shown, and when
        self._said: dict[tuple[str | None, str], tuple[str, float]] = {}
        self._missing: dict[str, tuple[str, ...]] = {}
        self._mesh = mesh
        self._board = Board(mesh)

    def picture(self) -> None:
        """Show the mesh drawing as the run left it, with what was heard where."""
        drawn = draw(
            self._mesh,
            links=self._board.links,
            counts=self._board.counts or None,
            causes=self._board.causes,
            width=100,
            ascii=not speaks_unicode(),
            say=rendered,
        )
        self._line(f"\n{drawn.plain()}\n")

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Answered):
            self._board.answered(event.cluster, event.counts)
        if isinstance(event, Explained):
            self._board.explained(event.cluster, event.peers, event.finding.short)
        match event:
            case RunStarted():
                self._began = self._clock()
                self._line(_started(event))
            case StepChanged():
                self._changed(event)
            case StepSaid() if self._news(event):
                self._said[event.cluster, event.step] = (event.text, self._clock())
                self._shown[event.step] = self._clock()
                self._show(event.cluster, f"│ {rendered(event.text)}")
            case StepWaits() if self._due(
                event.step, EVERY if event.deadline else PERSON_EVERY, patient=event.elapsed < 1.0
            ):
                self._show(event.cluster, f"… {rendered(_waits(event))}")
            case PersonNeeded():
                asked = tr("needs you: {what}", what=event.what)
                self._show(event.cluster, f"{self._out.style('⚠', 'yellow')} {asked}")
                # Without the lane before them, so that commands can be copied.
                for line in rendered(printable(event.instructions)).splitlines():
                    self._line(f"    {line}")
            case Answered() if self._due(event.step, EVERY) or self._missing.get(event.step) != event.missing:
                self._missing[event.step] = event.missing
                self._show(event.cluster, rendered(heard(event.counts.items(), event.missing, event.errors)))

    def _changed(self, event: StepChanged) -> None:
        self._board.step(event.kind, event.cluster, event.peer, event.status, event.failed_peers)
        if event.status not in _MARKS:
            return
        mark, color = _MARKS[event.status]
        told = event.title
        if event.seconds >= 0.1:
            told = msg("{title} ({seconds:.1f} s)", title=told, seconds=event.seconds)
        if event.detail:
            told = msg("{title}: {detail}", title=told, detail=one_line(event.detail))
        self._show(event.cluster, f"{self._out.style(mark, color)} {rendered(told)}")
        # A wait that begins right now says nothing yet that the line above did not.
        self._shown[event.step] = self._clock()

    def _news(self, event: StepSaid) -> bool:
        """Whether a line is shown: the same again is not, nor are many of a program's in a second."""
        text, when = self._said.get((event.cluster, event.step), ("", -SAID_EVERY))
        late = not event.output or self._clock() - when >= SAID_EVERY
        return self._out.verbose or (text != event.text and late)

    def _due(self, step: str, every: float, *, patient: bool = False) -> bool:
        now = self._clock()
        if patient or now - self._shown.get(step, -every) < every:
            return False
        self._shown[step] = now
        return True

    def _show(self, cluster: str | None, text: str) -> None:
        self._line(f"{self._clock() - self._began:6.1f}s {padded(cluster or '', self._width)}  {text}")


def heard(counts: Iterable[tuple[str, int]], missing: Iterable[str], errors: int) -> str:
    """What a cluster's client has heard, in words."""
    answers = listing([f"{version} {count}×" for version, count in sorted(counts)])
    parts = [msg("heard {answers}", answers=answers) if answers else msg("heard nothing")]
    still = listing(missing)
    if still:
        parts.append(msg("still missing {versions}", versions=still))
    if errors:
        parts.append(counted("{count} errors", "{count} errors", errors))
    return joined(parts, ", ")


def _started(event: RunStarted) -> str:
    told, many = {"operation": event.operation, "mesh": event.mesh}, len(event.steps)
    if event.simulated:
        return counted(
            "{operation} {mesh} on simulated clusters: {count} steps",
            "{operation} {mesh} on simulated clusters: {count} steps",
            many,
            **told,
        )
    return counted("{operation} {mesh}: {count} steps", "{operation} {mesh}: {count} steps", many, **told)


def _waits(event: StepWaits) -> str:
    times = duration(event.elapsed)
    if event.deadline:
        times = msg("{elapsed:.0f} s of {deadline:.0f} s", elapsed=event.elapsed, deadline=event.deadline)
    if not event.seen:
        return msg("waits for {what} ({times})", what=event.what, times=times)
    return msg("waits for {what} ({times}): {seen}", what=event.what, times=times, seen=event.seen)


class JsonLines:
    """An engine's listener that prints each event as one JSON object on one line of stdout."""

    def __init__(self) -> None:
        self._line = _Quiet(echo)

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self._line(as_json(tamed(event.as_dict(), 4000)))
