"""What a cluster's `cacerts` would mean to istiod and to its peers: found out before either meets it.

The rules are those of istiod at its start (Go's x509 Verify: signatures, validity, authority, path length, names) and, because
istiod looks only at its own certificate, those that proxies apply to the workloads' certificates below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from wizard.certificates import pem
from wizard.credentials import hold_key
from wizard.text import listing, one_line

CERT, KEY, ROOT, CHAIN = "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"
FILES = (CERT, KEY, ROOT, CHAIN)
SOON = timedelta(days=30)
ISTIOD_NAME = "istiod.istio-system.svc"  # what istiod signs for itself, besides the workloads' identities
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_MAX_DEPTH = 8
_CURVES = ("secp256r1", "secp384r1", "secp521r1")  # those that Envoy accepts

# broken: istiod would refuse it, or peers would not trust what it signs. unfit: works, but the wizard puts no such thing into
# a cluster. worry: works; a person should know.
Weight = Literal["broken", "unfit", "worry"]


@dataclass(frozen=True)
class Flaw:
    """What is wrong with one file. `text` goes on after its name."""

    weight: Weight
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.file} {self.text}"


@dataclass(frozen=True)
class Inspection:
    """What the files hold. Fingerprints are SHA-256 in hexadecimal, empty where the file cannot be read."""

    flaws: tuple[Flaw, ...]
    certificate: str = ""
    root: str = ""
    public_key: str = ""
    expires: datetime | None = None  # the first to expire on the way up to the root
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)  # for `cacerts`, in order; holds the key

    def of(self, *weights: Weight) -> tuple[Flaw, ...]:
        """The flaws of these weights."""
        return tuple(flaw for flaw in self.flaws if flaw.weight in weights)


def inspect(files: Mapping[str, bytes], trust_domain: str, *, strict: bool = True) -> Inspection:
    """Look at the files of one cluster. `cert-chain.pem` may be absent: it follows from the others.

    `strict`: they are to be put into a cluster, so what can be put in order is, in `Inspection.files`. Otherwise they are in a
    cluster already, and istiod reads them as they are.
    """
    flaws: list[Flaw] = []

    def read(name: str) -> Sequence[x509.Certificate]:
        try:
            return pem.certificates(files[name])
        except ValueError as error:
            flaws.append(Flaw("broken", name, str(error)))
            return ()

    wanted = FILES[:3] if strict else FILES
    flaws += [Flaw("broken", name, "is missing") for name in wanted if name not in files]
    own = read(CERT) if CERT in files else ()
    roots = read(ROOT) if ROOT in files else ()
    chain = read(CHAIN) if CHAIN in files else ()
    key = None
    if KEY in files:
        try:
            key = pem.private_key(files[KEY])
        except ValueError as error:
            flaws.append(Flaw("broken", KEY, str(error)))
    root = fingerprint_of(roots)
    if flaws or key is None:
        return Inspection(tuple(flaws), fingerprint_of(own[:1]), root)
    signing = _signing(own, key, files[KEY], strict, flaws)
    if len(roots) > 1 and strict:
        flaws.append(Flaw("unfit", ROOT, f"holds {len(roots)} certificates; it must hold the one root of the mesh"))
    path = _best_path(signing, [*own, *chain], roots, trust_domain, flaws)
    found = Inspection(tuple(flaws), fingerprint_of([signing]), root, _public(signing))
    if not path:
        return found
    flaws += _on_the_way(path, trust_domain)
    flaws += _strength(path, key)
    if len(path) == 1:
        flaws.append(Flaw("unfit", CERT, "is the root itself; each cluster needs an intermediate signed by it"))
    elif path[-1].issuer != path[-1].subject:
        flaws.append(Flaw("unfit", ROOT, "is signed by yet another authority; it must hold the root at the very top"))
    if CHAIN in files:
        flaws += _chain_flaws(path, chain, strict)
    expires = min(certificate.not_valid_after_utc for certificate in path)
    content = {
        CERT: _pem(path[:1]),
        KEY: key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        ROOT: _pem(roots),
        CHAIN: _pem(path),
    }
    hold_key(content[KEY])
    return Inspection(tuple(flaws), found.certificate, root, found.public_key, expires, content)


def fingerprint_of(certificates: Sequence[x509.Certificate]) -> str:
    """SHA-256 of a certificate, in hexadecimal; of several, one name for what they are together, in whatever order."""
    names = sorted({certificate.fingerprint(hashes.SHA256()).hex() for certificate in certificates})
    if len(names) < 2:
        return "".join(names)
    digest = hashes.Hash(hashes.SHA256())
    digest.update("".join(names).encode())
    return digest.finalize().hex()


def _public(certificate: x509.Certificate) -> str:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize().hex()


def _signing(
    own: Sequence[x509.Certificate], key: PrivateKeyTypes, content: bytes, strict: bool, flaws: list[Flaw]
) -> x509.Certificate:
    """The certificate of the key; the first where none is."""
    if not strict and not pem.begins_with_key(content):
        flaws.append(Flaw("broken", KEY, "does not begin with the key, and istiod looks at the first block only"))
    fitting = [certificate for certificate in own if certificate.public_key() == key.public_key()]
    if not fitting:
        flaws.append(Flaw("broken", KEY, f"does not belong to {CERT}"))
        return own[0]
    if fitting[0] is not own[0]:
        if not strict:
            flaws.append(Flaw("broken", CERT, f"does not begin with the certificate of {KEY}"))
        else:
            flaws.append(Flaw("worry", CERT, f"does not begin with the certificate of {KEY}; it is put first"))
    return fitting[0]


# -- the way up


Way = tuple[x509.Certificate, ...]


def _best_path(
    signing: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    trust_domain: str,
    flaws: list[Flaw],
) -> Way:
    """The way from the signing certificate up to a root on which least is wrong; empty, and told, where there is none."""
    ways = list(_ways((signing,), others, roots))
    if ways:
        return min(
            ways, key=lambda way: (sum(flaw.weight == "broken" for flaw in _on_the_way(way, trust_domain)), len(way))
        )
    flaws.append(Flaw("broken", CERT, _why_no_way(signing, others, roots)))
    return ()


def _ways(below: Way, others: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> Iterator[Way]:
    last = below[-1]
    if last in roots:
        yield below
        return
    for issuer in roots:
        if _signed(last, issuer):
            yield (*below, issuer)
    if len(below) >= _MAX_DEPTH:
        return
    for issuer in dict.fromkeys(others):
        if issuer not in below and issuer not in roots and _signed(last, issuer):
            yield from _ways((*below, issuer), others, roots)


@lru_cache(maxsize=256)
def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        # Compares the names byte by byte, also how their text is encoded, as Go does.
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _why_no_way(
    signing: x509.Certificate, others: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]
) -> str:
    at: x509.Certificate = signing
    for _ in range(_MAX_DEPTH):
        above = next((other for other in others if other != at and _signed(at, other)), None)
        if above is None:
            break
        at = above
    outdated = _outdated(at)
    if outdated:
        return f"{'is' if at is signing else f'comes below {_name(at)}, which is'} signed with {outdated}, which istiod refuses"
    missing = f"is not signed by {ROOT} by way of {CHAIN}: "
    if at.issuer == at.subject:
        what = "it" if at is signing else _name(at)
        return f"{missing}{what} is a root of its own"
    named = [other for other in [*roots, *others] if other.subject == at.issuer]
    if any(other.subject.public_bytes() == at.issuer.public_bytes() for other in named):
        return f"{missing}{_told(at.issuer)} is there by name, but another key made the signature"
    if named:
        return (
            f"{missing}{_told(at.issuer)} is there, but its name is encoded otherwise, so istiod takes it for another"
        )
    return f"{missing}{_told(at.issuer)} is in neither"


def _outdated(certificate: x509.Certificate) -> str | None:
    """The hash below a signature that nobody accepts any more."""
    try:
        used = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "an unknown algorithm"
    return used.name.upper() if isinstance(used, hashes.SHA1 | hashes.MD5) else None


def _on_the_way(way: Way, trust_domain: str) -> Iterator[Flaw]:
    now = datetime.now(UTC)
    for index, certificate in enumerate(way):
        file = CERT if index == 0 else ROOT if index == len(way) - 1 else CHAIN
        told = "" if file != CHAIN else f"holds {_name(certificate)}, which "
        for weight, text in _alone(certificate, trust_domain, now):
            yield Flaw(weight, file, told + text)
        length = _path_length(certificate)
        # Workloads' certificates come below the signing one, so that one is itself a level below its issuer.
        if length is not None and length < index:
            yield Flaw("broken", file, f"{told}has path length {length}; at least {index} is needed here")


def _alone(certificate: x509.Certificate, trust_domain: str, now: datetime) -> Iterator[tuple[Weight, str]]:
    end = certificate.not_valid_after_utc
    if end < now:
        yield "broken", f"expired on {end:%Y-%m-%d}"
    elif end < now + SOON:
        yield "worry", f"expires on {end:%Y-%m-%d}, in {(end - now).days} days"
    if certificate.not_valid_before_utc > now:
        yield "broken", f"is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    extensions = certificate.extensions
    basic = _value(extensions, x509.BasicConstraints)
    if basic is None or not basic.ca:
        yield "broken", "is no certificate authority (its basicConstraints lack CA:true)"
    usage = _value(extensions, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "broken", "may not sign certificates (its keyUsage lacks keyCertSign)"
    extended = _value(extensions, x509.ExtendedKeyUsage)
    if extended is not None and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in extended:
        lacking = [name for name, usage_id in _NEEDED.items() if usage_id not in extended]
        if lacking:
            yield "broken", f"may not sign for workloads (its extendedKeyUsage lacks {listing(lacking)})"
    for extension in extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            yield "broken", f"has a critical extension that istiod does not know ({extension.oid.dotted_string})"
    yield from (("broken", text) for text in _names(_value(extensions, x509.NameConstraints), trust_domain))


_NEEDED = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}


def _names(constraints: x509.NameConstraints | None, trust_domain: str) -> Iterator[str]:
    """What name constraints forbid of what istiod signs: the workloads' URIs and its own DNS name."""
    if constraints is None:
        return
    for kind, name, within in (
        (x509.UniformResourceIdentifier, trust_domain, _host_within),
        (x509.DNSName, ISTIOD_NAME, _domain_within),
    ):
        permitted = [item.value for item in constraints.permitted_subtrees or [] if isinstance(item, kind)]
        excluded = [item.value for item in constraints.excluded_subtrees or [] if isinstance(item, kind)]
        if permitted and not any(within(name, subtree) for subtree in permitted):
            yield f"may sign for {one_line(listing(permitted))} only, not for {name}"
        if any(_domain_within(name, subtree) for subtree in excluded):
            yield f"may not sign for {name}"


