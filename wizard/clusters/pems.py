"""Why OpenSSL would not take a kubeconfig's certificates or key: the end of a sentence, with what is wrong and what cures it."""

from __future__ import annotations

import re

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_AGAIN = "get a new kubeconfig of this cluster"


def authority_trouble(content: bytes) -> str:
    """What is wrong with this certificate authority."""
    return _certificate_trouble(content) or "is not what OpenSSL takes for certificates; " + _AGAIN


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
        return "client-key", f"is of a kind that is not supported here; {_AGAIN}"
    if own != theirs:
        return "client-key", f"is not the key of the client certificate beside it; {_AGAIN}"
    return "client-certificate", f"is refused by OpenSSL, as too weak perhaps; {_AGAIN}"


def _certificate_trouble(content: bytes) -> str:
    from cryptography import x509

    labels = _BEGIN.findall(content)
    if b"CERTIFICATE" not in labels:
        if labels:
            return f"holds {labels[0].decode().lower()}, not a certificate; {_AGAIN}"
        try:
            x509.load_der_x509_certificate(content)
        except ValueError:
            return f"holds no certificate in PEM form; {_AGAIN}"
        return "is in DER form, and kubectl reads PEM only: convert it with `openssl x509 -inform der -in … -out …`"
    try:
        x509.load_pem_x509_certificates(content)
    except ValueError:
        return f"is damaged or cut off; {_AGAIN}"
    return ""


def _key_trouble(key: bytes) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    labels = _BEGIN.findall(key)
    if b"ENCRYPTED PRIVATE KEY" in labels or b"Proc-Type: 4,ENCRYPTED" in key:
        return "is encrypted, and kubectl asks for no passphrase: write it without with `openssl pkey -in … -out …`"
    if not any(label.endswith(b"PRIVATE KEY") for label in labels):
        return f"holds no private key in PEM form; {_AGAIN}"
    try:
        load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"is damaged, cut off, or of a kind that is not supported here; {_AGAIN}"
    return ""
