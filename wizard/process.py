"""The only module that starts other programs.

Children get an argument list (never a shell), a session of their own (so that a Ctrl-C at the terminal reaches us first),
both pipes drained by threads and capped, and an end: asked with TERM, then KILL, to the whole group.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from wizard.errors import Failed

MAX_OUTPUT = 32 << 20  # bytes kept of stdout; istioctl's manifest of one cluster is about 1 MiB
GRACE = 5.0  # seconds between TERM and KILL
_held: set[int] = set()


@dataclass(frozen=True)
class Finished:
    code: int  # negative: ended by that signal
    stdout: str
    stderr: str  # its last lines
    stopped: bool  # ended by us, because it was cancelled or took too long


@contextlib.contextmanager
def holding(descriptor: int) -> Iterator[None]:
    """Children started inside inherit this descriptor. The state's lock is one: an orphaned istioctl then keeps other
    runs away until it ends, too.
    """
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    seconds: float,
    line: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Finished:
    """Run a program to its end. `line` gets each line of its stderr as it comes. It is ended after `seconds`, or when
    `cancelled` says so. Raises Failed where it cannot be started.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=tuple(_held),
        )
    except OSError as error:
        raise Failed(f"{argv[0]} cannot be started: {error.strerror}", "Check --istioctl, or the PATH.") from error
    stdout, stderr = _Drain(child.stdout), _Drain(child.stderr, line)
    feeder = threading.Thread(target=_feed, args=(child, stdin.encode()), daemon=True)
    feeder.start()
    stopped = False
    deadline = time.monotonic() + seconds
    try:
        while True:
            try:
                child.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline or cancelled():
                    stopped = True
                    break
    finally:
        # Also when `cancelled` raises: no child survives the call that started it.
        end(child)
    stdout.join()
    stderr.join()
    return Finished(child.returncode, stdout.text(), stderr.text(), stopped)


def end(child: subprocess.Popen[bytes]) -> None:
    """End the child and every process of its group: TERM, a grace, KILL. Returns when it is gone."""
    for number, grace in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        if child.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=grace)


def _feed(child: subprocess.Popen[bytes], text: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ValueError):
        if child.stdin:
            child.stdin.write(text)
            child.stdin.close()


class _Drain:
    """Reads a pipe to its end in a thread, unbuffered: istioctl writes the newline *before* each line of progress, so a
    line is told when the pipe pauses, not only when it ends.
    """

    def __init__(self, pipe: object, line: Callable[[str], None] | None = None) -> None:
        self._pipe = pipe
        self._line = line
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        pending = b""
        fd = self._pipe.fileno()  # type: ignore[attr-defined]
        while chunk := os.read(fd, 65536):
            if len(self._kept) < MAX_OUTPUT:
                self._kept += chunk[: MAX_OUTPUT - len(self._kept)]
            if self._line is None:
                continue
            *complete, pending = (pending + chunk).split(b"\n")
            for raw in complete:
                self._tell(raw)
            if pending:
                self._tell(pending)
                pending = b""
        self._tell(pending)

    def _tell(self, raw: bytes) -> None:
        text = raw.decode(errors="replace").strip()
        if text and self._line:
            self._line(text)

    def join(self) -> None:
        # A grandchild may hold the pipe open after the child ended; what it writes is not ours to wait for.
        self._thread.join(timeout=2)

    def text(self) -> str:
        return bytes(self._kept).decode(errors="replace")
