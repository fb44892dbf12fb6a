"""One writer per mesh: a kernel lock on a file beside the state.

The lock file is never removed and never replaced, so whoever opens it meets the same lock. The kernel frees it when
the last process that holds the descriptor is gone: nothing is ever left to unlock by hand.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from errno import EACCES, EAGAIN

from .errors import StateBusy, StateError, look_failed, write_failed
from .files import Directory
from .message import msg

LOCK = "lock"
_PID_LENGTH = 20
_TOKEN_LENGTH = 32  # of a random name, behind the pid


def take(directory: Directory, mesh: str) -> int:
    """The descriptor that holds the lock until it, and every copy a child inherited, is closed.

    Raises StateBusy without waiting; StateError where the file system cannot lock (never a weaker lock instead).
    """
    try:
        fd = directory.open_file(LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise write_failed(directory.path / LOCK, error) from error
    try:
        _lock(directory, fd, mesh)
    except BaseException:
        os.close(fd)
        raise
    with suppress(OSError):  # only for the sentence that another run will print
        os.pwrite(fd, f"{os.getpid()}".encode().ljust(_PID_LENGTH), 0)
    return fd


def identity(fd: int) -> str:
    """The name of the lock behind this descriptor, the same for all who hold it one after the other, on this machine only. Not
    the same for a copy of the file, or for one that stands in two containers. Only for the holder.
    """
    token = os.pread(fd, _TOKEN_LENGTH, _PID_LENGTH)
    if len(token) < _TOKEN_LENGTH:
        token = os.urandom(_TOKEN_LENGTH // 2).hex().encode()
        with suppress(OSError):  # then the next holder is another to those who ask
            os.pwrite(fd, token, _PID_LENGTH)
    place = f"{os.fstat(fd).st_ino} {os.uname().nodename} "
    return hashlib.sha256(place.encode() + token).hexdigest()[:32]


def is_ours(directory: Directory, fd: int) -> bool:
    """Whether the lock file that others would find by its path is still the one behind this descriptor. StateError where
    that cannot be looked at.
    """
    try:
        return os.path.samestat(os.lstat(directory.path / LOCK), os.fstat(fd))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise look_failed(directory.path / LOCK, error) from error


def _lock(directory: Directory, fd: int, mesh: str) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise (_busy(mesh, fd) if error.errno in (EAGAIN, EACCES) else _no_locks(directory, error)) from error
    if not is_ours(directory, fd):
        raise StateBusy(msg("Another run is just starting with {mesh}.", mesh=mesh), msg("Try again in a moment."))


def _busy(mesh: str, fd: int) -> StateBusy:
    pid = _holder(fd)
    if pid is None:
        return StateBusy(
            msg("Another run holds the mesh {mesh}.", mesh=mesh), msg("Wait until it has ended, then run this again.")
        )
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return StateBusy(
            msg(
                "The run that held the mesh {mesh} (process {pid}) is gone, but a command it started still works on it.",
                mesh=mesh,
                pid=pid,
            ),
            msg("Wait until that has ended, then run this again."),
            pid,
        )
    except OSError:
        pass  # it lives, as another user
    return StateBusy(
        msg("Another run (process {pid}) holds the mesh {mesh}.", pid=pid, mesh=mesh),
        msg("Wait until it has ended, or end it; then run this again."),
        pid,
    )


def _holder(fd: int) -> int | None:
    with suppress(OSError, ValueError):
        pid = int(os.pread(fd, _PID_LENGTH, 0))
        if 0 < pid < 2**31:
            return pid
    return None


def _no_locks(directory: Directory, error: OSError) -> StateError:
    return StateError(
        msg(
            "The file system of {folder} cannot lock files ({reason}): two runs could not be kept apart.",
            folder=directory.path,
            reason=error.strerror,
        ),
        msg("Choose a folder on a local disk with --state-dir DIR."),
    )
