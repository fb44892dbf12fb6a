"""Which roots a cluster trusts and signs for, by fingerprint (SHA-256): now, as its istiod tells, and as its Secrets say."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from wizard.certificates import pem
from wizard.certificates.bundle import CERT, CHAIN, ROOT, fingerprint_of
from wizard.checks.finding import Pair
from wizard.checks.standing.answering import controls
from wizard.checks.standing.istiods import served_clusters
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import joined, msg
from wizard.objects.cacerts import CACERTS, SELF_SIGNED, files_in

# What istiod writes into every namespace that it serves: proxies trust it.
DISTRIBUTED = Ref(CONFIG_MAP, "istio-ca-root-cert", SYSTEM_NAMESPACE)
GENERATED = "istio-generated"  # a key of `cacerts` where istiod made it itself
Roots = frozenset[str]
NONE: Roots = frozenset()


@dataclass(frozen=True)
class Trust:
    """`trusted`: the roots that its proxies trust; `signing`: those of them by which its own certificates may be checked."""

    trusted: Roots
    signing: Roots

    def with_(self, other: Trust) -> bool:
        """Whether proxies of the two trust each other."""
        return bool(self.signing & other.trusted) and bool(other.signing & self.trusted)


def trust_of(here: Here) -> Trust | None:
    """Whom the proxies trust that this cluster's istiod serves; None where nothing tells."""
    plugged = plugged_in(here)
    trusted = distributed(here) or plugged or self_signed(here)
    if not trusted:
        return None
    return Trust(trusted, _signing(here) or trusted if trusted == plugged else trusted)


def distributed(here: Here) -> Roots:
    """The roots that the cluster's istiod gives out now; none where it gave out none yet."""
    return roots_in(((here.get(DISTRIBUTED) or {}).get("data") or {}).get(ROOT, ""))


def plugged_in(here: Here) -> Roots:
    """The roots of Secret `cacerts`, for which istiod signs after its next start; none where there is none that can be read."""
    return roots_in(_plugged_text(here.get(CACERTS)))


def self_signed(here: Here) -> Roots:
    """The root that istiod made itself; none where it made none."""
    content = ((here.get(SELF_SIGNED) or {}).get("data") or {}).get(CERT)
    return roots_in(_decoded(content)) if content else NONE


def is_generated(secret: Object | None) -> bool:
    """Whether istiod made this `cacerts` itself."""
    return GENERATED in ((secret or {}).get("data") or {})


def is_late(here: Here) -> bool:
    """Whether the istiod that runs here signs for other roots than its `cacerts` says, as one does that was started before."""
    secret = here.get(CACERTS)
    now, wanted = distributed(here), plugged_in(here)
    return bool(secret and now and wanted and now != wanted and not is_generated(secret) and here.istiods())


def apart(here: Here, others: Iterable[Here]) -> tuple[Pair, ...]:
    """The traffic between what this cluster's istiod serves and what those of the others serve, both ways."""
    theirs = [name for other in others for name in served_clusters(other)]
    pairs = [pair for mine in served_clusters(here) for their in theirs for pair in ((mine, their), (their, mine))]
    return tuple(dict.fromkeys((source, target) for source, target in pairs if source != target))


def strangers_to(here: Here) -> list[Here]:
    """The other control planes whose proxies and those of this one do not trust each other now."""
    own = trust_of(here)
    others = [other for other in controls(here) if other is not here]
    return [other for other in others if own and (its := trust_of(other)) and not own.with_(its)]


def named(roots: Roots) -> str:
    """These roots as a person compares them: the beginnings of their fingerprints."""
    return joined((root[:16] for root in sorted(roots)), ", ") or msg("none")


@lru_cache(maxsize=512)
def roots_in(text: str) -> Roots:
    """The fingerprints of the certificates in this text; of what is none, that of the text itself."""
    content = text.strip().encode(errors="replace")
    if not content:
        return NONE
    try:
        return frozenset(fingerprint_of([each]) for each in pem.certificates(content))
    except ValueError:
        return frozenset((hashlib.sha256(content).hexdigest(),))


@lru_cache(maxsize=512)
def serials_in(text: str) -> frozenset[int]:
    """The serial numbers of the certificates in this text; none where it holds none that can be read."""
    try:
        return frozenset(each.serial_number for each in pem.certificates(text.encode(errors="replace")))
    except ValueError:
        return frozenset()


def _plugged_text(secret: Object | None) -> str:
    try:
        files = files_in(secret or {})
    except ValueError:
        return ""
    return (files.get(ROOT) or (files.get(CERT, b"") if is_generated(secret) else b"")).decode(errors="replace")


def _decoded(content: str) -> str:
    try:
        return base64.b64decode(content).decode(errors="replace")
    except ValueError:
        return ""


def _signing(here: Here) -> Roots:
    """Those roots of `cacerts` that stand above its signing certificate."""
    try:
        files = files_in(here.get(CACERTS) or {})
    except ValueError:
        return NONE
    return _above(*(files.get(name, b"") for name in (CERT, CHAIN, ROOT)))


@lru_cache(maxsize=256)
def _above(certificate: bytes, chain: bytes, roots: bytes) -> Roots:
    try:
        own = pem.certificates(certificate)
        between = [each for each in pem.certificates(chain) if each.issuer != each.subject] if chain.strip() else []
        tops = pem.certificates(roots)
    except ValueError:
        return NONE
    below = [*own, *between]
    return frozenset(fingerprint_of([top]) for top in tops if any(each == top or _signed(each, top) for each in below))


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
