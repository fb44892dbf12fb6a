"""Reads PEM files that people bring. What is wrong with one is a ValueError with a message that goes on after the file's name,
such as `is encrypted …`; it never holds anything of the file's content.
"""

from __future__ import annotations

import re
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from wizard.credentials import hold_key
from wizard.messages import counted, msg

MAX_CERTIFICATES = 16
MAX_BYTES = 1 << 20  # of a file
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE")
_KEYS = (b"PRIVATE KEY", b"EC PRIVATE KEY", b"RSA PRIVATE KEY")  # what istiod reads


def labels(content: bytes) -> list[bytes]:
    """What the PEM blocks in this content say they are, in their order."""
    return _BEGIN.findall(content)


@lru_cache(maxsize=64)  # what a cluster holds is looked at before and after each of its steps
def certificates(content: bytes) -> tuple[x509.Certificate, ...]:
    """Its certificates, at least one. Text between the blocks and Windows line ends do not matter."""
    _text(content)
    found = labels(content)
    if any(label.endswith(b"PRIVATE KEY") for label in found):
        # Certificates are handed to every namespace; a key must never travel with them.
        raise ValueError(msg("holds a private key; it must hold certificates only"))
    count = sum(label in _CERTIFICATES for label in found)
    if count > MAX_CERTIFICATES:
        raise ValueError(
            counted(
                "holds {count} certificate; at most {limit} make sense",
                "holds {count} certificates; at most {limit} make sense",
                count,
                limit=MAX_CERTIFICATES,
            )
        )
    if not count:
        if b"CERTIFICATE REQUEST" in found or b"NEW CERTIFICATE REQUEST" in found:
            raise ValueError(msg("holds a certificate request, not the certificate that was signed from it"))
        if b"TRUSTED CERTIFICATE" in found:
            raise ValueError(
                msg("holds OpenSSL's own form of a certificate; convert it with `openssl x509 -in … -out …`")
            )
        raise ValueError(msg("holds no certificate in PEM form"))
    try:
        read = x509.load_pem_x509_certificates(content)
        for certificate in read:
            # Extensions and keys are parsed when first asked for; ask here, where it can still be told.
            _ = certificate.extensions, certificate.public_key(), certificate.subject, certificate.issuer
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise ValueError(msg("cannot be read as a certificate: it is damaged or cut off")) from error
    return tuple(read)


def private_key(content: bytes) -> PrivateKeyTypes:
    """Its private key."""
    hold_key(content)
    _text(content)
    found = labels(content)
    if b"ENCRYPTED PRIVATE KEY" in found or b"Proc-Type: 4,ENCRYPTED" in content:
        raise ValueError(
            msg(
                "is encrypted, and istiod cannot be asked for its passphrase; decrypt it with `openssl pkey -in … -out …`"
            )
        )
    if not any(label in _KEYS for label in found):
        mistaken = (told for label, told in _MISTAKEN.items() if label in found)
        raise ValueError(next(mistaken, msg("holds no private key in PEM form")))
    try:
        return serialization.load_pem_private_key(content, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause: a parser's words about a key stay out of logs.
        raise ValueError(msg("cannot be read as a private key: it is damaged, cut off or of an unknown kind")) from None


def begins_with_key(content: bytes) -> bool:
    """Whether its first block is a key: istiod looks at no other."""
    return labels(content)[:1] != [] and labels(content)[0] in _KEYS


_MISTAKEN = {
    b"CERTIFICATE": msg("holds a certificate, not a private key"),
    b"CERTIFICATE REQUEST": msg("holds a certificate request, not a private key"),
    b"PUBLIC KEY": msg("holds a public key, not a private key"),
    b"OPENSSH PRIVATE KEY": msg("holds a key in OpenSSH's form, not a private key"),
}


def _text(content: bytes) -> None:
    if not content.strip():
        raise ValueError(msg("is empty"))
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError(msg("is UTF-16 text; save it as plain ASCII"))
    if not labels(content):
        # DER begins with a SEQUENCE of more than 127 bytes; so does PKCS#12.
        if content[:2] in (b"\x30\x81", b"\x30\x82", b"\x30\x83"):
            raise ValueError(msg("is binary (DER or PKCS#12), not PEM; convert it with openssl"))
        raise ValueError(msg("is no PEM file"))
