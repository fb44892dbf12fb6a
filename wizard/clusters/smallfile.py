"""Files that a kubeconfig is or names: read whole, and only where they are files and no larger than such files are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_BYTES = 8 << 20  # hundreds of clusters with their certificates inline


def content(path: Path, most: int = MAX_BYTES) -> bytes:
    """All of it. Raises ValueError, with a sentence's end (“cannot be read: …”), for what is no file, too large or unreadable."""
    return opened(path, most)[1]


def opened(path: Path, most: int = MAX_BYTES) -> tuple[os.stat_result, bytes]:
    """What the file was when it was read, and all of it; raises as `content` does."""
    try:
        # A pipe that nobody writes to would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be read: {_why(error)}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"is {_kind(found.st_mode)}, not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {_why(error)}") from error
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise ValueError(f"is larger than {most >> 20} MiB, which none of its kind is")
    return found, data


def _why(error: OSError | ValueError) -> str:
    return (error.strerror or "it cannot be opened") if isinstance(error, OSError) else "its name holds a NUL"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a socket"
