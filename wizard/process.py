"""The only module that starts other programs.

Children get an argument list (never a shell), a session of their own (so that a Ctrl-C at the terminal reaches us first),
both pipes drained by threads and capped, and an end: asked with TERM, then KILL, and with them all that they started and
left behind. Only what makes itself a session of its own, as a daemon does, is left alone.

Their environment is ours, whole: a kubeconfig may name a credential plugin, which needs what the person's shell gave it (PATH,
HOME, KUBECONFIG, proxies, the settings of clouds). Nothing of ours is ever put in it; a kubeconfig's own additions are.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wizard.errors import Failed, Interrupted
from wizard.messages import counted, msg
from wizard.text import one_line

MAX_OUTPUT = 32 << 20  # bytes kept of stdout, the first; istioctl's manifest of one cluster is about 1 MiB
MAX_SAID = 1 << 20  # bytes kept of stderr, the last: what went wrong stands at its end
LINES_A_SECOND = 200  # that are told of stderr; a flood of them would fill the memory of those who watch
GRACE = 5.0  # seconds between TERM and KILL
STOPPED = 10.0  # seconds between two looks that only a stop of this program explains
HELD_OPEN = 2.0  # seconds for reading what is left in the pipes of a child that ended
_NAP = 0.05  # seconds between two looks whether it ended
_PROC = Path("/proc")
_held: set[int] = set()
_children: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()  # of _children
_leaving = threading.Event()


@dataclass(frozen=True)
class Finished:
    """How a program ended, and what it said."""

    code: int  # negative: ended by that signal
    stdout: str
    stderr: str  # the last of it
    stopped: bool  # ended by us, because it was cancelled or took too long


@contextlib.contextmanager
def holding(descriptor: int) -> Iterator[None]:
    """Children started inside to change something inherit this descriptor. The state's lock is one: an orphaned istioctl
    then keeps other runs away until it ends, too.
    """
    _held.add(descriptor)
    try:
        yield
    finally:
        _held.discard(descriptor)


def held() -> tuple[int, ...]:
    """The descriptors that a child inherits which is started now to change something."""
    return tuple(_held)


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    seconds: float,
    line: Callable[[str], None] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    env: Mapping[str, str] | None = None,
    changes: bool = False,
) -> Finished:
    """Run a program to its end. `line` gets each line of its stderr as it comes. It is ended after `seconds`, or when
    `cancelled` says so. `env`: in addition to our environment. `changes`: it changes something of what this program holds,
    and holds it, too (see `holding`). Raises Failed where it cannot be started.
    """
    child = _started(argv, env or {}, held() if changes else ())
    stopped = False
    now = time.monotonic()
    deadline = now + seconds
    try:
        stdout = _Drain(child.stdout, first=MAX_OUTPUT)
        stderr = _Drain(child.stderr, last=MAX_SAID, line=line)
        threading.Thread(target=_feed, args=(child, stdin.encode(errors="replace")), daemon=True).start()
        while not _over(child):
            before, now = now, time.monotonic()
            if now - before > STOPPED:
                deadline += now - before  # we were stopped (Ctrl-Z), and it could not tell us anything meanwhile
            if now > deadline or cancelled():
                stopped = not _over(child)
                break
            time.sleep(_NAP)
    finally:
        # Also when `cancelled` raises: no child survives the call that started it.
        end(child)
        with _lock:
            _children.discard(child)
    stdout.close()
    stderr.close()
    # One that not even KILL ends, because the kernel holds it, has no code.
    code = child.returncode if child.returncode is not None else -signal.SIGKILL
    return Finished(code, stdout.text(), stderr.text(), stopped)


def _started(argv: Sequence[str], env: Mapping[str, str], inherited: Sequence[int]) -> subprocess.Popen[bytes]:
    with _lock:
        if _leaving.is_set():
            raise Interrupted(msg("nothing is started any more: the program is leaving"))
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=inherited,
                env={**os.environ, **env},
            )
        except (OSError, ValueError) as error:  # the latter: a NUL in an argument
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise Failed(
                msg("{program} cannot be started: {reason}", program=one_line(argv[0]), reason=why),
                msg("Check --istioctl, or the PATH."),
            ) from error
        _children.add(child)
        return child


def end(child: subprocess.Popen[bytes], *, grace: float = GRACE) -> None:
    """End the child and all that it started in its session, also where the child itself has ended already: TERM, a grace,
    KILL. Returns when they are gone.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _alive(child):
            break
        _signal(child, number)
        deadline = time.monotonic() + (grace if number == signal.SIGTERM else GRACE)
        while _alive(child) and time.monotonic() < deadline:
            time.sleep(_NAP)
    # Reaped last: as long as it is not, no other process can get the number by which its session is known.
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=GRACE)


