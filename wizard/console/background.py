"""Work in a thread while the main thread waits for it, so that a signal is heard at once and acted upon in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from wizard.console.signals import answered_by
from wizard.errors import Interrupted
from wizard.messages import msg

T = TypeVar("T")

_NOTICED = 0.1  # seconds until a signal is noticed at the latest


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Within this block SIGTERM and SIGHUP are what SIGINT is: a KeyboardInterrupt in the main thread, so that whoever has
    changed the terminal puts it back. Children that end are heard of, whatever the parent of this process asked for.
    """
    deaf = (
        threading.current_thread() is threading.main_thread()
        and hasattr(signal, "SIGCHLD")
        and signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    )
    if deaf:
        # Else the system would throw the exit codes of children away, and each would seem to have ended well.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        with answered_by(signal.default_int_handler):
            yield
    finally:
        if deaf:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)


class _Result(Generic[T]):
    value: T
    error: BaseException | None = None


def in_background(work: Callable[[], T], on_signal: Callable[[int], None]) -> T:
    """The result of `work`, or what it raised. Each SIGINT, SIGTERM and SIGHUP that arrives meanwhile calls `on_signal`
    in the calling thread with its number, counting from 1; what that raises ends the wait, and the work is left behind.
    """
    # The handlers only enqueue: they may run in the middle of anything, and a queue of this kind allows that.
    heard: SimpleQueue[bool] = SimpleQueue()
    result = _Result[T]()

    def body() -> None:
        try:
            result.value = work()
        except BaseException as error:
            result.error = error
        heard.put(False)

    with answered_by(lambda *_: heard.put(True)):
        threading.Thread(target=body, name="work", daemon=True).start()
        count = 0
        while _next(heard):
            count += 1
            on_signal(count)
    if result.error is not None:
        raise result.error
    return result.value


def _next(heard: SimpleQueue[bool]) -> bool:
    while True:
        # The system may hand a signal to any thread, such as one that is just being started. Its handler runs in this one,
        # and not before it wakes up.
        with suppress(Empty):
            return heard.get(timeout=_NOTICED)


def reading(work: Callable[[], T]) -> T:
    """The result of work that changes nothing; the first signal gives it up at once."""

    def give_up(_: int) -> None:
        raise Interrupted(msg("stopped by you; nothing was changed"), msg("To go on, give the same command again."))

    return in_background(work, give_up)
