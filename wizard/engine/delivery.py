"""Events on their way from a run to whoever watches it: a slow reader holds up nobody but himself."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from wizard.engine.events import Event, Status, StepChanged, StepSaid
from wizard.errors import Interrupted
from wizard.messages import msg

log = logging.getLogger(__name__)

ROOM = 2000  # events that may wait for a reader; beyond them only what must not be lost is kept
IDLE_SECONDS = 1.0  # after which the thread ends, until there is news again
GRACE_SECONDS = 1.0  # of silence, after which a reader is given up in a hurry


class Unheard(Interrupted):
    """The run ended as told, but whoever watched it did not take all that there was to tell."""


class Delivery:
    """Hands events to one listener, one after the other and in order, on a thread of its own. Whatever the listener raises is
    logged, and the next event is handed over all the same. As a context: the block ends when all was handed over, with Unheard
    where that was given up.
    """

    def __init__(self, listener: Callable[[Event], None]) -> None:
        self._listener = listener
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._handing = False  # the listener is at work on one
        self._thread: threading.Thread | None = None
        self._handed = 0
        self._hurry: Callable[[], bool] = lambda: False

    def put(self, event: Event) -> None:
        """Returns at once; may be called by any thread at any time."""
        with self._changed:
            if len(self._waiting) >= ROOM and event.losable:
                return
            self._waiting.append(event)
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name="events", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def hurry_when(self, hurry: Callable[[], bool]) -> None:
        """From then on, a listener that takes nothing for GRACE_SECONDS is not waited for."""
        self._hurry = hurry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._finished() and kind is None:
            raise Unheard(msg("stopped by you; what there was to tell was not read"))

    def _finished(self) -> bool:
        """Whether all was handed over, as soon as that is certain."""
        with self._changed:
            seen, moved = self._handed, time.monotonic()
            while self._waiting or self._handing:
                self._changed.wait(0.1)
                if self._handed != seen:
                    seen, moved = self._handed, time.monotonic()
                elif self._hurry() and time.monotonic() - moved > GRACE_SECONDS:
                    return False
        return True

    def _deliver(self) -> None:
        try:
            while (event := self._next()) is not None:
                _note(event)
                try:
                    self._listener(event)
                except Exception:
                    log.exception("showing %s", type(event).__name__)
        finally:
            with self._changed:
                if self._thread is threading.current_thread():  # it was ended by what the listener raised
                    self._handing, self._thread = False, None
                    self._waiting.clear()
                    self._changed.notify_all()

    def _next(self) -> Event | None:
        """The next event; None where none came for a while."""
        with self._changed:
            self._handed += self._handing
            self._handing = False
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._waiting, IDLE_SECONDS):
                self._thread = None  # within the lock: whoever puts the next starts another
                return None
            self._handing = True
            return self._waiting.popleft()


def _note(event: Event) -> None:
    match event:
        case StepChanged(status=Status.WAITING):
            pass
        case StepChanged():
            log.info("%s: %s %s", event.step, event.status, event.detail)
        case StepSaid():
            log.info("%s: says %s", event.step or event.cluster, event.text)