def end_all() -> None:
    """KILL every child with all of its session, at once, and what libraries started as our children; start none any more.
    For the moment when the program leaves.
    """
    with _lock:
        _leaving.set()
        children = list(_children)
    for child in children:
        _signal(child, signal.SIGKILL)
    for pid in _of(parent=os.getpid()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _over(child: subprocess.Popen[bytes]) -> bool:
    """Whether it ended. It is not reaped by that, where the system allows it."""
    if child.returncode is not None or not hasattr(os, "waitid"):
        return child.poll() is not None
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    except ChildProcessError:
        return True


def _alive(child: subprocess.Popen[bytes]) -> bool:
    """Whether it or something of its session lives."""
    if not _over(child):
        return True
    if _PROC.joinpath("self/stat").exists():
        return bool(_of(session=child.pid))
    child.poll()  # reaped, it does not count as a member of its group any more
    try:
        os.killpg(child.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
    for pid in _of(session=child.pid):  # groups that it made within its session
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _of(*, session: int = 0, parent: int = 0) -> list[int]:
    """The living processes of that session, or those with that parent. None where there is no /proc."""
    found = []
    for entry in _PROC.iterdir() if _PROC.joinpath("self/stat").exists() else ():
        if not entry.name.isdecimal():
            continue
        try:
            # The name in parentheses may hold anything; after it: state, parent, group, session.
            state, of, _, its = entry.joinpath("stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue  # it ended meanwhile
        if state not in "ZX" and ((session and int(its) == session) or (parent and int(of) == parent)):
            found.append(int(entry.name))
    return found


def _feed(child: subprocess.Popen[bytes], text: bytes) -> None:
    if child.stdin is None:
        return
    with contextlib.suppress(OSError, ValueError), child.stdin as pipe:
        pipe.write(text)


class _Drain:
    """Reads a pipe to its end in a thread, unbuffered: istioctl writes the newline *before* each line of progress, so a
    line is told when the pipe pauses, not only when it ends. Keeps the `first` or the `last` so many bytes.
    """

    def __init__(
        self, pipe: IO[bytes] | None, *, first: int = 0, last: int = 0, line: Callable[[str], None] | None = None
    ) -> None:
        assert pipe is not None  # noqa: S101 - all three are pipes
        self._pipe = pipe
        self._first = first
        self._last = last
        self._line = line
        self._kept = bytearray()
        self._told: deque[float] = deque(maxlen=LINES_A_SECOND)  # when the last lines were told
        self._untold = 0
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fd = self._pipe.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not self._enough.is_set():
            if not poll.poll(500):
                continue
            chunk = os.read(fd, 65536)
            if not chunk:
                break
            self._keep(chunk)
            if self._line is not None and not self._too_many():
                for raw in chunk.split(b"\n"):
                    self._tell(raw)
            elif self._line is not None:
                self._untold += chunk.count(b"\n")
        if self._untold and self._line:
            more = counted(
                "… and {count} lines more, too many to tell",
                "… and {count} lines more, too many to tell",
                self._untold,
            )
            self._line(more)

    def _keep(self, chunk: bytes) -> None:
        if self._first:
            self._kept += chunk[: self._first - len(self._kept)]
            return
        self._kept += chunk
        if len(self._kept) > 2 * self._last:
            del self._kept[: -self._last]

    def _tell(self, raw: bytes) -> None:
        text = raw.decode(errors="replace").strip()
        if not text or self._line is None:
            return
        if self._too_many():
            self._untold += 1
            return
        self._told.append(time.monotonic())
        self._line(text)

    def _too_many(self) -> bool:
        return len(self._told) == LINES_A_SECOND and time.monotonic() - self._told[0] < 1

    def close(self) -> None:
        """Read what is left. A daemon may hold the pipe open for ever; what it writes is not ours to wait for."""
        self._thread.join(timeout=HELD_OPEN)
        self._enough.set()
        self._thread.join(timeout=HELD_OPEN)
        if not self._thread.is_alive():
            self._pipe.close()

    def text(self) -> str:
        return bytes(self._kept[-self._last :] if self._last else self._kept).decode(errors="replace")
