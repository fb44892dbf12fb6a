"""What an IP address is, and a range of them, for everything that is typed, read or found."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit


def address_of(value: object) -> IPv4Address | IPv6Address | None:
    """The address that this text is; None for anything else. One with a zone (`fe80::1%eth0`) is none: it means something on one
    host only, and a zone may be any text.
    """
    try:
        return None if "%" in str(value) else ip_address(str(value))
    except ValueError:
        return None


def range_of(value: object) -> IPv4Network | IPv6Network | None:
    """The range that this text is, written with its first address; None for anything else."""
    try:
        return None if "%" in str(value) else ip_network(str(value))
    except ValueError:
        return None


def canonical(place: str) -> str:
    """The one spelling of an IP address, or of a host name: in lower case, without its last dot."""
    found = address_of(place)
    return str(found) if found else place.lower().rstrip(".")


def bracketed(host: str) -> str:
    """The host as it stands in a URL or before a port."""
    return f"[{host}]" if is_ip(host) and ":" in host else host


def place_of(url: str, port: int = 443) -> tuple[str, int]:
    """Host, as `canonical` writes it, and port that this URL leads to, `port` where it names none; no host where it is none."""
    try:
        parts = urlsplit(url)
        return canonical(parts.hostname or ""), parts.port or port
    except ValueError:
        return "", port


def is_ip(value: object) -> bool:
    """Whether this is an IP address, not a host name."""
    return address_of(value) is not None
