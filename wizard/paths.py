"""Paths as a person types them, of which nothing raises: what is wrong with one says whoever opens it. And the folders that
a user has of the platform.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from wizard.errors import BadInput
from wizard.messages import msg


def of_this_user(find: Callable[[], Path], otherwise: str) -> Path:
    """The folder of this user that `find` gives. Raises BadInput where the user has no home, which is where it would be;
    `otherwise`: what may be given instead.
    """
    try:
        return find()
    except RuntimeError as error:
        raise BadInput(
            msg("no home directory is known: HOME is not set, and this system does not know the user either"),
            msg("Set HOME, or {otherwise}.", otherwise=otherwise),
        ) from error


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
