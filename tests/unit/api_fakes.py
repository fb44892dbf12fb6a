"""An API server that answers as a test tells it, over TLS on the loopback, and kubeconfigs that lead to it."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha1
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def thing(name: str) -> dict[str, Any]:
    """An object, as an API server tells it."""
    return {"metadata": {"name": name, "uid": f"uid-of-{name}", "resourceVersion": "1"}}


@dataclass(frozen=True)
class Said:
    """What is answered: `raw` goes out as it is. `close`: then the connection ends."""

    status: int = 200
    body: Any = field(default_factory=lambda: {**thing("one"), "status": {"allowed": True}})
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes = b""
    close: bool = False

    def bytes(self) -> bytes:
        if self.raw:
            return self.raw
        data = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} Said", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode() + data


@dataclass(frozen=True)
class Slowly:
    """What is answered, byte by byte with a pause after each."""

    said: Said
    pause: float


@dataclass(frozen=True)
class Silence:
    """Nothing, until the server ends."""


@dataclass(frozen=True)
class Reset:
    """The connection breaks."""


@dataclass(frozen=True)
class Endless:
    """`begin`, and then `more` for ever."""

    begin: bytes
    more: bytes


Reaction = Said | Slowly | Silence | Reset | Endless


@dataclass(frozen=True)
class Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def pair(
    name: str, issuer: Pair | None = None, *, days: tuple[float, float] = (-1, 30), address: str = "127.0.0.1"
) -> Pair:
    """An authority where no issuer is given, else a certificate of that address; valid from and until so many days from now."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    return Pair(builder.sign((issuer or Pair(builder.sign(key, hashes.SHA256()), key)).key, hashes.SHA256()), key)


class Api:
    """Listens until `end`. `react` says what each request gets; `asked` holds them all."""

    def __init__(self, folder: Path, authority: Pair, server: Pair, *, tls: bool = True, port: int = 0) -> None:
        """Without `tls` it accepts connections and never shakes hands."""
        self.asked: list[Asked] = []
        self.react: Callable[[Asked], Reaction] = lambda _: Said()
        self.authority = authority
        self._tls = tls
        self._ended = threading.Event()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        chain = folder / "server.pem"
        chain.write_bytes(server.key_pem + server.pem)
        self._context.load_cert_chain(chain)
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            if not self._tls:
                self._ended.wait()
                return
            with self._context.wrap_socket(plain, server_side=True) as spoken, spoken.makefile("rb") as heard:
                while asked := read_request(heard):
                    self.asked.append(asked)
                    if not self._answer(spoken, self.react(asked)):
                        return

    def _answer(self, spoken: socket.socket, reaction: Reaction) -> bool:
        match reaction:
            case Said():
                spoken.sendall(reaction.bytes())
                return not reaction.close
            case Slowly():
                for byte in reaction.said.bytes():
                    spoken.sendall(bytes([byte]))
                    if self._ended.wait(reaction.pause):
                        break
            case Endless():
                spoken.sendall(reaction.begin)
                while not self._ended.is_set():
                    spoken.sendall(reaction.more)
                return False
            case Silence():
                self._ended.wait()
                return False
            case Reset():
                spoken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return False
        return True


def read_request(heard: Any) -> Asked | None:
    line = heard.readline().decode().split()
    if len(line) < 3:
        return None
    headers = {}
    while (header := heard.readline().decode().strip()) != "":
        key, _, value = header.partition(":")
        headers[key.lower()] = value.strip()
    return Asked(line[0], line[1], headers, heard.read(int(headers.get("content-length", 0))))


def upgraded(asked: Asked) -> bytes:
    """The answer that begins a command, to be followed by its messages."""
    key = f"{asked.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
    told = base64.b64encode(sha1(key.encode(), usedforsecurity=False).digest())
    lines = [
        "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {told.decode()}", "Sec-WebSocket-Protocol: v4.channel.k8s.io", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


def kubeconfig(path: Path, url: str, authority: Pair, user: dict[str, Any], **cluster: Any) -> Path:
    """A kubeconfig with the one context `ours`."""
    data = base64.b64encode(authority.pem).decode()
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "ours",
        "clusters": [{"name": "there", "cluster": {"server": url, "certificate-authority-data": data, **cluster}}],
        "users": [{"name": "us", "user": user}],
        "contexts": [{"name": "ours", "context": {"cluster": "there", "user": "us"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


@contextlib.contextmanager
def api(folder: Path, **more: Any) -> Iterator[Api]:
    """A server with a good certificate."""
    authority = pair("authority")
    made = Api(folder, authority, pair("server", authority), **more)
    try:
        yield made
    finally:
        made.end()


def http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)
