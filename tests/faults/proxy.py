"""A TLS proxy before a real API server, which answers wrongly where a rule says so.

Because it ends TLS itself, it can cut a connection *after* the API server committed a change and before the client hears of it.
"""

from __future__ import annotations

import http.client
import itertools
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.faults.keys import Keys

_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"})


@dataclass
class Request:
    """One request that reached the proxy. `index` counts all of one proxy from 1; `status` is the answer's, 0 without one."""

    index: int
    method: str
    path: str
    query: dict[str, list[str]]
    agent: str
    status: int = 0

    @property
    def mutating(self) -> bool:
        """Whether it is meant to change an object: no dry run, no review of rights, no command in a pod."""
        return (
            self.method in _CHANGES
            and self.query.get("dryRun") != ["All"]
            and not self.path.endswith(("reviews", "/exec"))
        )


@dataclass(frozen=True)
class Answer:
    """Answered by the proxy; the API server never hears of it."""

    status: int
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """The connection is reset, before the request is passed on or after its answer came; `then` is called right before that."""

    after_commit: bool
    then: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Hang:
    """Nothing is passed on and nothing answered for that long; then the connection is reset."""

    seconds: float


@dataclass(frozen=True)
class Drip:
    """The API server's own answer, this slowly."""

    bytes_per_second: float


Fault = Answer | Drop | Hang | Drip
Rule = Callable[[Request], Fault | None]


class Proxy:
    """Listens on a port of the loopback until `end`. `rule` may be changed at any time."""

    def __init__(self, upstream: str, keys: Keys) -> None:
        self.requests: list[Request] = []
        self.rule: Rule | None = None
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._upstream = urlsplit(upstream)
        self._trust = ssl.create_default_context(cafile=str(keys.ca))
        self.ca: Path = keys.ca
        self._server = TlsServer(keys, _handler_of(self))
        self.url = f"https://127.0.0.1:{self._server.port}"

    def forget(self) -> None:
        """Count anew and follow no rule."""
        with self._lock:
            self.rule = None
            self.requests = []
            self._numbers = itertools.count(1)

    def end(self) -> None:
        self._server.end()

    def arrived(self, method: str, target: str, agent: str) -> tuple[Request, Fault | None]:
        """Note a request and ask the rule."""
        parts = urlsplit(target)
        with self._lock:
            request = Request(next(self._numbers), method, parts.path, parse_qs(parts.query), agent)
            self.requests.append(request)
            rule = self.rule
        return request, rule(request) if rule else None

    def connect(self) -> http.client.HTTPSConnection:
        """A new connection to the API server."""
        return http.client.HTTPSConnection(
            str(self._upstream.hostname), self._upstream.port, context=self._trust, timeout=60
        )


class TlsServer(ThreadingHTTPServer):
    """Serves TLS on a free port of the loopback, each connection in a thread, until `end`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, keys: Keys, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(keys.certificate, keys.key)
        self.port = self.server_port
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()

    def finish_request(self, request: object, client_address: object) -> None:
        # In the connection's own thread: a client that stalls in its handshake must not keep others out.
        assert isinstance(request, socket.socket)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            wrapped = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        try:
            super().finish_request(wrapped, client_address)
        finally:
            wrapped.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone is what this is about."""


def _handler_of(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        _connection: http.client.HTTPSConnection | None = None

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            request, fault = proxy.arrived(self.command, self.path, self.headers.get("User-Agent", ""))
            match fault:
                case Answer():
                    request.status = fault.status
                    self._reply(fault.status, fault.body, {"Content-Type": "application/json", **fault.headers}, None)
                    return
                case Drop(after_commit=False):
                    fault.then()
                    self._reset()
                    return
                case Hang():
                    time.sleep(fault.seconds)
                    self._reset()
                    return
            if (self.headers.get("Upgrade") or "").lower() == "websocket":
                self._tunnel()
                return
            status, headers, data = self._pass_on(body)
            request.status = status
            if isinstance(fault, Drop):
                fault.then()
                self._reset()
                return
            self._reply(status, data, headers, fault.bytes_per_second if isinstance(fault, Drip) else None)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the library's names

        def _pass_on(self, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            for last in (False, True):
                if self._connection is None:
                    self._connection = proxy.connect()
                try:
                    self._connection.request(self.command, self.path, body, headers)
                    answer = self._connection.getresponse()
                    data = answer.read()
                except (OSError, http.client.HTTPException):
                    self._connection.close()
                    self._connection = None
                    if last or self.command != "GET":
                        raise
                    continue
                kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
                return answer.status, kept, data
            raise AssertionError

        def _reply(self, status: int, data: bytes, headers: dict[str, str], speed: float | None) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if speed is None:
                self.wfile.write(data)
                return
            for number in range(len(data)):
                self.wfile.write(data[number : number + 1])
                time.sleep(1 / speed)

        def _reset(self) -> None:
            """Not closed, reset: the client is to see the connection break."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _tunnel(self) -> None:
            """Pass an upgraded connection through, both ways, until one side ends it."""
            self.close_connection = True
            upstream = proxy.connect()
            upstream.connect()
            lines = [f"{self.command} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in self.headers.items()), "", ""]
            other: ssl.SSLSocket = upstream.sock  # type: ignore[assignment]
            other.sendall("\r\n".join(lines).encode())
            mine: ssl.SSLSocket = self.connection  # type: ignore[assignment]
            pairs = {mine: other, other: mine}
            try:
                while True:
                    ready = [each for each in pairs if each.pending()] or select.select([*pairs], [], [], 60)[0]
                    if not ready:
                        return
                    for each in ready:
                        data = each.recv(65536)
                        if not data:
                            return
                        pairs[each].sendall(data)
            finally:
                upstream.close()

        def log_message(self, *_: object) -> None:
            """Its own log is `Proxy.requests`."""

    return Handler
