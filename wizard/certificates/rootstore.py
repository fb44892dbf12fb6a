"""Where the root certificate and its key are kept: a private folder outside the state, so that the state holds no secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.errors import Purpose, StateBusy, StateError, StateWriteFailed
from state.private import PrivateFolder
from wizard.certificates import pem
from wizard.certificates.authority import ROOT_KEY as KEY
from wizard.certificates.bundle import ROOT as CERTIFICATE
from wizard.certificates.cores import write_no_core
from wizard.engine.step import Conflict
from wizard.errors import Busy, Failed, NeedsPerson, remedy_of
from wizard.messages import msg
from wizard.paths import of_this_user
from wizard.world import RootStore

_PURPOSE = Purpose(
    what=msg("The root key"),
    elsewhere=msg("Name another folder in certificates.path."),
    readable=msg("Make it readable for you, or name another folder in certificates.path."),
    again=msg("Name another folder in certificates.path, then run the same command again."),
)
_OLD = tuple(f".{name}.new" for name in (CERTIFICATE, KEY))  # what a save that was killed left, in earlier builds


def default_place(mesh: str) -> Path:
    """Where a mesh's root is kept when the mesh file names no folder. Raises BadInput where the user has no home."""
    import platformdirs

    otherwise = msg("name a folder for the root certificate in certificates.path of the mesh file")
    return of_this_user(lambda: platformdirs.user_data_path("meshwizard"), otherwise) / mesh / "root-ca"


class RootFolder(RootStore):
    """A folder with two files 0600. One that it makes is 0700; one that is there is refused where others could change it, or, for
    a new root, list it. What stands there is never overwritten, nor a part of a pair.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = str(folder)

    def load(self) -> tuple[bytes, bytes] | None:
        with _as_trouble():
            folder = PrivateFolder.open(self._folder, _PURPOSE, create=False)
            if folder is None:
                return None
            with folder:
                folder.settle(_OLD)
                if not (folder.has(CERTIFICATE) and folder.has(KEY)):
                    return None
                certificate = folder.read(CERTIFICATE, pem.MAX_BYTES, secret=False)
                write_no_core()
                key = folder.read(KEY, pem.MAX_BYTES, secret=True)
        return None if certificate is None or key is None else (certificate, key)

    def obstacle(self) -> Conflict | None:
        if self.load() is not None:
            return None
        try:
            folder = PrivateFolder.open(self._folder, _PURPOSE, create=False)
            if folder:
                with folder:
                    occupied = self._occupied(folder)
                    if occupied is None:
                        folder.must_be_closed_to_others()
                    return occupied
        except StateError as error:
            return Conflict(error.what, remedy_of(error))
        return None

    def save(self, certificate: bytes, key: bytes) -> None:
        with _as_trouble():
            folder = PrivateFolder.open(self._folder, _PURPOSE, create=True)
            assert folder is not None  # noqa: S101 - created
            with folder:
                folder.settle(_OLD)
                occupied = self._occupied(folder)
                if not occupied:
                    folder.must_be_closed_to_others()
                    if folder.create_together({KEY: key, CERTIFICATE: certificate}):
                        return
                    occupied = self._occupied(folder)
        if not occupied:
            raise NeedsPerson(msg("{folder} changes just now", folder=self._folder), msg("Try again."))
        raise NeedsPerson(occupied.what, occupied.remedy)

    def _occupied(self, folder: PrivateFolder) -> Conflict | None:
        """What of a root is there already, which is not overwritten."""
        there = [name for name in (CERTIFICATE, KEY) if folder.has(name)]
        if not there:
            return None
        lacking = KEY if there == [CERTIFICATE] else CERTIFICATE
        what = msg(
            "{file} is there without {lacking}, and it is not overwritten",
            file=self._folder / there[0],
            lacking=lacking,
        )
        if len(there) > 1:
            what = msg("{folder} holds a root already, and it is not overwritten", folder=self._folder)
        remedy = msg(
            "Put {certificate} and the {key} that belongs to it there, or name another folder in certificates.path.",
            certificate=CERTIFICATE,
            key=KEY,
        )
        return Conflict(what, remedy)


@contextmanager
def _as_trouble() -> Iterator[None]:
    try:
        yield
    except StateBusy as error:
        raise Busy(error.what, remedy_of(error)) from error
    except StateWriteFailed as error:
        raise Failed(error.what, remedy_of(error)) from error
    except StateError as error:
        raise NeedsPerson(error.what, remedy_of(error)) from error
