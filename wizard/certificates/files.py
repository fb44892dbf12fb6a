"""Writes keys and what belongs to them: private, durable, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write a file 0600, replacing what is there. Raises OSError."""
    write_waiting(path, content).replace(path)
    _settle(path.parent)


def write_once(path: Path, content: bytes) -> bool:
    """Write a file 0600 where there is none; False, and nothing done, where there is one. Raises OSError."""
    if os.path.lexists(path):
        return False
    write_waiting(path, content)
    return settle_waiting(path)


def write_waiting(path: Path, content: bytes) -> Path:
    """Write a file 0600 under the name under which it waits to become `path`, and give that. Raises OSError."""
    temporary = waiting(path)
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return temporary


def settle_waiting(path: Path) -> bool:
    """Give the file that waits its name; False, and it is dropped, where something has that name. Raises OSError."""
    temporary = waiting(path)
    try:
        # A link never replaces what appeared in between, as a rename would.
        path.hardlink_to(temporary)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    _settle(path.parent)
    return True


def waiting(path: Path) -> Path:
    """The name under which a file waits to become `path`."""
    return path.with_name(f".{path.name}.new")


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
