"""How long one call to an API server may take, and what of it is worth repeating. Monotonic throughout: a clock that jumps
changes nothing.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import TypeVar

from wizard.messages import msg

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """In seconds."""

    connect: float = 5.0  # to resolve the name and to connect, and again to shake hands
    silence: float = 15.0  # that a read may be without a sign; a write may wait for webhooks, until `total` is over
    total: float = 30.0  # for one request with all its repetitions; a call of many requests has twice that
    pauses: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0)  # before repetitions, more or less
    plugin: float = 30.0  # for a command that gives credentials
    mute: float = 2.0  # after giving up to connect: so long nothing is tried; who asks meanwhile hears the same
    parked: float = 10.0  # after that: so long a call tries but once; refused credentials are not tried at all


_here = threading.local()

PATIENT = Patience()
HURRIED = Patience(connect=3.0, silence=8.0, total=8.0, pauses=(0.3,), plugin=15.0)  # while somebody looks on
# How long a cause that waiting does not heal must stand, in seconds: registries stumble, a quota may be lifted.
FINAL_SECONDS = 20.0
PARKED_CONNECT = 2.0  # seconds to connect to a cluster that lately could not be connected to


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Requests that this thread begins inside end within so many seconds from now, whatever patience they had."""
    before = _until()
    _here.until = min(before, time.monotonic() + seconds)
    try:
        yield
    finally:
        _here.until = before


def _until() -> float:
    return float(getattr(_here, "until", math.inf))


class Failure(Enum):
    """How an attempt failed."""

    UNSENT = auto()  # there was no connection: nothing was asked
    LOST = auto()  # no whole answer came, or it says as much: what was asked may have been done
    BUSY = auto()  # refused for now, and certainly not done
    BROKEN = auto()  # the server made a mistake, perhaps after it was done


def failure_of(status: int) -> Failure | None:
    """What is worth repeating of an answer; None where it is final."""
    match status:
        case 429:
            return Failure.BUSY
        case 502 | 503 | 504:
            return Failure.LOST
        case 500:
            return Failure.BROKEN
        case _:
            return None


class Attempts:
    """The attempts of one request, within its time."""

    def __init__(self, patience: Patience, *, until: float, repeatable: bool, parked: bool) -> None:
        """`until`: on the monotonic clock. `repeatable`: doing it twice is as good as doing it once. `parked`: the cluster
        could not be connected to lately.
        """
        self._patience = patience
        self._repeatable = repeatable
        self._parked = parked
        self._made = 0
        self.unsure = False  # whether one that failed may have done what it was to do
        self._began = time.monotonic()
        self.until = min(until, self._began + patience.total, _until())

    @property
    def connect(self) -> float:
        """Seconds to connect."""
        return min(PARKED_CONNECT, self._patience.connect) if self._parked else self._patience.connect

    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.monotonic()

    def again(self, failure: Failure, after: float | None = None) -> bool:
        """Whether to try again; if so, the time for that has come when this returns. `after`: the server's own wish, in
        seconds, which is kept, or else nothing is tried.
        """
        self._made += 1
        self.unsure |= failure in {Failure.LOST, Failure.BROKEN}
        pause = self._pause(failure, after)
        if pause is None or pause >= self.left():
            return False
        time.sleep(pause)
        return True

    def _pause(self, failure: Failure, after: float | None) -> float | None:
        pauses = self._patience.pauses
        if failure is Failure.UNSENT:
            # An address that swallows everything costs the whole of `connect` each time.
            if self._parked or time.monotonic() - self._began >= 2 * self._patience.connect:
                return None
        elif failure is not Failure.BUSY and not self._repeatable:
            return None
        if failure is Failure.BROKEN:
            pauses = pauses[:2]  # seldom passes: mostly a webhook that is not there
        if after is not None:
            return after * random.uniform(1.0, 1.2) if self._made <= 10 else None
        if self._made > len(pauses):
            return None
        return pauses[self._made - 1] * random.uniform(0.6, 1.4)


def retry_after(value: str | None, date: str | None) -> float | None:
    """The seconds that a Retry-After asks for: a number, or a date by the server's own clock. None where it says nothing."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    wanted, now = moment(text), moment(date) if date else datetime.now(UTC)
    return max(0.0, (wanted - now).total_seconds()) if wanted and now else None


def moment(text: str | None) -> datetime | None:
    """The moment that a header gives, in UTC where it names no zone (`-0000`, too); None where it gives none."""
    try:
        found = parsedate_to_datetime(text or "")
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of what has no deadline of its own, or its exception. TimeoutError after `seconds`: then it is left to itself,
    in a thread that keeps nobody from leaving, so it must change nothing.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(msg("nothing within {seconds:.0f} s", seconds=seconds))
    return results[0]
