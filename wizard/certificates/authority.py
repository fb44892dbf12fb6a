"""Makes and checks the certificates that istiod signs workloads with (the `cacerts` secret).

Root: P-384, ten years, path length 1. Intermediates: P-256, two years, path length 0, with a critical URI name constraint to
the trust domain, so that a stolen intermediate cannot sign for another mesh. Valid from an hour ago, because the clusters'
clocks differ. No extended key usage on authorities: Go and BoringSSL would take it as a limit on what they may sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wizard.errors import Failed

ROOT_DAYS = 3650
INTERMEDIATE_DAYS = 730
BACKDATED = timedelta(hours=1)
FILES = ("ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem")


@dataclass(frozen=True)
class Root:
    certificate: bytes  # PEM
    key: bytes  # PEM, PKCS8


@dataclass(frozen=True)
class Facts:
    """What a `cacerts` secret holds, without its key. `problems`: why istiod would refuse it or peers would not trust it."""

    root: str  # SHA-256 of the root certificate, in hexadecimal
    expires: datetime
    problems: tuple[str, ...]


def make_root(mesh: str) -> Root:
    """A new root for this mesh."""
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Istio"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{mesh} Root CA"),
        ]
    )
    certificate = (
        _authority(name, name, key.public_key(), ROOT_DAYS, 1)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    return Root(_pem(certificate), _key_pem(key))


def make_intermediate(root: Root, cluster: str, trust_domain: str) -> dict[str, bytes]:
    """The files of one cluster's `cacerts`, signed by the root. Raises Failed where the root's key does not fit it."""
    issuer = x509.load_pem_x509_certificate(root.certificate)
    issuer_key = serialization.load_pem_private_key(root.key, None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey) or issuer_key.public_key() != issuer.public_key():
        raise Failed("the root's key does not belong to the root's certificate", "Restore both files from one backup.")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Istio"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, cluster),
            x509.NameAttribute(NameOID.COMMON_NAME, "Intermediate CA"),
        ]
    )
    certificate = (
        _authority(name, issuer.subject, key.public_key(), INTERMEDIATE_DAYS, 0)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .add_extension(
            x509.NameConstraints([x509.UniformResourceIdentifier(trust_domain)], excluded_subtrees=None), critical=True
        )
        .sign(issuer_key, hashes.SHA384())
    )
    signed = _pem(certificate)
    return {
        "ca-cert.pem": signed,
        "ca-key.pem": _key_pem(key),
        "root-cert.pem": root.certificate,
        "cert-chain.pem": signed + root.certificate,
    }


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a PEM certificate's content, in hexadecimal. ValueError where it is none."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def facts(files: Mapping[str, bytes], trust_domain: str) -> Facts:
    """What these `cacerts` files hold and what is wrong with them. Raises ValueError where they cannot be read at all."""
    missing = [name for name in FILES if not files.get(name)]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    certificate = x509.load_pem_x509_certificate(files["ca-cert.pem"])
    root = x509.load_pem_x509_certificate(files["root-cert.pem"])
    key = serialization.load_pem_private_key(files["ca-key.pem"], None)
    problems = []
    if key.public_key() != certificate.public_key():
        problems.append("ca-key.pem does not belong to ca-cert.pem")
    now = datetime.now(UTC)
    for name, checked in (("ca-cert.pem", certificate), ("root-cert.pem", root)):
        if checked.not_valid_after_utc < now:
            problems.append(f"{name} expired on {checked.not_valid_after_utc:%Y-%m-%d}")
        if checked.not_valid_before_utc > now:
            problems.append(f"{name} is valid only from {checked.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")
    if not _chains(certificate, root, files["cert-chain.pem"]):
        problems.append("ca-cert.pem is not signed by root-cert.pem by way of cert-chain.pem")
    problems += _constraint_problems(certificate, trust_domain)
    return Facts(root.fingerprint(hashes.SHA256()).hex(), certificate.not_valid_after_utc, tuple(problems))


def _chains(certificate: x509.Certificate, root: x509.Certificate, chain: bytes) -> bool:
    by_subject = {item.subject: item for item in [*x509.load_pem_x509_certificates(chain), root]}
    seen = certificate
    for _ in range(8):
        if seen == root:
            return True
        issuer = by_subject.get(seen.issuer)
        if issuer is None:
            return False
        try:
            seen.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        seen = issuer
    return False


def _constraint_problems(certificate: x509.Certificate, trust_domain: str) -> list[str]:
    problems = []
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not basic.ca:
            problems.append("ca-cert.pem is no certificate authority")
    except x509.ExtensionNotFound:
        problems.append("ca-cert.pem is no certificate authority")
    try:
        names = certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
        uris = [name.value for name in names if isinstance(name, x509.UniformResourceIdentifier)]
        if uris and trust_domain not in uris:
            problems.append(f"ca-cert.pem may sign for {', '.join(uris)} only, not for {trust_domain}")
    except x509.ExtensionNotFound:
        pass
    return problems


def _authority(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int, path_length: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(
            x509.KeyUsage(
                key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
