"""What a run writes down of its steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from wizard.engine.events import Status
from wizard.engine.step import Step
from wizard.errors import Failed, Trouble
from wizard.messages import msg
from wizard.text import one_line

log = logging.getLogger(__name__)


class Journal(Protocol):
    """Where progress is recorded. Both calls are durable when they return; they raise Trouble when they cannot be."""

    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None: ...

    def end(self, step: str, status: str, detail: str = "") -> None: ...


class Record:
    """Writes into a journal. What is not written down could not be resumed, so the first trouble ends the run."""

    def __init__(self, journal: Journal, lost: Callable[[Trouble], None]) -> None:
        """`lost`: called with what kept something from being recorded; after that, no step may begin."""
        self._journal = journal
        self._lost = lost
        self._begun: set[str] = set()

    def begin(self, step: Step, *, undo: bool = False) -> None:
        """The step is about to change something. Raises Trouble where that could not be recorded: then it must not."""
        self._write(lambda: self._journal.begin(step.id, step.inputs(), undo=undo))
        self._begun.add(step.id)

    def done(self, step: Step, note: str) -> None:
        """It is as wanted."""
        if self._concerns(step):
            self._write(lambda: self._journal.end(step.id, "done", note))

    def undone(self, step: Step) -> None:
        """It was taken back."""
        self._write(lambda: self._journal.end(step.id, "undone"))

    def failed(self, step: Step, status: Status, what: str) -> None:
        """It ended in another way. Raises nothing: a trouble ends the run by itself."""
        if self._concerns(step):
            ended = "skipped" if status is Status.SKIPPED else "failed"
            with suppress(Trouble):
                self._write(lambda: self._journal.end(step.id, ended, one_line(what)))

    def _concerns(self, step: Step) -> bool:
        """Whether the journal is to hear how this step ended: a guard that only looked is none of its business."""
        return not step.guard or step.id in self._begun

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Trouble as trouble:
            self._lost(trouble)
            raise
        except Exception as error:
            log.exception("recording")
            mistake = unexpected(error)
            self._lost(mistake)
            raise mistake from error


def unexpected(error: Exception, where: str = "") -> Failed:
    """A mistake of ours, as a person is told of it."""
    what = msg("unexpected {kind}: {error}", kind=type(error).__name__, error=one_line(error))
    if where:
        what = msg("{where}: {problem}", where=where, problem=what)
    return Failed(what, msg("Please report this, with the log."))
