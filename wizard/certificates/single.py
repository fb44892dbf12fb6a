"""What one certificate would mean as an authority of the mesh, whatever stands beside it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from wizard.messages import counted, msg
from wizard.text import listing, one_line

SOON = timedelta(days=30)
ISTIOD_NAME = "istiod.istio-system.svc"  # what istiod signs for itself, besides the workloads' identities
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

# broken: istiod would refuse it, or peers would not trust what it signs. unfit: works, but the wizard puts no such thing into
# a cluster. worry: works; a person should know.
Weight = Literal["broken", "unfit", "worry"]


def wrong_with(certificate: x509.Certificate, trust_domain: str, now: datetime) -> Iterator[tuple[Weight, str]]:
    """What is wrong with this certificate as an authority of the mesh; each text goes on after what names it."""
    end = certificate.not_valid_after_utc
    if end < now:
        yield "broken", msg("expired on {date}", date=f"{end:%Y-%m-%d}")
    elif end < now + SOON:
        yield "worry", _expires_soon(end, (end - now).days)
    if certificate.not_valid_before_utc > now:
        yield "broken", msg("is valid only from {time} UTC", time=f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M}")
    extensions = certificate.extensions
    basic = _value(extensions, x509.BasicConstraints)
    if basic is None or not basic.ca:
        yield "broken", msg("is no certificate authority (its basicConstraints lack CA:true)")
    usage = _value(extensions, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield "broken", msg("may not sign certificates (its keyUsage lacks keyCertSign)")
    extended = _value(extensions, x509.ExtendedKeyUsage)
    if extended is not None and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in extended:
        lacking = [name for name, usage_id in _NEEDED.items() if usage_id not in extended]
        if lacking:
            yield (
                "broken",
                msg("may not sign for workloads (its extendedKeyUsage lacks {usages})", usages=listing(lacking)),
            )
    for extension in extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            oid = extension.oid.dotted_string
            yield "broken", msg("has a critical extension that istiod does not know ({oid})", oid=oid)
    yield from (("broken", text) for text in _names(_value(extensions, x509.NameConstraints), trust_domain))


def _expires_soon(end: datetime, days: int) -> str:
    return counted(
        "expires on {date}, in {count} days", "expires on {date}, in {count} days", days, date=f"{end:%Y-%m-%d}"
    )


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
            yield msg(
                "may sign for {permitted} only, not for {name}", permitted=one_line(listing(permitted)), name=name
            )
        if any(_domain_within(name, subtree) for subtree in excluded):
            yield msg("may not sign for {name}", name=name)


def _host_within(name: str, subtree: str) -> bool:
    # RFC 5280: a host means only itself; with a leading period only what is below it. Go is laxer, BoringSSL is not.
    name, subtree = name.lower(), subtree.lower()
    return not subtree or (name.endswith(subtree) if subtree.startswith(".") else name == subtree)


def _domain_within(name: str, subtree: str) -> bool:
    name, subtree = name.lower(), subtree.lower().lstrip(".")
    return not subtree or name == subtree or name.endswith(f".{subtree}")


def path_length(certificate: x509.Certificate) -> int | None:
    """How many authorities it allows below it; None where it says nothing of that."""
    basic = _value(certificate.extensions, x509.BasicConstraints)
    return basic.path_length if basic else None


def _value(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
