"""Authorities of every make, sound and unsound, as people bring them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CERT, KEY, ROOT, CHAIN = "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"


@dataclass(frozen=True)
class Authority:
    """A certificate with its key."""

    certificate: x509.Certificate
    private: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        return self.private.private_bytes(  # type: ignore[no-any-return]
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()


def authority(
    name: str,
    issuer: Authority | None = None,
    *,
    ca: bool | None = True,
    path_length: int | None = None,
    signs: bool | None = True,
    extended: Sequence[x509.ObjectIdentifier] = (),
    permitted: Sequence[x509.GeneralName] = (),
    excluded: Sequence[x509.GeneralName] = (),
    days: float = 365,
    since: float = -1,
    key: Any = None,
    digest: Any = None,
    more: Sequence[x509.ExtensionType] = (),
    critical: bool = False,
    issued_as: x509.Name | None = None,
) -> Authority:
    """One authority; `days` and `since` count from now; None leaves an extension out."""
    private = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issued_as or (issuer.certificate.subject if issuer else subject))
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=since))
        .not_valid_after(now + timedelta(days=days))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical=True)
    if signs is not None:
        builder = builder.add_extension(
            x509.KeyUsage(
                key_cert_sign=signs, crl_sign=signs, digital_signature=not signs, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )  # fmt: skip
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if permitted or excluded:
        builder = builder.add_extension(
            x509.NameConstraints(list(permitted) or None, list(excluded) or None), critical=True
        )
    for extension in more:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.private if issuer else private
    return Authority(builder.sign(signer, digest or hashes.SHA256()), private)


def files_of(intermediate: Authority, *above: Authority) -> dict[str, bytes]:
    """The files of one cluster; `above`: its issuers, the root last."""
    return {
        CERT: intermediate.pem,
        KEY: intermediate.key,
        ROOT: above[-1].pem,
        CHAIN: b"".join(each.pem for each in (intermediate, *above)),
    }


def put_files(folder: Path, files: dict[str, bytes]) -> Path:
    """The files in this folder, the key private."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    return folder
