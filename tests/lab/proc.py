"""Running commands and taking locks: the two things every part of the lab does."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class LabError(RuntimeError):
    """The lab cannot do what was asked; the message says why and what to look at."""


def say(text: str) -> None:
    """One line of progress, on stderr."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float = 120,
    check: bool = True,
) -> str:
    """Run a command and return its stdout; a failure raises with the end of its stderr."""
    done = subprocess.run(
        [str(a) for a in argv],
        env=None if env is None else {**os.environ, **env},
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise LabError(f"{' '.join(str(a) for a in argv)}: exit code {done.returncode}\n{tail}")
    return done.stdout


def wait_for(what: str, test: Callable[[], bool], *, timeout: float = 60, every: float = 0.1) -> None:
    """Poll until `test` is true; raises with `what` when the time is over."""
    end = time.monotonic() + timeout
    while not test():
        if time.monotonic() > end:
            raise LabError(f"waited {timeout:.0f} s in vain for {what}")
        time.sleep(every)


@contextmanager
def locked(path: Path, *, transient: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on `path`; it ends with the process, however that ends.

    A transient lock file is removed afterwards. Whoever waited for it sees that the file is no longer the
    one at that path, and takes the lock anew.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds {path}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            same = os.fstat(handle).st_ino == path.stat().st_ino
        except FileNotFoundError:
            same = False
        if same:
            break
        os.close(handle)
    try:
        yield
    finally:
        if transient:
            path.unlink(missing_ok=True)
        os.close(handle)
