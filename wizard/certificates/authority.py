"""Makes the certificates that istiod signs workloads with (the `cacerts` secret), and the requests for them.

Root: P-384, ten years, path length 1. Intermediates: P-256, two years, path length 0, with a critical URI name constraint to
the trust domain, so that a stolen intermediate cannot sign for another mesh. Valid from an hour ago, because the clusters'
clocks differ. No extended key usage on authorities: Go and BoringSSL would take it as a limit on what they may sign.
A person's own root may be RSA.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from wizard.certificates import pem
from wizard.certificates.bundle import CERT, CHAIN, KEY, ROOT, fingerprint_of, several_roots
from wizard.certificates.cores import write_no_core
from wizard.credentials import hold_key
from wizard.messages import msg

ROOT_DAYS = 3650
INTERMEDIATE_DAYS = 730
BACKDATED = timedelta(hours=1)
ROOT_KEY = "root-key.pem"


@dataclass(frozen=True)
class Root:
    """What signs the clusters' intermediates; every cluster of the mesh trusts it."""

    certificate: bytes  # PEM
    key: bytes = field(repr=False)  # PEM; PKCS8 where we made it


class Unfit(ValueError):
    """This root cannot sign. The text goes on after the name of its file."""

    def __init__(self, file: str, text: str) -> None:
        super().__init__(text)
        self.file = file


def make_root(mesh: str) -> Root:
    """A new root for this mesh."""
    write_no_core()
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
    """The files of one cluster's `cacerts`, signed by the root. Raises Unfit where that is impossible; whether it is one that
    should sign is not asked here.
    """
    hold_key(root.key)
    issuer, issuer_key = _read(root)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _authority(_intermediate_name(cluster), issuer.subject, key.public_key(), INTERMEDIATE_DAYS, 0)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_identifier_of(issuer), critical=False)
        .add_extension(_only(trust_domain), critical=True)
        .sign(issuer_key, hashes.SHA384())
    )
    signed, above = _pem(certificate), _pem(issuer)
    return {CERT: signed, KEY: _key_pem(key), ROOT: above, CHAIN: signed + above}


def make_key() -> bytes:
    """A new key for an intermediate (PEM, PKCS8)."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def make_request(key: bytes, cluster: str, trust_domain: str) -> bytes:
    """The request (PEM) for one cluster's intermediate. It asks for the same extensions as `make_intermediate` gives, for
    authorities that copy them. ValueError, with a message that ends a sentence, where the key cannot be used.
    """
    private = pem.private_key(key)
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(msg("is neither an RSA nor an ECDSA key"))  # noqa: TRY004 - the promised error
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_intermediate_name(cluster))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNING, critical=True)
        .add_extension(_only(trust_domain), critical=True)
        .sign(private, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificates: bytes) -> str:
    """SHA-256 of a PEM file's certificate, in hexadecimal. ValueError where there is none."""
    return fingerprint_of(pem.certificates(certificates))


def _read(root: Root) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]:
    try:
        certificates = pem.certificates(root.certificate)
    except ValueError as error:
        raise Unfit(ROOT, error.args[0]) from error
    if len(certificates) > 1:
        raise Unfit(ROOT, several_roots(len(certificates)))
    try:
        key = pem.private_key(root.key)
    except ValueError as error:
        raise Unfit(ROOT_KEY, error.args[0]) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Unfit(ROOT_KEY, msg("is neither an RSA nor an ECDSA key, which proxies do not accept"))
    if key.public_key() != certificates[0].public_key():
        raise Unfit(ROOT_KEY, msg("does not belong to {file}; restore both files from one backup", file=ROOT))
    return certificates[0], key


def _identifier_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:  # then nobody compares it
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


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
        .add_extension(_SIGNING, critical=True)
    )


def _intermediate_name(cluster: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Istio"),
            x509.NameAttribute(NameOID.LOCALITY_NAME, cluster),
            x509.NameAttribute(NameOID.COMMON_NAME, "Intermediate CA"),
        ]
    )


def _only(trust_domain: str) -> x509.NameConstraints:
    return x509.NameConstraints([x509.UniformResourceIdentifier(trust_domain)], excluded_subtrees=None)


_SIGNING = x509.KeyUsage(
    key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
    key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    made = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    hold_key(made)
    return made
