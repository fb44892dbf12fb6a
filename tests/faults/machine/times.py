"""Clocks that waste no time: a wait passes as fast as the others work, and at once where nobody works any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

QUIET = 0.6  # real seconds without any progress: what is waited for will not come
GLANCE = 0.01  # real seconds between two looks at that, at most
_NAP = 0.0015  # real seconds that a sleep of any length takes
_LEASE_RATE = 40
_HASTE = 60


class Waits:
    """Stands for module `time` where steps wait. Each thread has a clock of its own, which its sleeps advance."""

    def __init__(self, quiet: Callable[[], bool]) -> None:
        self._quiet = quiet
        self._slept = threading.local()

    def monotonic(self) -> float:
        return time.monotonic() + getattr(self._slept, "seconds", 0.0)

    def sleep(self, seconds: float) -> None:
        time.sleep(_NAP)
        passed = seconds * (_HASTE if self._quiet() else 1)
        self._slept.seconds = getattr(self._slept, "seconds", 0.0) + passed


class LeaseClock:
    """Stands for module `time` where leases are held: a clock that can jump, and go faster."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._passed = 0.0
        self._rate = 1

    def clock_gettime(self, _: int) -> float:
        return self._passed + (time.monotonic() - self._begun) * self._rate

    def jump(self, seconds: float) -> None:
        """As where the machine slept."""
        self._passed += seconds

    def hurry(self, hurried: bool) -> None:
        """Go faster, for a run that waits until another's lease has expired."""
        self._passed, self._begun = self.clock_gettime(0), time.monotonic()
        self._rate = _LEASE_RATE if hurried else 1

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)
