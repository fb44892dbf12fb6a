"""The signals that ask a program to end, while something else than dying at once is the answer to them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def answered_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Within this block SIGINT, SIGTERM and SIGHUP call this handler, as far as nobody asked for them to be ignored; afterwards
    all is as before. Outside the main thread, which alone may have handlers, nothing changes.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            # nohup asks for SIGHUP to be ignored, that wish is kept; None is a handler that Python could not put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
