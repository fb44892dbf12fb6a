"""What a cluster's `cacerts` would mean to istiod and to its peers: found out before either meets it.

The rules are those of istiod at its start (Go's x509 Verify: signatures, validity, authority, path length, names) and, because
istiod looks only at its own certificate, those that proxies apply to the workloads' certificates below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from wizard.certificates import pem
from wizard.certificates.single import Weight, path_length, wrong_with
from wizard.credentials import hold_key
from wizard.messages import counted, msg
from wizard.text import one_line

CERT, KEY, ROOT, CHAIN = "ca-cert.pem", "ca-key.pem", "root-cert.pem", "cert-chain.pem"
FILES = (CERT, KEY, ROOT, CHAIN)
_MAX_DEPTH = 8
_CURVES = ("secp256r1", "secp384r1", "secp521r1")  # those that Envoy accepts


@dataclass(frozen=True)
class Flaw:
    """What is wrong with one file. `text` goes on after its name."""

    weight: Weight
    file: str
    text: str

    @property
    def told(self) -> str:
        """All of it as one text."""
        return of_file(self.file, self.text)

    def __str__(self) -> str:
        return self.told


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


def of_file(file: object, problem: str) -> str:
    """What is wrong with a file, behind its name."""
    return msg("{file} {problem}", file=file, problem=problem)


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
            flaws.append(Flaw("broken", name, error.args[0]))
            return ()

    wanted = FILES[:3] if strict else FILES
    flaws += [Flaw("broken", name, msg("is missing")) for name in wanted if name not in files]
    own = read(CERT) if CERT in files else ()
    roots = read(ROOT) if ROOT in files else ()
    chain = read(CHAIN) if CHAIN in files else ()
    key = None
    if KEY in files:
        try:
            key = pem.private_key(files[KEY])
        except ValueError as error:
            flaws.append(Flaw("broken", KEY, error.args[0]))
    root = fingerprint_of(roots)
    if flaws or key is None:
        return Inspection(tuple(flaws), fingerprint_of(own[:1]), root)
    signing = _signing(own, key, files[KEY], strict, flaws)
    if len(roots) > 1 and strict:
        flaws.append(Flaw("unfit", ROOT, several_roots(len(roots))))
    path = _best_path(signing, [*own, *chain], roots, trust_domain, flaws)
    found = Inspection(tuple(flaws), fingerprint_of([signing]), root, _public(signing))
    if not path:
        return found
    flaws += _on_the_way(path, trust_domain)
    flaws += _strength(path, key)
    if len(path) == 1:
        flaws.append(Flaw("unfit", CERT, msg("is the root itself; each cluster needs an intermediate signed by it")))
    elif path[-1].issuer != path[-1].subject:
        above = msg("is signed by yet another authority; it must hold the root at the very top")
        flaws.append(Flaw("unfit", ROOT, above))
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


def several_roots(count: int) -> str:
    """What is wrong with a root's file that holds so many certificates."""
    return counted(
        "holds {count} certificate; it must hold the one root of the mesh",
        "holds {count} certificates; it must hold the one root of the mesh",
        count,
    )


def fingerprint_of(certificates: Sequence[x509.Certificate]) -> str:
    """SHA-256 of a certificate, in hexadecimal; of several, one name for what they are together, in whatever order."""
    names = sorted({certificate.fingerprint(hashes.SHA256()).hex() for certificate in certificates})
    if len(names) < 2:
        return "".join(names)
    digest = hashes.Hash(hashes.SHA256())
    digest.update("".join(names).encode(errors="replace"))
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
        flaws.append(Flaw("broken", KEY, msg("does not begin with the key, and istiod looks at the first block only")))
    fitting = [certificate for certificate in own if certificate.public_key() == key.public_key()]
    if not fitting:
        flaws.append(Flaw("broken", KEY, msg("does not belong to {file}", file=CERT)))
        return own[0]
    if fitting[0] is not own[0]:
        if not strict:
            flaws.append(Flaw("broken", CERT, msg("does not begin with the certificate of {key}", key=KEY)))
        else:
            put_first = msg("does not begin with the certificate of {key}; it is put first", key=KEY)
            flaws.append(Flaw("worry", CERT, put_first))
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
    if outdated and at is signing:
        return msg("is signed with {algorithm}, which istiod refuses", algorithm=outdated)
    if outdated:
        return msg(
            "comes below {certificate}, which is signed with {algorithm}, which istiod refuses",
            certificate=_name(at),
            algorithm=outdated,
        )
    if at.issuer == at.subject and at is signing:
        why: str = msg("it is a root of its own")
    elif at.issuer == at.subject:
        why = msg("{certificate} is a root of its own", certificate=_name(at))
    else:
        why = _why_not_signed(at.issuer, [other.subject for other in [*roots, *others]])
    return msg("is not signed by {root} by way of {chain}: {reason}", root=ROOT, chain=CHAIN, reason=why)


