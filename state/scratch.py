"""Temporary folders that do not outlive their program for long: what a killed one left is removed by the next."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A private folder of this program's alone, removed at the end. Its name begins with `prefix`, which no other program uses:
    folders of that name that nobody holds any more are removed first. Raises OSError.
    """
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{prefix}*"):
        with suppress(OSError):
            _remove_left(left)
    path, held = _made(place, prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


def _made(place: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and the descriptor that holds it as long as this program lives."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        with suppress(FileNotFoundError, BlockingIOError):  # one that starts just now took it for one that was left
            held = os.open(path, _FOLDER)
            try:
                _hold(held)
                path.lstat()
            except OSError:
                os.close(held)
                raise
            return path, held


def _hold(folder: int) -> None:
    """BlockingIOError where another program holds it."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # where there are no locks nothing is taken for left either


def _remove_left(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        return
    held = os.open(path, _FOLDER)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(held)
