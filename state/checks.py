"""What a file or folder must be before it is believed or written: ours, real, and closed to everybody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .errors import StateError


def check_file(path: Path, found: os.stat_result) -> None:
    """StateError unless this is a regular file of this user."""
    if not stat.S_ISREG(found.st_mode):
        raise refused(path, "is not a regular file")
    if found.st_uid != os.geteuid():
        raise refused(path, f"belongs to another user (uid {found.st_uid}, you are {os.geteuid()})")


def check_folder(path: Path, found: os.stat_result) -> None:
    """StateError unless only this user can write here, and nobody can swap the folder for another one."""
    if found.st_uid != os.geteuid():
        raise refused(path, f"belongs to another user (uid {found.st_uid}, you are {os.geteuid()})")
    if found.st_mode & stat.S_IWOTH:
        raise refused(path, "can be written by everybody", f"Run: chmod go-w {path}")
    if found.st_mode & stat.S_IWGRP:
        raise refused(path, "can be written by its group", f"Run: chmod go-w {path}")
    for above in path.resolve().parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:  # sticky, like /tmp, protects what lies in it
            raise refused(path, f"lies in {above}, where everybody can write")


def refused(path: object, why: str, remedy: str = "") -> StateError:
    return StateError(f"{path} {why}; it is not used.", remedy or "Choose another folder with --state-dir DIR.")