def _why_not_signed(issuer: x509.Name, there: Sequence[x509.Name]) -> str:
    named = [name for name in there if name == issuer]
    if any(name.public_bytes() == issuer.public_bytes() for name in named):
        return msg("{issuer} is there by name, but another key made the signature", issuer=_told(issuer))
    if named:
        return msg(
            "{issuer} is there, but its name is encoded otherwise, so istiod takes it for another", issuer=_told(issuer)
        )
    return msg("{issuer} is in neither", issuer=_told(issuer))


def _outdated(certificate: x509.Certificate) -> str | None:
    """The hash below a signature that nobody accepts any more."""
    try:
        used = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return msg("an unknown algorithm")
    return used.name.upper() if isinstance(used, hashes.SHA1 | hashes.MD5) else None


def _on_the_way(way: Way, trust_domain: str) -> Iterator[Flaw]:
    now = datetime.now(UTC)
    for index, certificate in enumerate(way):
        file = CERT if index == 0 else ROOT if index == len(way) - 1 else CHAIN
        wrong = list(wrong_with(certificate, trust_domain, now))
        length = path_length(certificate)
        # Workloads' certificates come below the signing one, so that one is itself a level below its issuer.
        if length is not None and length < index:
            short = msg("has path length {length}; at least {needed} is needed here", length=length, needed=index)
            wrong.append(("broken", short))
        for weight, text in wrong:
            told = msg("holds {certificate}, which {problem}", certificate=_name(certificate), problem=text)
            yield Flaw(weight, file, told if file == CHAIN else text)


def _strength(way: Way, key: PrivateKeyTypes) -> Iterator[Flaw]:
    for index, certificate in enumerate(way):
        file = CERT if index == 0 else ROOT if index == len(way) - 1 else CHAIN
        public = certificate.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            if public.key_size < 2048:
                short = msg("has an RSA key of {size} bits; 2048 are the least", size=public.key_size)
                yield Flaw("unfit", file, short)
        elif not isinstance(public, ec.EllipticCurvePublicKey):
            yield Flaw("unfit", file, msg("has a key that is neither RSA nor ECDSA, which proxies do not accept"))
        elif public.curve.name not in _CURVES:
            curve = msg("has a key on curve {curve}; proxies accept P-256, P-384 and P-521", curve=public.curve.name)
            yield Flaw("unfit", file, curve)


def _chain_flaws(way: Way, chain: Sequence[x509.Certificate], strict: bool) -> Iterator[Flaw]:
    lacking = [certificate for certificate in way[:-1] if certificate not in chain]
    if lacking and len(way) > 1:
        what = msg("the certificate of {file}", file=CERT) if lacking[0] is way[0] else _name(lacking[0])
        if strict:
            yield Flaw("worry", CHAIN, msg("lacks {certificate}; it is added", certificate=what))
        else:
            without = msg("lacks {certificate}: peers could not check what it signs", certificate=what)
            yield Flaw("broken", CHAIN, without)
    if not strict:
        return
    beside = [certificate for certificate in chain if certificate not in way]
    if beside:
        other = _name(beside[0])
        left_out = msg("holds {certificate}, which is not on the way to the root; it is left out", certificate=other)
        yield Flaw("worry", CHAIN, left_out)
    there = [certificate for certificate in chain if certificate in way]
    if there != sorted(there, key=way.index):
        yield Flaw("worry", CHAIN, msg("is not in order from {file} up to the root; it is put in order", file=CERT))


def _name(certificate: x509.Certificate) -> str:
    return _told(certificate.subject)


def _told(name: x509.Name) -> str:
    return one_line(name.rfc4514_string(), 120) or msg("a certificate without a name")


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)
