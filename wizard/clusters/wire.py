"""Connections to one API server on which nothing waits for ever: names, handshakes, requests and answers all have an end.

The HTTP library's own timeout counts anew with each piece that arrives, so a server that drips a byte a second would hold a
caller for hours. The sockets here know when the call that uses them ends.
"""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3._base_connection import ProxyConfig
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)

from wizard.clusters.bounds import MAX_ANSWER, TooMuch
from wizard.clusters.patience import within
from wizard.errors import words_of
from wizard.mesh.addresses import is_ip
from wizard.messages import Message, msg

_CHUNK = 1 << 20
_KEPT = 20  # connections kept open
# A peer that vanished without a word (a cable, a gateway that forgot us) is noticed while nothing is said, too.
_OPTIONS: list[tuple[int, int, int | bytes]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 15000))
        if hasattr(socket, name)
    ),
]
_call = threading.local()


class NoAnswer(Exception):
    """No whole answer came. `sent`: the request may have reached the server. `tls`: what TLS found wrong, if that was it.
    `large`: more came than is taken in.
    """

    def __init__(self, reason: str, *, sent: bool, tls: ssl.SSLError | None = None, large: bool = False) -> None:
        """`reason`: in the words of whoever found it, not printable yet."""
        super().__init__(reason)
        self.sent = sent
        self.tls = tls
        self.large = large


@dataclass(frozen=True)
class Answer:
    """`seconds`: from the request to the whole answer. `told`: what is wrong with it, where that was not found by the server."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    seconds: float
    told: str = ""


@dataclass(frozen=True)
class Route:
    """How an API server is reached: with TLS always. `proxy`: a URL, or empty; one with https is spoken to with the same `tls`.
    `hostname`: the name its certificate must have, where that is not the address.
    """

    server: str
    tls: ssl.SSLContext
    hostname: str = ""
    proxy: str = ""
    proxy_headers: Mapping[str, str] | None = None


class Wire:
    """Connections of one route, kept and used again. Thread-safe."""

    def __init__(self, route: Route) -> None:
        self.route = route
        kept: dict[str, Any] = {"maxsize": _KEPT, "socket_options": _OPTIONS, "ssl_context": route.tls}
        if route.hostname:
            kept["server_hostname"] = route.hostname
        self._pools: urllib3.PoolManager
        if route.proxy:
            self._pools = urllib3.ProxyManager(
                route.proxy, proxy_headers=route.proxy_headers, proxy_ssl_context=route.tls, **kept
            )
        else:
            self._pools = urllib3.PoolManager(**kept)
        self._pools.pool_classes_by_scheme = {"https": _TlsPool}  # nothing is sent without TLS

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        connect: float,
        silence: float,
        until: float,
    ) -> Answer:
        """One request and its whole answer. `connect`, `silence`: in seconds; `until`: on the monotonic clock. Raises
        NoAnswer.
        """
        began = time.monotonic()
        with _limits(until, silence) as limits:
            try:
                response = self._pools.urlopen(
                    method, f"{self.route.server}{path}", redirect=False, headers=urllib3.HTTPHeaderDict(headers), body=body,
                    retries=False, preload_content=False, timeout=urllib3.Timeout(connect=connect, read=silence),
                )  # fmt: skip
                try:
                    data = bytearray()
                    while chunk := response.read(_CHUNK):
                        data += chunk
                        if len(data) > MAX_ANSWER:
                            why = msg("its answer is longer than {limit} MiB", limit=MAX_ANSWER >> 20)
                            raise NoAnswer(why, sent=True, large=True)
                except BaseException:
                    response.close()
                    raise
                response.release_conn()
            except (HTTPError, OSError, ValueError) as error:  # ValueError: an address that is none
                raise NoAnswer(_reason(error), sent=limits.sent, tls=_tls_in(error)) from error
        return Answer(response.status, response.headers, bytes(data), time.monotonic() - began)

    @contextmanager
    def open(self, *, connect: float, until: float) -> Iterator[tuple[socket.socket, Limits]]:
        """A connection of its own, and its limits, which may be changed. Raises NoAnswer where there is none."""
        route, target = self.route, urllib3.util.parse_url(self.route.server)
        proxy = urllib3.util.parse_url(route.proxy) if route.proxy else None
        near = proxy or target
        with _limits(until, connect) as limits:
            try:
                made = _TlsConnection(
                    near.host or "",
                    near.port or 443,
                    ssl_context=route.tls,
                    server_hostname=route.hostname or None,
                    timeout=connect,
                    socket_options=_OPTIONS,
                    proxy=proxy,
                    proxy_config=ProxyConfig(route.tls, False, None, None),
                )
                if proxy is not None:
                    made.set_tunnel(target.host or "", target.port or 443, route.proxy_headers, proxy.scheme or "")
                made.connect()
            except (HTTPError, OSError, ValueError) as error:
                raise NoAnswer(_reason(error), sent=False, tls=_tls_in(error)) from error
            limits.silence = until - time.monotonic()
            try:
                yield made.sock, limits
            finally:
                made.close()

    def close(self) -> None:
        """Close what is kept; what is in use comes to its end."""
        self._pools.clear()


# -- sockets that know when the call ends


@dataclass
class Limits:
    """`until`: on the monotonic clock; `silence`: in seconds; `sent`: whether something may have been sent; `left`: bytes that
    `recv` may still give.
    """

    until: float
    silence: float
    sent: bool = False
    left: float = math.inf


@contextmanager
def _limits(until: float, silence: float) -> Iterator[Limits]:
    """For all sockets that this thread uses meanwhile."""
    _call.limits = limits = Limits(until, silence)
    try:
        yield limits
    finally:
        _call.limits = None


def _hurry(used: socket.socket, most: float | None = None) -> None:
    limits: Limits | None = getattr(_call, "limits", None)
    if limits is not None:
        left = limits.until - time.monotonic()
        if left <= 0:
            raise TimeoutError(msg("it takes too long"))
        used.settimeout(min(left, limits.silence if most is None else most))


def _counted(data: bytes) -> bytes:
    limits: Limits | None = getattr(_call, "limits", None)
    if limits is not None:
        limits.left -= len(data)
        if limits.left < 0:
            raise TooMuch(msg("it answers without end"))
    return data


class _Socket(socket.socket):
    def recv(self, *args: Any) -> bytes:
        _hurry(self)
        return _counted(super().recv(*args))

    def recv_into(self, *args: Any) -> int:
        _hurry(self)
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        _hurry(self)
        return super().sendall(*args)


class _TlsSocket(ssl.SSLSocket):
    def recv(self, *args: Any) -> bytes:
        _hurry(self)
        return _counted(super().recv(*args))

    def recv_into(self, *args: Any) -> int:
        _hurry(self)
        return super().recv_into(*args)

    def send(self, *args: Any) -> int:
        _hurry(self)
        return super().send(*args)


def tls_context(*, verify: bool) -> ssl.SSLContext:
    """For a `Route`; what it trusts and what it shows is to be loaded yet."""
    context = urllib3.util.ssl_.create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if verify else ssl.CERT_NONE)
    context.sslsocket_class = _TlsSocket
    return context


class _Connecting:
    """Connects within `timeout`, the name's resolution included, and notes when something may have been sent."""

    _dns_host: str
    host: str
    port: int
    timeout: Any
    sock: Any

    def _new_conn(self) -> socket.socket:
        deadline = time.monotonic() + float(self.timeout)
        try:
            found = _addresses(self._dns_host, self.port, float(self.timeout))
        except TimeoutError:
            raise ConnectTimeoutError(self, msg("the name {host} is not resolved in time", host=self.host)) from None
        except OSError as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        last: OSError = OSError(msg("the name leads nowhere"))
        for family, kind, protocol, _, address in found:
            made = _Socket(family, kind, protocol)
            try:
                for option in _OPTIONS:
                    made.setsockopt(*option)
                _hurry(made, max(0.01, deadline - time.monotonic()))
                made.connect(address)
            except OSError as error:
                made.close()
                last = error
                continue
            _hurry(made, float(self.timeout))  # for the handshake
            return made
        if isinstance(last, TimeoutError):
            why = msg("no connection within {seconds:.0f} s", seconds=float(self.timeout))
            raise ConnectTimeoutError(self, why) from None
        raise NewConnectionError(self, last.strerror or str(last)) from last  # type: ignore[arg-type]

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _note_sent()

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _note_sent()
        super().request(*args, **kwargs)  # type: ignore[misc]


