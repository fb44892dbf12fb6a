"""Where the generations of a mesh's state may be kept: a folder here (`files.Directory`), or a place that is handed in.

What keeps two writers apart on this machine, the kernel's lock, stands in a folder always.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol


class Medium(Protocol):
    """The files of one mesh, open until `close`. What it refuses is a StateError; what it cannot write, StateWriteFailed."""

    def label(self, name: str = "") -> str:
        """What a person calls this file, or (empty) the whole."""
        ...

    def names(self) -> list[str]:
        """The files there are."""
        ...

    def stamp(self, name: str) -> Hashable | None:
        """The same as long as nobody replaced the file; None if there is none."""
        ...

    def read(self, name: str, limit: int) -> bytes | None:
        """The file's bytes, at most `limit` + 1 of them; None if there is none."""
        ...

    def replace(self, name: str, data: bytes, keep: int) -> None:
        """Make `data` the content of `name`, durably, moving up to `keep` earlier ones to `name.1`, `name.2`, …. At every moment
        `name` is the old file or the new one. What was moved and removed before is durable with it.
        """
        ...

    def link(self, name: str, second: str) -> bool:
        """Keep what a file holds under a second name, too. False where that cannot be."""
        ...

    def move(self, old: str, new: str) -> None:
        """Give a file another name."""
        ...

    def remove(self, name: str) -> None:
        """Remove one file; fine if it is gone already."""
        ...

    def sweep(self) -> None:
        """Remove what writers left that died. Only for the holder of the lock."""
        ...

    def flush(self) -> None:
        """Make what was moved and removed durable."""
        ...

    def close(self) -> None:
        """Give up what is held. May be called twice."""
        ...


class Shelf(Protocol):
    """A place for the states of many meshes, away from this machine."""

    place: str  # as --state names it

    def names(self) -> list[str]:
        """The meshes of which anything is remembered. Raises StateError."""
        ...

    def medium(self, mesh: str) -> Medium:
        """What is kept of this mesh, as it is now. Raises StateError."""
        ...

    def close(self) -> None:
        """Give up connections."""
        ...
