"""Reads the files that a person names: bounded, and without waiting for what never comes.

A name may lead to a device without an end, to a pipe that nobody writes to, or to a file of gigabytes.
"""

from __future__ import annotations

import os
import select
import stat
import time
from pathlib import Path

from wizard.messages import msg

PATIENCE = 10.0  # seconds for what is piped in


def read(path: Path, most: int, *, piped: bool = False) -> bytes:
    """All of a file, see `opened`."""
    return opened(path, most, piped=piped)[1]


def opened(path: Path, most: int, *, piped: bool = False) -> tuple[os.stat_result, bytes]:
    """What the file was when it was read, and the bytes of a regular file, or of one that a link leads to. ValueError, with a
    message that ends a sentence which begins with the file's name, where it cannot be had or has more than `most` bytes; its
    cause is the OSError, if there was one.

    `piped`: what is read once only may also come through a pipe, as of `<(…)` or /dev/stdin.
    """
    try:
        # Not blocking: a named pipe would wait for a writer. No terminal may become ours.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as error:
        raise ValueError(msg("is no name of a file: it has a NUL in it")) from error
    except OSError as error:
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            raise ValueError(msg("is a link to a file that is not there")) from error
        raise _unreadable(error) from error
    try:
        found = os.fstat(descriptor)
        pipe = piped and stat.S_ISFIFO(found.st_mode)
        if not pipe and not stat.S_ISREG(found.st_mode):
            raise ValueError(_no_file(found.st_mode))
        if found.st_size > most:
            raise _too_large(most)
        content = _all(descriptor, most + 1, time.monotonic() + PATIENCE)
    except OSError as error:
        raise _unreadable(error) from error
    finally:
        os.close(descriptor)
    if len(content) > most:  # it grew, or the system does not tell its size
        raise _too_large(most)
    return found, content


def read_if_there(path: Path, most: int) -> bytes | None:
    """`read`, or None where nothing has this name."""
    try:
        return read(path, most)
    except ValueError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError) and not path.is_symlink():
            return None
        raise


def _unreadable(error: OSError) -> ValueError:
    return ValueError(msg("cannot be read: {reason}", reason=error.strerror))


def _too_large(most: int) -> ValueError:
    return ValueError(msg("is larger than {limit} MiB", limit=most >> 20))


def _all(descriptor: int, most: int, until: float) -> bytes:
    parts: list[bytes] = []
    left = most
    while left:
        try:
            part = os.read(descriptor, min(left, 1 << 20))
        except BlockingIOError:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                why = msg("is a pipe that gave no end for {seconds:.0f} seconds", seconds=PATIENCE)
                raise ValueError(why) from None
            continue
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _no_file(mode: int) -> str:
    kinds = {
        stat.S_ISDIR: msg("is no file but a folder"),
        stat.S_ISFIFO: msg("is no file but a pipe"),
        stat.S_ISSOCK: msg("is no file but a socket"),
    }
    return next((words for is_one, words in kinds.items() if is_one(mode)), msg("is no file but a device"))
