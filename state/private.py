"""The one store for files that are nobody else's to read or to change, such as keys, with the state's guards.

A folder is refused that is a link, another user's, or that others could change; so is a file in it. Keys are never overwritten.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from . import whole
from .checks import check_mode
from .errors import Purpose, StateBusy, StateError, sentence
from .files import Directory, open_folder
from .message import msg

PENDING = ".meshwizard-pending"  # files that belong together, before the first of them has its name
PATIENCE = 10.0  # seconds; a few files are written and flushed in less


class PrivateFolder:
    """A checked folder of private files, held open. Every method raises StateError for what is refused, StateWriteFailed
    where the disk refuses.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.path = directory.path

    @classmethod
    def open(cls, path: Path, purpose: Purpose, *, create: bool) -> PrivateFolder | None:
        """The folder; None if it is absent and not to be created. Created with mode 0700; else its mode is left as it is."""
        directory = open_folder(path, create=create, purpose=purpose)
        return cls(directory) if directory else None

    def __enter__(self) -> PrivateFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._directory.close()

    def must_be_closed_to_others(self) -> None:
        """Refused where others can as much as list the folder: what we put into a folder lies in one that is 0700."""
        check_mode(self.path, os.fstat(self._directory.fd), secret=True)

    def has(self, name: str) -> bool:
        """Whether anything has this name."""
        return self._directory.stamp(name) is not None

    def read(self, name: str, limit: int, *, secret: bool) -> bytes | None:
        """The bytes of a file that only this user can change and (`secret`) read; None if there is none."""
        path = self.path / name
        content = self._directory.read(name, limit, secret=secret)
        if content is not None and len(content) > limit:
            what = msg("{path} is larger than {limit} MiB; it is not used", path=path, limit=limit >> 20)
            raise StateError(sentence(what), msg("Put the right file there."))
        return content

    def create(self, name: str, data: bytes) -> bool:
        """Make a new file 0600; False, and nothing done, where something has this name."""
        with self._alone(), self._directory.writing():
            return not self.has(name) and whole.write_in(self._directory.fd, name, data)

    def replace(self, name: str, data: bytes) -> None:
        """Make `data` the content of a file 0600, in place of what it was."""
        with self._directory.writing():
            whole.write_in(self._directory.fd, name, data, over=True)

    def create_together(self, files: Mapping[str, bytes]) -> bool:
        """Make these new files 0600, all or none; False, and nothing done, where something has one of their names. A kill
        at any moment leaves none, or what `settle` completes.
        """
        with self._alone(), self._directory.writing():
            self._settle()
            if any(map(self.has, files)):
                return False
            text = json.dumps({name: data.decode("latin-1") for name, data in files.items()})
            whole.write_in(self._directory.fd, PENDING, text.encode())
            return self._name(files)

    def settle(self, left: Collection[str] = ()) -> None:
        """Complete what a writer of `create_together` left that died, and remove what others left: files of these names, too."""
        names = self._directory.names()
        if any(name == PENDING or name in left or name.startswith(whole.TEMPORARY) for name in names):
            with self._alone(), self._directory.writing():
                whole.sweep(self._directory.fd)
                for name in left:
                    self._directory.remove(name)
                self._settle()

    def _settle(self) -> None:
        raw = self._directory.read(PENDING, 1 << 24)
        if raw is None:
            return
        try:
            files = {name: text.encode("latin-1") for name, text in json.loads(raw).items()}
        except (ValueError, AttributeError) as error:
            raise StateError(
                sentence(msg("{path} is damaged", path=self.path / PENDING)),
                msg("Take it away: nothing was made of it yet."),
            ) from error
        self._name(files)

    def _name(self, files: Mapping[str, bytes]) -> bool:
        """Give the files that are pending their names; False, and none is made, where there are others of their names."""
        kept = {name: self._directory.read(name, len(data)) for name, data in files.items()}
        free = all(kept[name] in (None, data) for name, data in files.items())
        made: list[str] = []
        for name, data in files.items():
            if free and kept[name] is None:
                free = whole.write_in(self._directory.fd, name, data)
                made += [name] if free else []
        for name in made if not free else ():
            self._directory.remove(name)
        self._directory.remove(PENDING)
        self._directory.flush()
        return free

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While nobody else changes this folder through here. StateBusy where somebody does for longer than it ever takes."""
        until = time.monotonic() + PATIENCE
        while not self._taken():
            if time.monotonic() > until:
                raise StateBusy(
                    sentence(msg("Another run is writing to {folder}", folder=self.path)),
                    msg("Wait until it has ended, then run this again."),
                )
            time.sleep(0.02)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(self._directory.fd, fcntl.LOCK_UN)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._directory.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            what = msg(
                "The file system of {folder} cannot lock folders ({reason}); it is not used",
                folder=self.path,
                reason=error.strerror,
            )
            raise StateError(sentence(what), self._directory.purpose.elsewhere) from error
        return True
