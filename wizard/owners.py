"""Who else could change a program that is run here, or a file that names one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from wizard.messages import msg

ROOT = 0


def changeable(path: Path) -> str:
    """Who besides this user and root may change this file, or put another in its place, in words that follow "can be changed by";
    empty where nobody may, or where the file cannot be looked at. A group of the user's own name holds nobody else by custom.
    """
    try:
        real = path.resolve()
        for part in (real, *real.parents):
            who = _others(part, part.stat())
            if who:
                return (
                    who
                    if part == real
                    else msg("{who}, who may put another in its folder {folder}", who=who, folder=str(part))
                )
    except (OSError, RuntimeError):
        return ""
    return ""


def _others(part: Path, found: os.stat_result) -> str:
    if found.st_uid not in (ROOT, os.geteuid()):
        if part.is_dir():
            return msg("user {uid}", uid=found.st_uid)
        return msg("its owner, user {uid}", uid=found.st_uid)
    sticky = part.is_dir() and found.st_mode & stat.S_ISVTX  # as /tmp: nobody takes away what is another's
    if found.st_mode & stat.S_IWOTH and not sticky:
        return msg("everybody")
    own = (ROOT, os.getegid()) if os.geteuid() != ROOT else (ROOT,)
    group = found.st_mode & stat.S_IWGRP and found.st_gid not in own
    return msg("group {gid}", gid=found.st_gid) if group and not sticky else ""
