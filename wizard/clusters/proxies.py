"""Which proxy leads to an API server: as kubectl finds it, so that both go the same way (Go's net/http and client-go)."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit

from wizard.clusters.kinds import Object
from wizard.credentials import hold_url
from wizard.mesh.addresses import address_of
from wizard.messages import msg


class NoProxy(ValueError):
    """What is named as a proxy is none that can be used. Its words, a message, say who named it, and what is wrong."""


@dataclass(frozen=True)
class Proxy:
    """`url` has a scheme, a host and a port, and no credentials: those are in `headers`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


def proxy_to(server: str, cluster: Object, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy on the way to a server with https. What the kubeconfig names in `proxy-url` counts always; the variable
    HTTPS_PROXY only where NO_PROXY does not name the server. Raises NoProxy.
    """
    given = str(cluster.get("proxy-url") or "")
    if given:
        return _proxy(msg("its proxy-url"), _split(given))
    told = _variable(environ, "HTTPS_PROXY")
    hold_url(told if "://" in told else f"http://{told}")
    if not told or _direct(server, _variable(environ, "NO_PROXY")):
        return None
    parts = _split(told)
    if parts is None or not parts.scheme or not parts.netloc:
        parts = _split(f"http://{told}")
    return _proxy(msg("the variable HTTPS_PROXY"), parts)


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.lower()) or ""


def _split(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _proxy(source: str, parts: SplitResult | None) -> Proxy:
    # The address itself is not repeated: it may hold a password.
    if parts is None:
        raise NoProxy(msg("{source} is no address", source=source))
    if parts.scheme.startswith("socks"):
        raise NoProxy(msg("{source} names a proxy that speaks SOCKS, which is not supported here", source=source))
    if parts.scheme not in {"http", "https"}:
        raise NoProxy(msg("{source} must begin with http:// or https://", source=source))
    try:
        host, port = parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]
    except ValueError:
        raise NoProxy(msg("{source} has a port that is none", source=source)) from None
    if not host:
        raise NoProxy(msg("{source} names no host", source=source))
    headers = {}
    if parts.username is not None:
        known = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(known).decode()}"
    return Proxy(f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}", headers)


def _direct(server: str, excepted: str) -> bool:
    """Whether NO_PROXY, or that it is this machine, keeps a server from being asked through a proxy."""
    parts = urlsplit(server)
    host, port = (parts.hostname or "").strip(), str(parts.port or 443)
    address = address_of(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(each.strip().lower(), host, port, address) for each in excepted.split(","))


def _matches(rule: str, host: str, port: str, address: IPv4Address | IPv6Address | None) -> bool:
    if rule in {"", "*"}:
        return rule == "*"
    if "/" in rule:
        try:
            return address is not None and address in ip_network(rule, strict=False)
        except ValueError:
            return False
    name, wanted = rule, ""
    if address_of(rule) is None:
        before, colon, after = rule.rpartition(":")
        if colon and after.isdigit():
            name, wanted = before, after
    name = name.strip("[]")
    if wanted not in {"", port} or not name:
        return False
    if (named := address_of(name)) is not None:
        return named == address
    name = name.removeprefix("*")
    # `.a` is what is below it, `a` is itself, too.
    return host.endswith(name if name.startswith(".") else f".{name}") or host == name