def _note_sent() -> None:
    limits: Limits | None = getattr(_call, "limits", None)
    if limits is not None:
        limits.sent = True


class _TlsConnection(_Connecting, HTTPSConnection):
    pass


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _addresses(host: str, port: int, seconds: float) -> list[Any]:
    """What the name leads to. The system's resolver has no deadline that we could set."""
    bare = host.strip("[]")
    if not is_ip(bare.partition("%")[0]):
        return within(seconds, lambda: socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM))
    return socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)


# -- what went wrong


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        inner = getattr(seen, "reason", None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__ or _first(seen)


def _first(error: BaseException) -> BaseException | None:
    """The library's ProtocolError holds its cause as its last argument."""
    return next((each for each in reversed(error.args) if isinstance(each, BaseException)), None)


def _tls_in(error: BaseException) -> ssl.SSLError | None:
    ends = (ssl.SSLEOFError, ssl.SSLZeroReturnError)  # a connection that broke, not a quarrel about certificates
    found = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
    return None if isinstance(found, ends) else found


def _reason(error: BaseException) -> str:
    """The last cause, which is the one that a person can act on."""
    last = [*_causes(error)][-1]
    text = words_of(last)
    if isinstance(last, ConnectTimeoutError):
        why = last.args[-1]
        return why if isinstance(why, Message) else str(why)
    if isinstance(text, Message):
        return text  # our own
    if isinstance(last, TimeoutError):
        if "handshake" in text:
            return msg("its TLS handshake did not end")
        return msg("it is silent") if "timed out" in text or not text else text
    if isinstance(last, OSError) and last.strerror:
        return last.strerror
    return text.rsplit(": ", 1)[-1] if "urllib3" in text or "Connection" in text else text
