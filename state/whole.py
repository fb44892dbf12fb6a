"""Writes one file, whole or not at all, into any folder that a person names.

While it is written it has no name where the system allows that (Linux), so that a kill leaves nothing. Elsewhere, and for the
moment in which it replaces another, its name begins with `TEMPORARY` and its writer holds a lock on it: whoever writes into that
folder next removes those that nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from .files import NO_LINKS, flush_file, flush_folder

TEMPORARY = ".meshwizard-writing-"
_NAMELESS = getattr(os, "O_TMPFILE", 0)
_LOCKED = getattr(os, "O_EXLOCK", 0)  # BSD and macOS: locked from the first moment
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def write(path: Path, data: bytes, *, mode: int = 0o600, over: bool = False) -> bool:
    """Make `data` the content of a file with these permissions, durably. `over`: in place of the one that is there; otherwise
    nothing is done, and False given, where something has this name. Raises OSError, and then all is as before.
    """
    folder = os.open(path.parent, _FOLDER)
    try:
        return write_in(folder, path.name, data, mode=mode, over=over)
    finally:
        os.close(folder)


def write_in(folder: int, name: str, data: bytes, *, mode: int = 0o600, over: bool = False) -> bool:
    """The same in the folder of this descriptor."""
    sweep(folder)
    temporary = f"{TEMPORARY}{os.urandom(8).hex()}"
    fd, source = _begin(folder, temporary)
    try:
        with suppress(OSError):  # where there are no locks nothing is swept either
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(fd, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        flush_file(fd)
        if over:
            if source != temporary:
                _link(folder, source, temporary)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        elif not _name(folder, source, name):
            return False
    finally:
        os.close(fd)
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
    flush_folder(folder)
    return True


def sweep(folder: int) -> None:
    """Remove what writers left here that died. Never raises: litter is no reason to refuse work."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(TEMPORARY):
                with suppress(OSError):
                    _remove_left(folder, name)


def _remove_left(folder: int, name: str) -> None:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        return
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(fd)


def _begin(folder: int, temporary: str) -> tuple[int, str]:
    """A new file, and the name by which it can be linked to."""
    if _NAMELESS:
        with suppress(OSError):  # what speaks against it speaks against a name as well, or only against this way
            fd = os.open(".", _NAMELESS | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder)
            source = f"/proc/self/fd/{fd}"
            if os.path.lexists(source):
                return fd, source
            os.close(fd)
    return os.open(temporary, _NEW | _LOCKED, 0o600, dir_fd=folder), temporary


def _name(folder: int, source: str, name: str) -> bool:
    """Give the file its name; False where something has it. A link never replaces what appeared in between, as a rename would."""
    try:
        _link(folder, source, name)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with suppress(FileNotFoundError):
            os.stat(name, dir_fd=folder, follow_symlinks=False)
            return False
        os.rename(source, name, src_dir_fd=folder, dst_dir_fd=folder)
    return True


def _link(folder: int, source: str, name: str) -> None:
    nameless = source.startswith("/")  # a link of the system's to the file itself
    os.link(source, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=nameless)
