"""A TLS proxy before a real API server, which answers wrongly where a rule says so.

Because it ends TLS itself, it can cut a connection *after* the API server committed a change and before the client hears of it.
"""

from __future__ import annotations

import itertools
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, StreamRequestHandler
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from tests.faults.keys import Keys

_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


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

    def connect(self) -> _Upstream:
        """A new connection to the API server."""
        name = str(self._upstream.hostname)
        plain = socket.create_connection((name, self._upstream.port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Upstream(self._trust.wrap_socket(plain, server_hostname=name))


class TlsServer(ThreadingHTTPServer):
    """Serves TLS on a free port of the loopback, each connection in a thread, until `end`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, keys: Keys, handler: type[BaseRequestHandler]) -> None:
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


def _handler_of(proxy: Proxy) -> type[StreamRequestHandler]:
    class Handler(StreamRequestHandler):
        _upstream: _Upstream | None = None

        def handle(self) -> None:
            try:
                while (message := _Message.read(self.rfile)) and self._answered(message):
                    pass
            finally:
                if self._upstream is not None:
                    self._upstream.close()

        def _answered(self, message: _Message) -> bool:
            """Whether the connection is still good for another request."""
            method, target, _ = message.first.decode().split(" ", 2)
            request, fault = proxy.arrived(method, target, message.field("user-agent"))
            match fault:
                case Answer():
                    request.status = fault.status
                    headers = {
                        "Content-Type": "application/json", **fault.headers, "Content-Length": str(len(fault.body)),
                    }  # fmt: skip
                    lines = [f"HTTP/1.1 {fault.status} Fault", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
                    self.wfile.write("\r\n".join(lines).encode() + fault.body)
                    return True
                case Drop(after_commit=False):
                    fault.then()
                    return self._reset()
                case Hang():
                    time.sleep(fault.seconds)
                    return self._reset()
            if message.field("upgrade").lower() == "websocket":
                self._tunnel(message)
                return False
            answer = self._pass_on(message, repeatable=method == "GET")
            request.status = int(answer.first.split()[1])
            if isinstance(fault, Drop):
                fault.then()
                return self._reset()
            if isinstance(fault, Drip):
                # The head at once: a client that hears nothing at all gives up for another reason.
                self.wfile.write(answer.head)
                for number in range(len(answer.body)):
                    self.wfile.write(answer.body[number : number + 1])
                    time.sleep(1 / fault.bytes_per_second)
            else:
                self.wfile.write(answer.head + answer.body)
            return True

        def _pass_on(self, message: _Message, *, repeatable: bool) -> _Message:
            for last in (False, True):
                if self._upstream is None:
                    self._upstream = proxy.connect()
                try:
                    return self._upstream.ask(message)
                except OSError:
                    self._upstream.close()
                    self._upstream = None
                    if last or not repeatable:
                        raise
            raise AssertionError

        def _reset(self) -> bool:
            """Not closed, reset: the client is to see the connection break."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return False

        def _tunnel(self, message: _Message) -> None:
            """Pass an upgraded connection through, both ways, until one side ends it."""
            upstream = proxy.connect()
            upstream.socket.sendall(message.head + message.body)
            mine: ssl.SSLSocket = self.connection  # type: ignore[assignment]
            pairs = {mine: upstream.socket, upstream.socket: mine}
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

    return Handler


@dataclass(frozen=True)
class _Message:
    """A request or an answer, byte for byte. Parsed no further than needed to see where it ends: a kill matrix passes on half
    a million.
    """

    first: bytes
    lines: tuple[bytes, ...]
    body: bytes  # with the frames of its chunks, if it is sent in some

    @classmethod
    def read(cls, stream: BinaryIO) -> _Message | None:
        """The next of a connection; None where that ended."""
        lines = []
        while (line := stream.readline()) != b"\r\n":
            if not line.endswith(b"\n"):
                return None
            lines.append(line)
        head = cls(lines[0], tuple(lines[1:]), b"")
        return cls(head.first, head.lines, b"".join(head.parts(stream)))

    def field(self, name: str) -> str:
        """The value of a header; empty where it is not there."""
        start = f"{name}:".encode()
        return next((line[len(start) :].strip().decode() for line in self.lines if line.lower().startswith(start)), "")

    @property
    def head(self) -> bytes:
        return self.first + b"".join(self.lines) + b"\r\n"

    def parts(self, stream: BinaryIO) -> Iterator[bytes]:
        """What follows this head."""
        if self.field("transfer-encoding") != "chunked":
            yield stream.read(int(self.field("content-length") or 0))
            return
        while True:
            size = stream.readline()
            yield size + stream.read(int(size, 16) + 2)  # the line's end, too
            if int(size, 16) == 0:
                return


class _Upstream:
    """A connection to the API server."""

    def __init__(self, made: ssl.SSLSocket) -> None:
        self.socket = made
        self._stream = made.makefile("rb")

    def ask(self, message: _Message) -> _Message:
        """Its answer. OSError where it ended before."""
        self.socket.sendall(message.head + message.body)
        answer = _Message.read(self._stream)
        if answer is None:
            raise ConnectionResetError("the API server closed the connection")
        return answer

    def close(self) -> None:
        self._stream.close()
        self.socket.close()
