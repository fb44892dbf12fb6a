"""Where the root certificate and its key are kept: a private folder outside the state, so that the state holds no secret."""

from __future__ import annotations

from pathlib import Path

from wizard.certificates.files import write_private
from wizard.engine.step import RootStore
from wizard.errors import Failed, NeedsPerson

CERTIFICATE = "root-cert.pem"
KEY = "root-key.pem"


def default_place(mesh: str) -> Path:
    """Where a mesh's root is kept when the mesh file names no folder."""
    import platformdirs

    return platformdirs.user_data_path("meshwizard") / mesh / "root-ca"


class RootFolder(RootStore):
    """A folder 0700 with two files 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = str(folder)

    def load(self) -> tuple[bytes, bytes] | None:
        try:
            return (self._folder / CERTIFICATE).read_bytes(), (self._folder / KEY).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failed(f"{error.filename} cannot be read: {error.strerror}", "Check who owns the folder.") from error

    def save(self, certificate: bytes, key: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.chmod(0o700)
            if (self._folder / CERTIFICATE).exists():
                raise NeedsPerson(
                    f"{self._folder} holds a root certificate already, but not its key",
                    f"Put {KEY} back beside it, or name another folder in certificates.path.",
                )
            # The key first: a certificate without its key would look finished.
            for name, content in ((KEY, key), (CERTIFICATE, certificate)):
                write_private(self._folder / name, content)
        except OSError as error:
            raise Failed(
                f"the root key cannot be kept in {self._folder}: {error.strerror}",
                "Free space, or name another folder in certificates.path.",
            ) from error
