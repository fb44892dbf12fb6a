"""SIGINT, SIGTERM and SIGHUP while the wizard has the terminal: end the work in order, give the terminal back.

Textual has no handlers of its own: by default the process would die at once, leave the terminal raw and children alone.
"""

from __future__ import annotations

import os
import stat
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from wizard import process
from wizard.console.signals import answered_by

LAST_SECONDS = 20.0  # after the end of the run, until the process ends, whatever still hangs
LAST_SECONDS_NOBODY_SEES = 2.0
EXIT_CODE = 130


@contextmanager
def obeyed(stop: Callable[[], None], give_up: Callable[[], None]) -> Iterator[None]:
    """Within this block a signal calls `stop` in the main thread, which should soon end the block, and `give_up` in a
    thread. If the block does not end after that, the process and its children do after LAST_SECONDS.

    Two ways, because the main thread may hang for good: Textual writes through a queue, which nobody empties any more
    once the terminal is gone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count, unseen, over = 0, False, threading.Event()

    def last_resort() -> None:
        give_up()
        if not over.wait(LAST_SECONDS_NOBODY_SEES if unseen else LAST_SECONDS):
            process.end_all()
            os._exit(EXIT_CODE)

    def heard(_number: int, _frame: FrameType | None) -> None:
        nonlocal count, unseen
        count += 1
        unseen = _leave_dead_terminal() or unseen
        if count == 1:
            threading.Thread(target=last_resort, name="last-resort", daemon=True).start()
        stop()

    with answered_by(heard):
        try:
            yield
        finally:
            over.set()


def _leave_dead_terminal() -> bool:
    """Where the terminal was closed, its place is taken by nothing: reading and writing fail no more. Whether it was."""
    stdin = sys.__stdin__
    if stdin is None:
        return False
    try:
        termios.tcgetattr(stdin.fileno())
    except termios.error:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):  # a file that was redirected to stays
                os.dup2(nothing, descriptor)
        os.close(nothing)
        return True
    except (OSError, ValueError):
        return False
    return False
