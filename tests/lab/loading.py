"""Generated kubeconfigs, and what a program that uses one sends to the API server: for a comparison of ours with kubectl."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.unit.api_fakes import Pair, pair
from wizard.clusters.patience import Patience
from wizard.clusters.real import RealCluster
from wizard.errors import Trouble

QUICK = Patience(connect=10.0, silence=10.0, total=20.0, pauses=(), plugin=30.0)
CONTEXTS = ("one", "two")
# What a request tells of who sends it, and as whom.
TELLING = ("authorization", "impersonate-")


@dataclass(frozen=True)
class Sent:
    """One request: at which server it arrived, what for, by whom."""

    server: str
    path: str
    headers: tuple[tuple[str, str], ...]
    certificate: str  # the client's name; empty without one


@dataclass
class Servers:
    """Two API servers with one authority, and a client's certificate of it; files that kubeconfigs may name."""

    folder: Path
    authority: Pair
    urls: dict[str, str] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def heard(self) -> list[Sent]:
        """What was sent since the last call."""
        heard, self.sent[:] = list(self.sent), []
        return heard


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Listening until the block ends."""
    authority = pair("authority")
    made = Servers(folder, authority)
    shown = pair("server", authority)
    (folder / "server.pem").write_bytes(shown.key_pem + shown.pem)
    mine = pair("me", authority)
    files = {
        "ca.crt": authority.pem, "stranger.crt": pair("stranger").pem, "me.crt": mine.pem, "me.key": mine.key_pem,
        "other.key": pair("other").key_pem, "token": b" from-a-file\n", "empty": b"\n",
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_bytes(content)
    plugin = folder / "plugin"
    plugin.write_text(f"#!/bin/sh\nexec cat {folder}/credential-$1\n")
    plugin.chmod(0o755)
    for version in ("v1", "v1beta1"):
        answer = {
            "apiVersion": f"client.authentication.k8s.io/{version}",
            "kind": "ExecCredential",
            "status": {"token": "ran"},
        }
        (folder / f"credential-{version}").write_text(json.dumps(answer))
    running = []
    for name in ("a", "b"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        server = _Server(("127.0.0.1", 0), _Handler)
        server.name, server.servers, server.context = name, made, context
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        made.urls[name] = f"https://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        for server in running:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    name: str
    servers: Servers
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake is the thread's own, so that a client that breaks it off holds up nobody."""
        try:
            request = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """Say who asked, and answer."""
        shown: Any = self.connection.getpeercert() or {}  # type: ignore[attr-defined]
        name = next((value for part in shown.get("subject", ()) for key, value in part if key == "commonName"), "")
        told = sorted((key.lower(), value) for key, value in self.headers.items() if key.lower().startswith(TELLING))
        self.server.servers.sent.append(Sent(self.server.name, self.path, tuple(told), name))
        body = json.dumps({"major": "1", "minor": "34", "gitVersion": "v1.34.0"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


# -- what generates them: every value as it is spelled in YAML

RARE = 60  # one value in so many is odd; one odd value may be enough for kubectl to refuse the file

_BARE = (
    "abc", '"abc"', "0815", "7e12", "1_000", "yes", "y", "no", "n", "On", "~", "null", '""', "2001-01-01", "0x1F", "12e999",
    ".5", "1.", "+1", "-0b1", "0o17", "!!str 12", "[abc]", "{a: b}", "'12'", "é", "=", "1:30", "0b2", "1e3", "Yes", "<<", "09",
    "08:15", "1.2.3", "-", "0x", "1__2", "tRue", "nUll", "._1", "0_8", "12:30:45", "2001-01-01T00:00:00Z", "+.5", "e3", "Inf",
)  # fmt: skip


class _Fields:
    """Draws the fields of one entry; absent ones are left out."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.made: dict[str, str] = {}

    def put(self, key: str, usual: list[str], odd: Sequence[str] = ()) -> None:
        """One of the usual values, where "" is that it is absent; seldom an odd one."""
        value = self.draw(st.sampled_from(odd if odd and self.rarely() else usual))
        if value:
            self.made[key] = value

    def rarely(self, times: int = RARE) -> bool:
        """Once in so many times."""
        return self.draw(st.integers(1, times)) == times

    def file_or_data(self, key: str, content: bytes, files: list[str], odd: Sequence[str]) -> None:
        """A file or its content; seldom both, neither or something odd."""
        data = base64.b64encode(content).decode()
        spelled = (
            data,
            f'"{data[:20]}\\n{data[20:]}"',
            f"{data}=",
            data[:-3],
            "DATA+OMITTED",
            "7",
            '""',
            "eA==",
            "null",
        )
        inline = self.draw(st.booleans())
        if inline or self.rarely():
            self.put(f"{key}-data", [data], spelled)
        if not inline or self.rarely():
            self.put(key, files, (*odd, "nowhere.pem", '""', "7"))


def _cluster(draw: st.DrawFn, servers: Servers) -> dict[str, str]:
    fields = _Fields(draw)
    a, b = servers.urls.values()
    fields.put(
        "server",
        [a, b, f"{a}/base/", a.replace("https", "HTTPS")],
        ("", "7", "null", f'"{a} "', "https://", f"{a}/?b=c"),
    )
    fields.put("insecure-skip-tls-verify", ["", "", "", "", "false", "true"], ('"false"', '"true"', "yes", "1", "n"))
    if "true" not in fields.made.values() or fields.rarely():
        content = (servers.folder / "ca.crt").read_bytes()
        fields.file_or_data(
            "certificate-authority", content, [f"{servers.folder}/ca.crt", "ca.crt"], ("stranger.crt", "me.key")
        )
    fields.put("tls-server-name", ["", "", "", "127.0.0.1"], ("elsewhere", "7"))
    fields.put("disable-compression", ["", "true"], ('"true"',))
    fields.put("proxy-url", [""], ('""', "host:3128", "ftp://a"))
    return fields.made


def _exec(draw: st.DrawFn, servers: Servers) -> str:
    fields = _Fields(draw)
    version = draw(st.sampled_from(["v1", "v1beta1"]))
    group = "client.authentication.k8s.io"
    fields.put("apiVersion", [f"{group}/{version}"], ("", f"{group}/v1alpha1", "7"))
    fields.put("command", [f"{servers.folder}/plugin", "./plugin"], ("", "7", "./nowhere"))
    fields.put("args", [f"[{version}]"], ("[7]", f"[{version}, null]", version))
    fields.put("interactiveMode", ["Never", "IfAvailable"], ("", "Sometimes", "7"))
    fields.put("env", ["", "[{name: A, value: b}]"], ("[{name: A, value: 7}]", "[{value: b}]", "{A: b}"))
    fields.put("provideClusterInfo", ["", "true"], ('"true"', "no"))
    return "{" + ", ".join(f"{key}: {value}" for key, value in fields.made.items()) + "}"


def _user(draw: st.DrawFn, servers: Servers) -> dict[str, str]:
    fields = _Fields(draw)
    kinds = ["token", "tokenFile", "certificate", "password", "exec"]
    for kind in draw(
        st.lists(st.sampled_from(kinds), min_size=1, max_size=1 + draw(st.integers(0, 3)) // 3, unique=True)
    ):
        if kind == "token":
            fields.put("token", ["abc", draw(st.sampled_from(_BARE))])
        if kind == "tokenFile":
            fields.put("tokenFile", [f"{servers.folder}/token", "token"], ("empty", "nowhere", "7"))
        if kind == "certificate":
            for key, name, stranger in (
                ("client-certificate", "me.crt", "ca.crt"),
                ("client-key", "me.key", "other.key"),
            ):
                if not fields.rarely():
                    content = (servers.folder / name).read_bytes()
                    fields.file_or_data(key, content, [f"{servers.folder}/{name}", name], (stranger,))
        if kind == "password":
            fields.put("username", ["me", "mé"], _BARE)
            fields.put("password", ["secret", "sécret", ""], _BARE)
        if kind == "exec":
            fields.made["exec"] = _exec(draw, servers)
    if draw(st.integers(0, 2)) == 0:
        fields.put("as", ["somebody", "jürgen", '"a b"'], ("", "7"))
        fields.put("as-uid", ["", "'42'"], ("42",))
        fields.put("as-groups", ["", "[g1, g2]", '["a, b", ""]'], ("[g1, null]", "[7]", "g1"))
        fields.put("as-user-extra", ["", "{scopes: [a, b]}", '{"Äx/y%": [a]}'], ("{a: b}", "{y: [a]}", "{1: [a]}"))
    return fields.made


def _entry(one: str, name: str, body: dict[str, str] | str) -> str:
    if isinstance(body, str):
        return f"- name: {name}\n  {one}: {body}"
    fields = "".join(f"\n    {key}: {value}" for key, value in body.items())
    return f"- name: {name}\n  {one}:{fields or ' {}'}"


_HEADS = ("apiVersion: v2", "kind: Pod", "current-context: 7", "apiVersion: 1")
_TAILS = (
    "unknown: {a: [1, 2]}", "preferences: {colors: yes}", "preferences: []", "---\na: 1", "unknown: .inf", "users: []",
    "extensions: [{name: a, extension: {b: 1}}]", "extensions: [{name: a}, {name: a}]", "unknown: &a [*a]", "? [a]\n: b",
)  # fmt: skip


@st.composite
def kubeconfig(draw: st.DrawFn, servers: Servers) -> str:
    """The text of one file."""
    fields = _Fields(draw)
    odd = st.sampled_from(["7", "y", '"7"', "", "absent", "one"])

    def names() -> list[str]:
        made = draw(st.sampled_from([["one", "two"], ["one"], ["two", "other"]]))
        return [*made, draw(odd)] if fields.rarely() else made

    tables: dict[str, list[str]] = {"clusters": [], "users": [], "contexts": []}
    for name in names():
        tables["clusters"].append(_entry("cluster", name, "null" if fields.rarely() else _cluster(draw, servers)))
    for name in names():
        body = draw(st.sampled_from(["null", "{}", "[]"])) if fields.rarely() else _user(draw, servers)
        tables["users"].append(_entry("user", name, body))
    for name in ["one", "one"] if fields.rarely() else CONTEXTS:
        context = _Fields(draw)
        for key in ("cluster", "user"):
            context.put(key, ["one", "one", "two"], ("7", "y", '"7"', "", "absent", "other"))
        context.put("namespace", ["", "default"], ("7",))
        tables["contexts"].append(_entry("context", name, context.made))
    fields.put("head", ["apiVersion: v1\nkind: Config", "x: 1"], _HEADS)
    fields.put("tail", ["x-tail: 1"], _TAILS)
    body = [f"{table}:\n" + "\n".join(entries) for table, entries in tables.items()]
    return "\n".join([fields.made["head"], *body, fields.made["tail"], ""])


# -- the two that use them


def ours(heard: Servers, context: str) -> tuple[list[Sent], str]:
    """What we send with the kubeconfigs of the environment, and why not."""
    cluster, why = RealCluster(context, None, context, QUICK), ""
    try:
        cluster.version()
    except Trouble as trouble:
        why = f"{type(trouble).__name__}: {trouble.what}"
    finally:
        cluster.close()
    return heard.heard(), why


def theirs(heard: Servers, kubectl: Path, context: str) -> tuple[list[Sent], str]:
    """What kubectl sends, and what it says."""
    done = subprocess.run(
        [str(kubectl), "--context", context, "get", "--raw", "/version"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(heard.folder), "KUBECONFIG": os.environ["KUBECONFIG"]},
    )  # fmt: skip
    return heard.heard(), f"{done.stdout[:40]} {done.stderr}"
