"""What a file or folder must be before it is believed or written: ours, real, and closed to everybody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import STATE, Purpose, StateError


def check_file(path: Path, found: os.stat_result, purpose: Purpose = STATE) -> None:
    """StateError unless this is a regular file of this user."""
    if not stat.S_ISREG(found.st_mode):
        raise refused(path, "is not a regular file", purpose)
    _check_owner(path, found, purpose)


def check_mode(path: Path, found: os.stat_result, *, secret: bool) -> None:
    """StateError if others can write this file or folder, or (`secret`) read it."""
    if found.st_mode & stat.S_IWOTH:
        raise _open_to(path, "can be written by everybody", "go-w")
    if found.st_mode & stat.S_IWGRP:
        raise _open_to(path, "can be written by its group", "go-w")
    if secret and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _open_to(path, f"can be read by others (mode {stat.S_IMODE(found.st_mode):04o})", "go=")


def check_folder(path: Path, found: os.stat_result, purpose: Purpose = STATE) -> None:
    """StateError unless only this user can write here, and nobody can swap the folder for another one."""
    _check_owner(path, found, purpose)
    check_mode(path, found, secret=False)
    for above in path.resolve().parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:  # sticky, like /tmp, protects what lies in it
            raise refused(path, f"lies in {above}, where everybody can write", purpose)


def _check_owner(path: Path, found: os.stat_result, purpose: Purpose) -> None:
    if found.st_uid != os.geteuid():
        raise refused(path, f"belongs to another user (uid {found.st_uid}, you are {os.geteuid()})", purpose)


def _open_to(path: Path, why: str, cure: str) -> StateError:
    return StateError(
        f"{path} {why}; it is not used.", "Take this right from them with chmod.", ("chmod", cure, str(path))
    )


def refused(path: object, why: str, purpose: Purpose = STATE) -> StateError:
    return StateError(f"{path} {why}; it is not used.", purpose.elsewhere)
