"""Paths as a person types them. Nothing here raises: what is wrong with a path says whoever opens it."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(typed: str | Path) -> Path:
    """The path with `~` and `~user` resolved; as it was typed where that is nobody's home, as shells do it."""
    try:
        return Path(typed).expanduser()
    except RuntimeError:
        return Path(typed)


# Those of pathlib raise where a folder above may not be entered, or a name is too long.


def is_there(path: Path) -> bool:
    """Whether something has this path, as far as this user can see."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Whether a file has this path, as far as this user can see."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether a folder has this path, as far as this user can see."""
    return os.path.isdir(path)  # noqa: PTH112
