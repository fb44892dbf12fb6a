"""Writes the files that a person asked for: whole or not at all."""

from __future__ import annotations

import os
import stat
from errno import ELOOP, ENAMETOOLONG, EROFS
from pathlib import Path

from state import whole
from wizard.errors import BadInput, Failed
from wizard.messages import msg
from wizard.paths import is_folder
from wizard.text import one_line

_ELSEWHERE = msg("Give another place.")


def write(path: Path, text: str, *, overwrite: bool, mode: int) -> None:
    """Write the file with these permissions, whole or not at all. What is overwritten keeps what it denies to others; a link
    keeps leading where it does; into what is no file (a pipe, a device) the text is just written. Raises BadInput where it exists
    and may not be overwritten, Failed where the disk refuses.
    """
    name = one_line(path)
    before = _status(path) if overwrite else None
    if before is not None:
        if _streams(path, before):
            _pour(path, text)
            return
        path, mode = path.resolve(), mode & stat.S_IMODE(before.st_mode)
    data = text.encode()
    try:
        done = whole.write(path, data, mode=mode, over=overwrite)
    except (OSError, ValueError) as error:
        kind = BadInput if _no_place(error) else Failed
        raise kind(_unwritten(name, error), _ELSEWHERE) from error
    if not done:
        raise BadInput(msg("{file} exists, and is left as it is", file=name), msg("Give another name, or --force."))


def check(path: Path) -> None:
    """Raises BadInput where there is no folder for the file, or none that this user may write in."""
    before = _status(path)
    if before is not None and _streams(path, before):
        return
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise BadInput(_unwritten(one_line(path), error), _ELSEWHERE) from error
    folder = (path.resolve() if before else path.absolute()).parent
    if not is_folder(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(
            msg(
                "{file} cannot be written: {folder} is no folder that you may write in",
                file=one_line(path),
                folder=one_line(folder),
            ),
            _ELSEWHERE,
        )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def _streams(path: Path, status: os.stat_result) -> bool:
    """Whether it is no file to be replaced, or one that somebody holds open, under a name like /dev/stdout."""
    return not stat.S_ISREG(status.st_mode) or path.absolute().is_relative_to("/dev")


def _pour(path: Path, text: str) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise Failed(_unwritten(one_line(path), error), _ELSEWHERE) from error


def _no_place(error: OSError | ValueError) -> bool:
    """Whether no file could be there: the person gave a place that there is not, or that is not theirs."""
    kinds = (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError)
    return not isinstance(error, OSError) or isinstance(error, kinds) or error.errno in (ENAMETOOLONG, ELOOP, EROFS)


def _unwritten(name: str, error: OSError | ValueError) -> str:
    why = str(error.strerror if isinstance(error, OSError) else error)
    return msg("{file} cannot be written: {problem}", file=name, problem=why)
