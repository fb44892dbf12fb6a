"""Keys and signing requests for clusters whose root key is kept elsewhere: the request goes out, a certificate comes back."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from wizard.certificates import authority, pem
from wizard.certificates.bundle import CERT, KEY
from wizard.certificates.files import write_once, write_private
from wizard.certificates.openssl import REQUEST
from wizard.errors import Failed, NeedsPerson


def write_request(place: Path, cluster: str, trust_domain: str) -> tuple[Path, ...]:
    """See that the cluster's key and signing request stand in the folder; gives the files that were written now. A key that
    is there is used, and never overwritten.
    """
    folder = place / cluster
    try:
        if folder.is_symlink():
            raise NeedsPerson(f"{folder} is a link, and a key is not written through one", "Make it a folder.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        written = []
        if not (folder / CERT).exists() and write_once(folder / KEY, authority.make_key()):
            written.append(folder / KEY)
        key = (folder / KEY).read_bytes()
        try:
            if not _asks_for(folder / REQUEST, key):
                write_private(folder / REQUEST, authority.make_request(key, cluster, trust_domain))
                written.append(folder / REQUEST)
        except ValueError as error:
            raise NeedsPerson(
                f"{folder / KEY} {error}", "Mend it; or take it away together with the request, and both are made anew."
            ) from error
    except OSError as error:
        raise Failed(
            f"{error.filename or folder}: {error.strerror}",
            "Give the wizard a folder of its own in certificates.path, with room in it.",
        ) from error
    return tuple(written)


def _asks_for(request: Path, key: bytes) -> bool:
    """Whether the request is there and asks for a certificate of this key."""
    public = pem.private_key(key).public_key()
    try:
        return x509.load_pem_x509_csr(request.read_bytes()).public_key() == public
    except (FileNotFoundError, ValueError, UnsupportedAlgorithm):
        return False
