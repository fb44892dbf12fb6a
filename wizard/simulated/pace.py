"""Time and chance in the simulation: every delay and every made-up name comes from here."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # the alphabet of Kubernetes' generated names
_SLICE = 0.05  # how soon a sleeper notices that it should stop


class Pace:
    """Scales all delays: 1.0 is the demo's tempo, 0 takes every delay away."""

    def __init__(self, speed: float = 1.0) -> None:
        self.speed = max(0.0, speed)

    def now(self) -> float:
        """The monotonic clock."""
        return time.monotonic()

    def due(self, seconds: float) -> float:
        """The moment, on the monotonic clock, when something that takes so long is ready."""
        return time.monotonic() + seconds * self.speed

    def sleep(self, seconds: float, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Let scaled time pass; False where `cancelled` ended it early."""
        end = self.due(seconds)
        while not cancelled():
            left = end - time.monotonic()
            if left <= 0:
                return True
            time.sleep(min(left, _SLICE))
        return False


def suffix(length: int, *seeds: object) -> str:
    """A name's random-looking end, the same for the same seeds."""
    digest = hashlib.sha256("\0".join(map(str, seeds)).encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:length])


def made_uid(*seeds: object) -> str:
    """A UUID, the same for the same seeds."""
    digits = hashlib.sha256("\0".join(map(str, seeds)).encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"
