"""Certificates and keys that are all right but for their file's name or form: other tools write `tls.crt`, DER, PKCS#7, PKCS#12.

They are recognised, and told with the one command that makes of them what is read here; nothing is converted by itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from wizard.certificates import pem
from wizard.certificates.bundle import CERT, CHAIN, KEY, ROOT
from wizard.messages import msg
from wizard.reading import read
from wizard.text import one_line, quoted

Form = Literal["certificate", "key", "pkcs7", "pkcs12", "base64", "trusted", "encrypted"]

# Under what names others write it: cert-manager and kubernetes.io/tls, openssl's and cfssl's examples, step.
_NAMES = {
    CERT: (
        "tls.crt",
        "ca-cert.crt",
        "ca.pem",
        "cert.pem",
        "intermediate.pem",
        "intermediate.crt",
        "intermediate_ca.crt",
    ),
    KEY: ("tls.key", "ca-key.key", "ca.key", "key.pem", "privkey.pem", "intermediate.key", "intermediate_ca_key"),
    ROOT: ("ca.crt", "root-cert.crt", "root.crt", "root.pem", "root_ca.crt", "rootCA.pem", "rootCA.crt"),
}
_BUNDLES = {CERT: (".p12", ".pfx", ".p7b", ".p7c"), KEY: (".p12", ".pfx"), ROOT: ()}
_MOST = 200  # entries of a folder that are looked at
_PKCS12 = re.compile(rb"\x30[\x81-\x84].{1,4}\x02\x01\x03\x30", re.S)  # a sequence that begins with version 3


def form_of(content: bytes) -> Form | None:
    """What this content is, where it is not PEM as it should be; None where it is nothing that is known here."""
    found = pem.labels(content)
    if found:
        encrypted = b"Proc-Type: 4,ENCRYPTED" in content
        return _LABELS.get(found[0]) or ("encrypted" if encrypted else None)
    if _decoded(content) is not None:
        return "base64"
    if _loads(x509.load_der_x509_certificate, content):
        return "certificate"
    if _loads(_key, content):
        return "key"
    if _loads(pkcs7.load_der_pkcs7_certificates, content):
        return "pkcs7"
    return "pkcs12" if _PKCS12.match(content) else None


def told(name: str, path: Path, content: bytes) -> str | None:
    """What is to be done with a file of this role that is there, where it is of another form: the end of a sentence."""
    form = form_of(content)
    command = _converting(form, name, path, path, content) if form else None
    return msg("{problem}; run: {command}", problem=_TOLD[form], command=command) if form and command else None


def instead(name: str, folders: Iterable[Path]) -> str | None:
    """What in these folders could be the file of this role, which is missing: a sentence with the way to make it that file."""
    for candidate in (each for folder in folders for each in _candidates(name, folder)):
        path = candidate.with_name(name)
        try:
            content = read(candidate, pem.MAX_BYTES)
        except ValueError:
            continue
        form = form_of(content)
        if form:
            command = _converting(form, name, candidate, path, content)
        elif pem.labels(content):
            command = f"mv {quoted(candidate)} {quoted(path)}"
        else:
            continue
        if command:
            return msg(
                "{file} is missing, and {other} beside it looks like it; run: {command}",
                file=one_line(path),
                other=one_line(candidate.name),
                command=command,
            )
    return None


_TOLD: dict[Form, str] = {
    "certificate": msg("is a certificate in binary form (DER), not PEM"),
    "key": msg("is a key in binary form (DER), not PEM"),
    "pkcs7": msg("is a PKCS#7 bundle (.p7b), not plain PEM"),
    "pkcs12": msg("is a PKCS#12 bundle (.p12), not PEM"),
    "base64": msg("is base64, as a Secret holds it, not PEM"),
    "trusted": msg("is OpenSSL's own form of a certificate"),
    "encrypted": msg("is encrypted, and istiod cannot be asked for its passphrase"),
}
_LABELS: dict[bytes, Form] = {
    b"PKCS7": "pkcs7",
    b"PKCS #7 SIGNED DATA": "pkcs7",
    b"TRUSTED CERTIFICATE": "trusted",
    b"ENCRYPTED PRIVATE KEY": "encrypted",
}


def _candidates(name: str, folder: Path) -> Iterator[Path]:
    yield from (folder / other for other in _NAMES.get(name, ()))
    try:
        entries = sorted(entry for _, entry in zip(range(_MOST), folder.iterdir(), strict=False))
    except OSError:
        return
    yield from (entry for entry in entries if entry.suffix.lower() in _BUNDLES.get(name, ()))


def _converting(form: Form, name: str, source: Path, target: Path, content: bytes) -> str | None:
    """The command that makes the file of this role of that one; None where it cannot be made of it."""
    der = "" if pem.labels(content) else "-inform DER "
    new = quoted(target.with_name(f"{target.name}.new")) if source == target else quoted(target)
    at, certificates = quoted(source), name in (CERT, ROOT, CHAIN)
    if form == "base64":
        command = f"base64 -d < {at} > {new}"
    elif form == "pkcs12":
        parts = {KEY: "-nocerts -nodes", CERT: "-nokeys -clcerts", ROOT: "-nokeys -cacerts", CHAIN: "-nokeys"}
        command = f"openssl pkcs12 -in {at} {parts.get(name, '-nocerts -nodes')} -out {new}"
    elif form == "pkcs7" and certificates:
        command = f"openssl pkcs7 {der}-print_certs -in {at} -out {new}"
    elif form in ("certificate", "trusted") and certificates:
        command = f"openssl x509 {der}-in {at} -out {new}"
    elif form in ("key", "encrypted") and not certificates:
        command = f"openssl pkey {der}-in {at} -out {new}"
    else:
        return None
    move = f" && mv {new} {at}" if source == target else ""
    return f"(umask 077; {command}{move})"


def _decoded(content: bytes) -> bytes | None:
    """What base64 text stands for, if that is PEM or DER."""
    text = b"".join(content.split())
    if not text.startswith((b"LS0tLS1CRUdJTi", b"MI")):  # `-----BEGIN `, and how DER begins
        return None
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return decoded if pem.labels(decoded) or form_of(decoded) else None


def _loads(load: Callable[[bytes], object], content: bytes) -> bool:
    try:
        return bool(load(content))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _key(content: bytes) -> object:
    try:
        return serialization.load_der_private_key(content, None)
    except TypeError:  # it is encrypted
        return True