def _host_within(name: str, subtree: str) -> bool:
    # RFC 5280: a host means only itself; with a leading period only what is below it. Go is laxer, BoringSSL is not.
    name, subtree = name.lower(), subtree.lower()
    return not subtree or (name.endswith(subtree) if subtree.startswith(".") else name == subtree)


def _domain_within(name: str, subtree: str) -> bool:
    name, subtree = name.lower(), subtree.lower().lstrip(".")
    return not subtree or name == subtree or name.endswith(f".{subtree}")


def _strength(way: Way, key: PrivateKeyTypes) -> Iterator[Flaw]:
    for index, certificate in enumerate(way):
        file = CERT if index == 0 else ROOT if index == len(way) - 1 else CHAIN
        public = certificate.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            if public.key_size < 2048:
                yield Flaw("unfit", file, f"has an RSA key of {public.key_size} bits; 2048 are the least")
        elif not isinstance(public, ec.EllipticCurvePublicKey):
            yield Flaw("unfit", file, "has a key that is neither RSA nor ECDSA, which proxies do not accept")
        elif public.curve.name not in _CURVES:
            yield Flaw("unfit", file, f"has a key on curve {public.curve.name}; proxies accept P-256, P-384 and P-521")


def _chain_flaws(way: Way, chain: Sequence[x509.Certificate], strict: bool) -> Iterator[Flaw]:
    lacking = [certificate for certificate in way[:-1] if certificate not in chain]
    if lacking and len(way) > 1:
        names = "the certificate of " + CERT if lacking[0] is way[0] else _name(lacking[0])
        weight: Weight = "worry" if strict else "broken"
        more = "; it is added" if strict else ": peers could not check what it signs"
        yield Flaw(weight, CHAIN, f"lacks {names}{more}")
    if not strict:
        return
    beside = [certificate for certificate in chain if certificate not in way]
    if beside:
        yield Flaw("worry", CHAIN, f"holds {_name(beside[0])}, which is not on the way to the root; it is left out")
    there = [certificate for certificate in chain if certificate in way]
    if there != sorted(there, key=way.index):
        yield Flaw("worry", CHAIN, f"is not in order from {CERT} up to the root; it is put in order")


def _path_length(certificate: x509.Certificate) -> int | None:
    basic = _value(certificate.extensions, x509.BasicConstraints)
    return basic.path_length if basic else None


def _value(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(certificate: x509.Certificate) -> str:
    return _told(certificate.subject)


def _told(name: x509.Name) -> str:
    return one_line(name.rfc4514_string(), 120) or "a certificate without a name"


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)
