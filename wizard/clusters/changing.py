"""What must still be so when a change is sent: a call may wait and try again for long after it was made."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_here = threading.local()


@contextmanager
def under(condition: Callable[[], None] | None) -> Iterator[None]:
    """Changes that this thread makes inside are sent only where `condition` raises nothing."""
    before = getattr(_here, "condition", None)
    _here.condition = condition
    try:
        yield
    finally:
        _here.condition = before


def check() -> None:
    """Raises where a change must not be sent any more. What the condition asks itself is under none."""
    condition: Callable[[], None] | None = getattr(_here, "condition", None)
    if condition is not None:
        with under(None):
            condition()
