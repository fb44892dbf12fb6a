"""Why OpenSSL would not take a kubeconfig's certificates or key: the end of a sentence, with what is wrong and what cures it."""

from __future__ import annotations

import re

from wizard.messages import msg

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")


def authority_trouble(content: bytes) -> str:
    """What is wrong with this certificate authority."""
    return _certificate_trouble(content) or msg(
        "is not what OpenSSL takes for certificates; get a new kubeconfig of this cluster"
    )


def pair_trouble(certificate: bytes, key: bytes) -> tuple[str, str]:
    """Which of the two (“client-certificate” or “client-key”) is wrong, and how."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    wrong = _certificate_trouble(certificate)
    if wrong:
        return "client-certificate", wrong
    wrong = _key_trouble(key)
    if wrong:
        return "client-key", wrong
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        own = load_pem_private_key(key, None).public_key().public_bytes(*form)
        theirs = x509.load_pem_x509_certificate(certificate).public_key().public_bytes(*form)
    except (ValueError, TypeError) as error:  # beyond what both libraries read
        del error
        return "client-key", msg("is of a kind that is not supported here; get a new kubeconfig of this cluster")
    if own != theirs:
        return "client-key", msg(
            "is not the key of the client certificate beside it; get a new kubeconfig of this cluster"
        )
    return "client-certificate", msg("is refused by OpenSSL, as too weak perhaps; get a new kubeconfig of this cluster")


def _certificate_trouble(content: bytes) -> str:
    from cryptography import x509

    labels = _BEGIN.findall(content)
    if b"CERTIFICATE" not in labels:
        if labels:
            content_kind = labels[0].decode().lower()
            return msg("holds {content}, not a certificate; get a new kubeconfig of this cluster", content=content_kind)
        try:
            x509.load_der_x509_certificate(content)
        except ValueError:
            return msg("holds no certificate in PEM form; get a new kubeconfig of this cluster")
        return msg(
            "is in DER form, and kubectl reads PEM only: convert it with `openssl x509 -inform der -in … -out …`"
        )
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError:
        return msg("is damaged or cut off; get a new kubeconfig of this cluster")
    return ""


def _key_trouble(key: bytes) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    labels = _BEGIN.findall(key)
    if b"ENCRYPTED PRIVATE KEY" in labels or b"Proc-Type: 4,ENCRYPTED" in key:
        return msg(
            "is encrypted, and kubectl asks for no passphrase: write it without with `openssl pkey -in … -out …`"
        )
    if not any(label.endswith(b"PRIVATE KEY") for label in labels):
        return msg("holds no private key in PEM form; get a new kubeconfig of this cluster")
    try:
        load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return msg("is damaged, cut off, or of a kind that is not supported here; get a new kubeconfig of this cluster")
    return ""
