"""Where the root certificate and its key are kept: a private folder outside the state, so that the state holds no secret."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wizard.certificates import pem
from wizard.certificates.files import settle_waiting, waiting, write_once, write_waiting
from wizard.engine.step import RootStore
from wizard.errors import Failed, NeedsPerson
from wizard.paths import of_this_user

CERTIFICATE = "root-cert.pem"
KEY = "root-key.pem"


def default_place(mesh: str) -> Path:
    """Where a mesh's root is kept when the mesh file names no folder. Raises BadInput where the user has no home."""
    import platformdirs

    otherwise = "name a folder for the root certificate in certificates.path of the mesh file"
    return of_this_user(lambda: platformdirs.user_data_path("meshwizard"), otherwise) / mesh / "root-ca"


class RootFolder(RootStore):
    """A folder 0700 with two files 0600.

    A key that stands there alone is somebody's, and never overwritten. That of a save which was interrupted is known by the
    certificate that waits beside it and fits it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._certificate, self._key = folder / CERTIFICATE, folder / KEY
        self.place = str(folder)

    def load(self) -> tuple[bytes, bytes] | None:
        try:
            if os.path.lexists(self._certificate):
                return self._certificate.read_bytes(), self._key.read_bytes()
            return self._interrupted()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failed(f"{error.filename} cannot be read: {error.strerror}", "Check who owns the folder.") from error

    def obstacle(self) -> str:
        there = [os.path.lexists(path) for path in (self._certificate, self._key)]
        if there == [True, False]:
            return f"{self._certificate} is there without {KEY}, and it is not overwritten"
        if there == [False, True] and self.load() is None:
            return f"{self._key} is there without {CERTIFICATE}, and it is not overwritten"
        return ""

    def save(self, certificate: bytes, key: bytes) -> None:
        self._must_be_free()
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.chmod(0o700)
            with self._alone():
                self._must_be_free()
                # The key has its name first: a certificate without its key would look finished.
                write_waiting(self._certificate, certificate)
                if not (write_once(self._key, key) and settle_waiting(self._certificate)):
                    raise self._occupied()
        except OSError as error:
            raise Failed(
                f"the root key cannot be kept in {self._folder}: {error.strerror}",
                "Free space, or name another folder in certificates.path.",
            ) from error

    def _interrupted(self) -> tuple[bytes, bytes] | None:
        """The root of a save that came as far as the key; it is finished now, where the folder can be written."""
        key, certificate = self._key.read_bytes(), waiting(self._certificate).read_bytes()
        try:
            (read,) = pem.certificates(certificate)
            if pem.private_key(key).public_key() != read.public_key():
                return None
        except ValueError:
            return None
        with suppress(OSError), self._alone(wait=False):
            waiting(self._key).unlink(missing_ok=True)
            settle_waiting(self._certificate)
        return certificate, key

    def _must_be_free(self) -> None:
        if os.path.lexists(self._certificate) or os.path.lexists(self._key):
            raise self._occupied()

    def _occupied(self) -> NeedsPerson:
        return NeedsPerson(
            self.obstacle() or f"{self._folder} holds a root already",
            f"Put {CERTIFICATE} and the {KEY} that belongs to it there, or name another folder in certificates.path.",
        )

    @contextmanager
    def _alone(self, *, wait: bool = True) -> Iterator[None]:
        """While nobody else saves here: two at once would leave the key of one beside the certificate of the other. OSError
        where somebody does and it is not to wait.
        """
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(descriptor)
