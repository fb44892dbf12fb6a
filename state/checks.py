"""What a file or folder must be before it is believed or written: ours, real, and closed to everybody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import STATE, Purpose, StateError, sentence
from .message import msg


def check_file(path: Path, found: os.stat_result, purpose: Purpose = STATE) -> None:
    """StateError unless this is a regular file of this user."""
    if not stat.S_ISREG(found.st_mode):
        raise refused(path, msg("is not a regular file"), purpose)
    _check_owner(path, found, purpose)


def check_mode(path: Path, found: os.stat_result, *, secret: bool) -> None:
    """StateError if others can write this file or folder, or (`secret`) read it."""
    if found.st_mode & stat.S_IWOTH:
        raise _open_to(path, msg("can be written by everybody"), "go-w")
    if found.st_mode & stat.S_IWGRP:
        raise _open_to(path, msg("can be written by its group"), "go-w")
    if secret and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(found.st_mode)
        raise _open_to(path, msg("can be read by others (mode {mode:04o})", mode=mode), "go=")


def check_folder(path: Path, found: os.stat_result, purpose: Purpose = STATE) -> None:
    """StateError unless only this user can write here, and nobody can swap the folder for another one."""
    _check_owner(path, found, purpose)
    check_mode(path, found, secret=False)
    for above in path.resolve().parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:  # sticky, like /tmp, protects what lies in it
            raise refused(path, msg("lies in {folder}, where everybody can write", folder=above), purpose)


def _check_owner(path: Path, found: os.stat_result, purpose: Purpose) -> None:
    if found.st_uid != os.geteuid():
        why = msg("belongs to another user (uid {owner}, you are {user})", owner=found.st_uid, user=os.geteuid())
        raise refused(path, why, purpose)


def _open_to(path: Path, why: str, cure: str) -> StateError:
    return StateError(_not_used(path, why), msg("Take this right from them with chmod."), ("chmod", cure, str(path)))


def refused(path: object, why: str, purpose: Purpose = STATE) -> StateError:
    return StateError(_not_used(path, why), purpose.elsewhere)


def _not_used(path: object, why: str) -> str:
    return sentence(msg("{path} {problem}; it is not used", path=path, problem=why))
