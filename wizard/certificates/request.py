"""Keys and signing requests for clusters whose root key is kept elsewhere: the request goes out, a certificate comes back."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from state.errors import Purpose, StateError, StateWriteFailed, unstopped
from state.private import PrivateFolder
from wizard.certificates import authority, pem
from wizard.certificates.bundle import CERT, KEY, of_file
from wizard.certificates.openssl import REQUEST
from wizard.errors import Failed, NeedsPerson, remedy_of
from wizard.messages import msg
from wizard.reading import read, read_if_there

_PURPOSE = Purpose(
    what=msg("A key and its request"),
    elsewhere=msg("Give the wizard a folder of its own in certificates.path."),
    readable=msg("Make it readable for you, or give the wizard a folder of its own in certificates.path."),
    again=msg("Give the wizard a folder of its own in certificates.path, then run the same command again."),
)
_OLD = (f".{KEY}.new", f".{REQUEST}.new")  # what a run that was killed left, in earlier builds


def refused_folder(place: Path, cluster: str) -> str:
    """Why no key may be put into the cluster's folder, with the cure; empty where nothing speaks against it."""
    try:
        folder = PrivateFolder.open(place / cluster, _PURPOSE, create=False)
    except StateError as error:
        return msg("{problem}; {remedy}", problem=unstopped(error.what), remedy=remedy_of(error))
    if folder:
        folder.close()
    return ""


def write_request(place: Path, cluster: str, trust_domain: str) -> tuple[Path, ...]:
    """See that the cluster's key and signing request stand in the folder; gives the files that were written now. A key that
    is there is used, and never overwritten.
    """
    try:
        folder = PrivateFolder.open(place / cluster, _PURPOSE, create=True)
        assert folder is not None  # noqa: S101 - created
        with folder:
            folder.settle(_OLD)
            return tuple(_written(folder, cluster, trust_domain))
    except StateWriteFailed as error:
        raise Failed(error.what, remedy_of(error)) from error
    except StateError as error:
        raise NeedsPerson(error.what, remedy_of(error)) from error


def _written(folder: PrivateFolder, cluster: str, trust_domain: str) -> list[Path]:
    written = []
    key, request = folder.path / KEY, folder.path / REQUEST
    if not folder.has(CERT) and folder.create(KEY, authority.make_key()):
        written.append(key)
    try:
        private = read(key, pem.MAX_BYTES)
        if not _asks_for(request, private):
            folder.replace(REQUEST, authority.make_request(private, cluster, trust_domain))
            written.append(request)
    except ValueError as error:
        raise NeedsPerson(
            of_file(key, error.args[0]),
            msg("Mend it; or take it away together with the request, and both are made anew."),
        ) from error
    return written


def _asks_for(request: Path, key: bytes) -> bool:
    """Whether the request is there and asks for a certificate of this key."""
    public = pem.private_key(key).public_key()
    try:
        content = read_if_there(request, pem.MAX_BYTES)
        return content is not None and x509.load_pem_x509_csr(content).public_key() == public
    except (ValueError, UnsupportedAlgorithm):
        return False
