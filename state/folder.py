"""The state folder: one sub-folder per mesh."""

from __future__ import annotations

import os
import re
from contextlib import closing
from pathlib import Path

from . import generations, lock
from .errors import NotAName, StateError
from .files import Directory, open_folder
from .generations import BACKUP, FILE, put_aside, survey
from .journal import Journal
from .medium import Medium, Shelf
from .message import msg
from .records import MeshState, Unreadable, now
from .schema import SCHEMA

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def default_folder() -> Path:
    """Where this platform keeps a program's state for this user. Not created."""
    from platformdirs import user_state_path

    return user_state_path("meshwizard")


class StateFolder:
    """All meshes remembered on this machine. Constructing it touches nothing; the first `open` creates the folder.

    With a `shelf` the states are kept there, and only the locks (and any logs) in the folder.

    Every method raises StateError for a mesh name that is not a DNS-1123 label, and for a folder that others could
    change (see `files.open_folder`).
    """

    def __init__(self, folder: Path, *, program: str = "", shelf: Shelf | None = None) -> None:
        self.folder = folder.absolute()
        self.program = program
        self.shelf = shelf

    @property
    def place(self) -> str:
        """Where the states are, for messages."""
        return self.shelf.place if self.shelf else str(self.folder)

    def close(self) -> None:
        """Give up the connections of the shelf, if there is one."""
        if self.shelf:
            self.shelf.close()

    def path_of(self, name: str) -> Path:
        """The folder of this mesh's files; log files may live there too. Not created."""
        if not _NAME.fullmatch(name):
            raise NotAName(
                msg("{name} is not a name for a mesh; no state is kept under it.", name=repr(name[:80])),
                msg("Use lower-case letters, digits and '-', at most 63 of them, with a letter or digit at both ends."),
            )
        return self.folder / name

    def names(self) -> list[str]:
        """The meshes of which anything is remembered, readable or not, sorted."""
        if self.shelf:
            return sorted(name for name in self.shelf.names() if _NAME.fullmatch(name))
        directory = open_folder(self.folder, create=False)
        if directory is None:
            return []
        with directory:
            return sorted(name for name in directory.names() if _NAME.fullmatch(name) and _remembers(directory, name))

    def read(self, name: str) -> MeshState | None:
        """The newest generation that can be believed; None if nothing is remembered. Takes no lock, changes nothing.

        Raises StateDamaged where files exist but none can be believed; StateTooNew.
        """
        medium: Medium | None
        if self.shelf:
            self.path_of(name)  # refuses what is no name
            medium = self.shelf.medium(name)
        else:
            medium = self._directory(name, create=False)
        if medium is None:
            return None
        with closing(medium):
            found = survey(medium, name)
            if found.state is None and found.exists:
                raise generations.none_left(medium, found)
            return found.state

    def summaries(self) -> list[MeshState | Unreadable]:
        """One entry per mesh in `names`; one bad mesh does not hide the others."""
        entries: list[MeshState | Unreadable] = []
        for name in self.names():
            try:
                state = self.read(name)
            except StateError as error:
                entries.append(Unreadable(name, error.what, error.remedy))
            else:
                if state is not None:
                    entries.append(state)
        return entries

    def open(self, name: str) -> Journal:
        """Take the mesh's lock and load its state, or begin a new lineage; nothing is written before `start`.

        Files that cannot be believed are quarantined, and `Journal.recovered` says so. Raises StateBusy at once where
        another run, or a child it left behind, holds the mesh; StateTooNew; StateWriteFailed.
        """
        directory, fd = self._hold(name)
        try:
            directory.sweep()
            medium: Medium = self.shelf.medium(name) if self.shelf else directory
            found = survey(medium, name)
            recovered = put_aside(medium, found)
            if found.source and found.schema < SCHEMA:
                medium.link(found.source, f"{BACKUP}{found.schema}")
        except BaseException:
            os.close(fd)
            directory.close()
            raise
        stamp = found.stamp if found.source == FILE else None
        return Journal(directory, fd, medium, found.state or self._begin(name), stamp, recovered, self.program)

    def _hold(self, name: str) -> tuple[Directory, int]:
        """The mesh's folder and the descriptor that holds its lock."""
        directory = self._directory(name, create=True)
        assert directory is not None  # noqa: S101 - created
        try:
            return directory, lock.take(directory, name)
        except BaseException:
            directory.close()
            raise

    def _directory(self, name: str, *, create: bool) -> Directory | None:
        path = self.path_of(name)
        outer = open_folder(self.folder, create=create)
        if outer is None:
            return None
        outer.close()
        return open_folder(path, create=create)

    def _begin(self, name: str) -> MeshState:
        moment = now()
        return MeshState(
            name=name,
            lineage=os.urandom(16).hex(),
            serial=0,
            created=moment,
            updated=moment,
            written_by=self.program,
            operation="apply",
            payload={},
            finished=False,
            document={},
            options={},
            clusters={},
            steps={},
        )


def _remembers(directory: Directory, name: str) -> bool:
    path = directory.path / name
    try:
        if path.is_symlink():
            return True  # so that a summary tells that it is refused
        return any(generations.is_ours(entry.name) for entry in path.iterdir())
    except NotADirectoryError:
        return False
    except OSError:
        return True
