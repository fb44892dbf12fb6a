"""Doors to clusters: one context that cannot be used is one row, and none is opened wider than kubectl would."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_fakes import Api, Pair, Said, api, kubeconfig, pair
from tests.unit.conftest import Setting
from tests.unit.test_lease_runs import writes
from tests.unit.test_real_cluster import CALLS
from wizard.checks.preflight import check
from wizard.clusters.patience import Patience
from wizard.clusters.port import Cluster
from wizard.clusters.proxies import NoProxy, Proxy, proxy_to
from wizard.clusters.real import RealCluster
from wizard.commands.main import run
from wizard.errors import BadInput, Failed, NeedsPerson, NotKnown, Unreachable
from wizard.facts import facts_of
from wizard.plan import RIGHTS
from wizard.resolve import identities

ROOT = Path(__file__).parents[2]
QUICK = Patience(connect=5.0, silence=5.0, total=10.0, pauses=(0.01,), plugin=3.0, mute=0.0, parked=0.5)
TOKEN = {"token": "a-secret-token"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as made:
        yield made


class Listener:
    """Says nothing, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                met, _ = self._socket.accept()
                self.heard.append(met.recv(65536))
                met.close()
            except OSError:
                return

    def end(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.end()


def oidc(listener: Listener, **settings: str) -> dict[str, Any]:
    """A user of an identity provider there, whose token ended long ago."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, {"exp": 1})]
    config = {
        "idp-issuer-url": f"https://127.0.0.1:{listener.port}", "id-token": ".".join([*parts, "x"]), "client-id": "a",
        "client-secret": "b", "refresh-token": "c", **settings,
    }  # fmt: skip
    return {"auth-provider": {"name": "oidc", "config": config}}


def row(cluster: RealCluster) -> str:
    """What the contexts screen tells of it; it never raises."""
    return facts_of(cluster).problem


# -- one bad context is one bad row

EXCEPTIONS = [
    RuntimeError("a"),
    KeyError("a"),
    RecursionError(),
    UnicodeDecodeError("utf-8", b"", 0, 1, "a"),
    ssl.SSLError("a"),
]


@pytest.mark.inputs("25")
@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("place", ["chosen", "login", "Wire"])
def test_whatever_a_login_raises_is_the_problem_of_its_context(
    server: Api, tmp_path: Path, two: Setting, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"wizard.clusters.connection.{place}", broken)
    config = kubeconfig(tmp_path / "config", server.url, server.authority, TOKEN)
    cluster = RealCluster("cluster2", config, "ours", QUICK)
    assert "cluster2: context ours" in row(cluster) and "cannot be used" in row(cluster)
    clusters: dict[str, Cluster] = {**two.world.clusters, "cluster2": cluster}
    findings = check(two.mesh, replace(two.world, clusters=clusters), RIGHTS)
    assert [each.cluster for each in findings if each.severity == "error"] == ["cluster2"]
    assert {each.check for each in findings if each.cluster == "cluster1"} >= {"reachable", "rights", "clock"}
    assert list(identities(two.mesh, replace(two.world, clusters=clusters), lenient=True)) == ["cluster1"]


@pytest.mark.inputs("25", "40")
@pytest.mark.parametrize(
    "more", [{}, {"idp-certificate-authority-data": ""}, {"idp-issuer-url": "https://nowhere.invalid"}]
)
def test_no_identity_provider_is_asked(server: Api, listener: Listener, tmp_path: Path, more: dict[str, str]) -> None:
    """Only kubectl may use up a refresh token: it alone keeps the next one."""
    server.react = lambda _: Said(401, {"message": "Unauthorized"})
    user = oidc(listener, **more)
    cluster = RealCluster("east", kubeconfig(tmp_path / "config", server.url, server.authority, user), "ours", QUICK)
    with pytest.raises(NotKnown, match="does not accept the credentials of context ours") as told:
        cluster.version()
    assert "kubectl" in told.value.remedy
    assert server.asked[0].headers["authorization"] == f"Bearer {user['auth-provider']['config']['id-token']}"
    assert not listener.heard


@pytest.mark.inputs("40")
@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ({"name": "azure", "config": {"access-token": "a"}}, "auth-provider 'azure' is not supported"),
        (
            {"name": "gcp", "config": {"access-token": "a", "cmd-path": "/bin/sh"}},
            "auth-provider 'gcp' is not supported",
        ),
        ({"name": "openstack"}, "auth-provider 'openstack' is not supported"),
        ({"config": {}}, "auth-provider '' is not supported"),
        ({"name": "oidc"}, "holds no id-token"),
        ({"name": "oidc", "config": {"id-token": "", "refresh-token": "a"}}, "holds no id-token"),
    ],
)
def test_who_cannot_log_in_is_not_anonymous(server: Api, tmp_path: Path, provider: Any, words: str) -> None:
    config = kubeconfig(tmp_path / "config", server.url, server.authority, {"auth-provider": provider})
    with pytest.raises(
        BadInput, match=f"east: context ours: its {words}|east: context ours: its auth-provider oidc {words}"
    ):
        RealCluster("east", config, "ours", QUICK).version()
    assert not server.asked


@pytest.mark.inputs("40")
def test_a_token_of_ones_own_comes_before_a_provider(server: Api, listener: Listener, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", server.url, server.authority, {**oidc(listener), **TOKEN})
    RealCluster("east", config, "ours", QUICK).version()
    assert server.asked[0].headers["authorization"] == "Bearer a-secret-token"


# -- never in clear, never unverified without a word


@pytest.mark.inputs("41", "S8")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:{}", "HTTP://127.0.0.1:{}", "127.0.0.1:{}", "//127.0.0.1:{}", ""]
)
def test_nothing_is_sent_in_clear(listener: Listener, tmp_path: Path, address: str, call: str) -> None:
    run = tmp_path / "run"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(run)]}
    plugin["interactiveMode"] = "Never"
    for user in (TOKEN, {"username": "a", "password": "b"}, {"exec": plugin}, {}):
        config = kubeconfig(tmp_path / "config", address.format(listener.port), pair("x"), user)
        with pytest.raises(BadInput, match=r"east: context ours.*(https:|is missing)"):
            CALLS[call](RealCluster("east", config, "ours", QUICK))
    assert not listener.heard
    assert not run.exists()


@pytest.mark.inputs("41", "S8")
def test_an_api_server_in_clear_is_an_error_of_the_preflight(listener: Listener, two: Setting, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", f"http://127.0.0.1:{listener.port}", pair("x"), TOKEN)
    cluster = RealCluster("cluster2", config, "ours", QUICK)
    clusters: dict[str, Cluster] = {**two.world.clusters, "cluster2": cluster}
    (finding,) = [
        each for each in check(two.mesh, replace(two.world, clusters=clusters), RIGHTS) if each.severity == "error"
    ]
    assert (finding.cluster, "in clear" in finding.text, "https://" in finding.remedy) == ("cluster2", True, True)
    assert "in clear" in row(cluster)
    assert not listener.heard


@pytest.mark.inputs("S8", "41")
def test_an_api_server_that_is_not_verified_is_told_once(server: Api, two: Setting, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", server.url, pair("stranger"), TOKEN)
    content = config.read_text().replace("certificate-authority-data", "unused")
    config.write_text(content.replace("    server:", "    insecure-skip-tls-verify: true\n    server:"))
    cluster = RealCluster("east", config, "ours", QUICK)
    cluster.version()
    assert not cluster.verified
    two.machine(2).verified = False
    told = [each for each in check(two.mesh, two.world, RIGHTS) if each.check == "verified"]
    assert [(each.cluster, each.severity) for each in told] == [("cluster2", "warning")]
    assert "insecure-skip-tls-verify" in told[0].text
    assert "--unverified cluster2" in told[0].remedy


@pytest.mark.inputs("M2")
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(server: Api, listener: Listener, tmp_path: Path, call: str, status: int) -> None:
    with api(tmp_path) as other:
        config = kubeconfig(tmp_path / "config", server.url, server.authority, TOKEN)
        authorities = server.authority.pem + other.authority.pem  # or it would not be followed for want of trust
        config.write_text(
            config.read_text().replace(
                *(base64.b64encode(each).decode() for each in (server.authority.pem, authorities))
            )
        )
        cluster = RealCluster("east", config, "ours", QUICK)
        plain = [f"{scheme}://127.0.0.1:{listener.port}/" for scheme in ("http", "ws")]
        for target in (f"{other.url}/api", f"{server.url}/elsewhere", "/elsewhere", *plain):
            server.asked.clear()
            server.react = lambda _, target=target: Said(status, b"", {"Location": target})  # type: ignore[misc]
            with pytest.raises(Failed):
                CALLS[call](cluster)
            assert [asked for asked in server.asked if "elsewhere" in asked.path] == []
            assert len(server.asked) == 1
        assert not other.asked
        assert not listener.heard


@pytest.mark.inputs("M3")
def test_keys_of_a_kubeconfig_touch_no_folder(server: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    made: list[str] = []
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, *more, **rest: made.append(str(path)) or opened(path, *more, **rest))
    mine = pair("me", server.authority)
    user = {
        "client-certificate-data": base64.b64encode(mine.pem).decode(),
        "client-key-data": base64.b64encode(mine.key_pem).decode(),
    }
    cluster = RealCluster("east", kubeconfig(tmp_path / "config", server.url, server.authority, user), "ours", QUICK)
    cluster.version()
    cluster.close()
    assert len(server.asked) == 1
    assert list(folder.iterdir()) == []
    assert [path for path in made if path.startswith(str(folder))] == []


# -- proxies


@pytest.mark.inputs("26")
@pytest.mark.parametrize(
    ("told", "url"),
    [
        ("proxy:3128", "http://proxy:3128"),
        ("10.0.0.1:3128", "http://10.0.0.1:3128"),
        ("proxy", "http://proxy:80"),
        ("http://proxy", "http://proxy:80"),
        ("https://proxy", "https://proxy:443"),
        ("HTTP://Proxy:1/", "http://proxy:1"),
        ("[fd00::1]:3128", "http://[fd00::1]:3128"),
        ("me:p%40ss@proxy:3128", "http://proxy:3128"),
    ],
)
def test_a_proxy_of_the_variable_is_read_as_go_reads_it(told: str, url: str) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        found = proxy_to("https://a.example", {}, {name: told})
        assert found is not None
        assert found.url == url
        known = {"Proxy-Authorization": "Basic " + base64.b64encode(b"me:p@ss").decode()} if "@" in told else {}
        assert found.headers == known


@pytest.mark.inputs("26")
def test_only_the_variables_of_go_count() -> None:
    environ = {"HTTP_PROXY": "a:1", "ALL_PROXY": "a:1", "http_proxy": "a:1", "all_proxy": "a:1"}
    assert proxy_to("https://a.example", {}, environ) is None
    assert proxy_to("https://a.example", {"proxy-url": ""}, {"HTTPS_PROXY": ""}) is None


@pytest.mark.inputs("26")
@pytest.mark.parametrize(
    ("server", "excepted", "direct"),
    [
        ("https://a.example:6443", "", False),
        ("https://a.example:6443", "*", True),
        ("https://a.example:6443", "b.example, a.example", True),
        ("https://x.a.example", "a.example", True),
        ("https://x.a.example", ".a.example", True),
        ("https://x.a.example", "*.a.example", True),
        ("https://a.example", ".a.example", False),
        ("https://xa.example", "a.example", False),
        ("https://A.Example", "a.exAMPLE", True),
        ("https://a.example:6443", "a.example:6443", True),
        ("https://a.example:6443", "a.example:443", False),
        ("https://a.example", "a.example:443", True),
        ("https://10.1.2.3:6443", "10.0.0.0/8", True),
        ("https://10.1.2.3:6443", "10.1.2.3", True),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", True),
        ("https://10.1.2.3:6443", "10.1.2.3:443", False),
        ("https://10.1.2.3:6443", "11.0.0.0/8,nonsense/99", False),
        ("https://[fd00::1]:6443", "fd00::/8", True),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", True),
        ("https://[fd00::1]:6443", "fd00::1", True),
        ("https://localhost:6443", "", True),
        ("https://127.0.0.1:6443", "", True),
        ("https://127.1.2.3:6443", "", True),
        ("https://[::1]:6443", "", True),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(server: str, excepted: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": excepted}
    assert (proxy_to(server, {}, environ) is None) == direct
    # What a kubeconfig names counts always.
    assert proxy_to(server, {"proxy-url": "http://own:1"}, environ) == Proxy("http://own:1")


@pytest.mark.inputs("26")
@pytest.mark.parametrize(
    "told",
    [
        "host:3128",
        "10.0.0.1:3128",
        "//host:1",
        "http://",
        "http://a:x",
        "http://a:99999",
        "ftp://a",
        "http://[a",
        "socks5://a:1",
    ],
)
def test_a_bad_proxy_is_named_with_its_cluster(server: Api, two: Setting, tmp_path: Path, told: str) -> None:
    config = kubeconfig(tmp_path / "config", server.url, server.authority, TOKEN, **{"proxy-url": told})
    cluster = RealCluster("cluster2", config, "ours", QUICK)
    assert "cluster2: context ours" in row(cluster)
    assert "proxy-url" in row(cluster)
    clusters: dict[str, Cluster] = {**two.world.clusters, "cluster2": cluster}
    findings = check(two.mesh, replace(two.world, clusters=clusters), RIGHTS)
    assert [each.cluster for each in findings if each.severity == "error"] == ["cluster2"]
    assert not server.asked


@pytest.mark.inputs("26")
@pytest.mark.parametrize("told", ["socks5://a:1", "ftp://a", "http://a:x"])
def test_a_bad_variable_is_named(told: str) -> None:
    with pytest.raises(NoProxy, match="the variable HTTPS_PROXY "):
        proxy_to("https://a.example", {}, {"HTTPS_PROXY": told})


class Tunnel:
    """A proxy that opens tunnels; `heads` holds what was asked of it."""

    def __init__(self, shown: Pair | None, folder: Path) -> None:
        """`shown`: its certificate, where it is spoken to over TLS."""
        self.heads: list[str] = []
        self._context = None
        if shown is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            (folder / "proxy.pem").write_bytes(shown.key_pem + shown.pem)
            self._context.load_cert_chain(folder / "proxy.pem")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def end(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                met, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(met,), daemon=True).start()

    def _serve(self, met: socket.socket) -> None:
        try:
            near = self._context.wrap_socket(met, server_side=True) if self._context else met
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(1)
            self.heads.append(head.decode())
            far = socket.create_connection(("127.0.0.1", int(head.split()[1].rpartition(b":")[2])))
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(target=_pump, args=(near, far), daemon=True).start()
            _pump(far, near)
        except OSError:
            return


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        return


@pytest.mark.inputs("26")
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_requests_and_commands_go_through_the_proxy(server: Api, tmp_path: Path, secure: bool) -> None:
    tunnel = Tunnel(pair("proxy", server.authority) if secure else None, tmp_path)
    url = f"http{'s' * secure}://me:word@127.0.0.1:{tunnel.port}"
    config = kubeconfig(tmp_path / "config", server.url, server.authority, TOKEN, **{"proxy-url": url})
    cluster = RealCluster("east", config, "ours", QUICK)
    cluster.version()
    with pytest.raises(Failed, match="speaks no websocket"):
        CALLS["execute"](cluster)
    known = f"Proxy-Authorization: Basic {base64.b64encode(b'me:word').decode()}"
    assert len(tunnel.heads) == len(server.asked) == 2
    assert all(known in head and TOKEN["token"] not in head for head in tunnel.heads)
    assert all("proxy-authorization" not in asked.headers for asked in server.asked)
    tunnel.end()


# -- no home


@pytest.mark.inputs("27")
@pytest.mark.parametrize("command", [["status"], ["plain"], ["uninstall", "--yes"]], ids=" ".join)
def test_without_a_home_it_says_so(command: list[str]) -> None:
    # As for a user that the system does not know, which only root could be here.
    script = (
        "import os, pwd, sys\n"
        "def unknown(*_): raise KeyError\n"
        "pwd.getpwuid = unknown\n"
        "from wizard.commands.main import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    environ = {key: value for key, value in os.environ.items() if key != "HOME" and not key.startswith("XDG_")}
    done = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=False, env=environ, cwd=ROOT
    )
    assert done.returncode == 2
    assert "HOME is not set" in done.stderr
    assert "--state-dir" in done.stderr
    assert "unexpected" not in done.stderr


# -- as the commands tell it


@pytest.fixture
def mesh_file(two: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A mesh file that leaves open what it may; the commands work on the simulated clusters."""
    monkeypatch.setattr("wizard.console.settings.outside_of", lambda _: two.outside)
    clusters = [{"name": each.name, "context": each.context, "network": each.network} for each in two.mesh.clusters]
    path = tmp_path / "mesh.yaml"
    path.write_text(json.dumps({"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}))
    return str(path)


TROUBLES = {
    "unusable": BadInput("cluster2: context two cannot be used", "Check it."),
    "misshapen": Failed("cluster2: list nodes: it does not answer as an API server does", "Check it."),
    "silent": Unreachable("cluster2 does not answer", "Check it."),
}


@pytest.mark.inputs("25", "29")
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("calls", [("identity", "version", "get", "list"), ("list",)], ids=["all", "lists"])
def test_one_bad_context_is_one_bad_row_of_check(
    two: Setting,
    mesh_file: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    trouble: str,
    calls: tuple[str, ...],
) -> None:
    for call in calls:
        two.machine(2).fail_next(call, TROUBLES[trouble], times=10_000)
    assert run(["--state-dir", str(tmp_path / "state"), "check", "-f", mesh_file, "--json"]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    (bad,) = [each for each in findings if each["severity"] == "error"]
    assert (bad["cluster"], bad["text"]) == ("cluster2", TROUBLES[trouble].what)
    assert {each["check"] for each in findings if each["cluster"] == "cluster1"} >= {"reachable", "rights", "clock"}


@pytest.mark.inputs("29")
def test_what_keeps_a_mesh_from_being_settled_is_a_finding(
    two: Setting, mesh_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsettled(*_: object, **__: object) -> None:
        raise NeedsPerson("cluster2: no ready node has an InternalIP", "Give the address.")

    monkeypatch.setattr("wizard.operations.prepared.resolve", unsettled)
    assert run(["--state-dir", str(tmp_path / "state"), "check", "-f", mesh_file]) == 3
    told = capsys.readouterr().out
    assert "no ready node has an InternalIP" in told
    assert "cluster1" in told


@pytest.mark.inputs("S8")
def test_keys_go_where_nobody_is_verified_by_consent_only(
    two: Setting, mesh_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state-dir", str(tmp_path / "state")]
    two.machine(2).verified = False
    before = [writes(two.machine(number)) for number in (1, 2)]
    assert run([*state, "apply", "-f", mesh_file]) == 3
    told = capsys.readouterr()
    assert "not verified" in told.out + told.err
    assert f"meshwizard resume mesh1 --state-dir {tmp_path / 'state'} --unverified cluster2" in told.out + told.err
    assert [writes(two.machine(number)) for number in (1, 2)] == before
    assert run([*state, "apply", "-f", mesh_file, "--unverified", "cluster9"]) == 2
    assert run([*state, "resume", "mesh1", "--unverified", "cluster2"]) == 0
    assert run([*state, "uninstall", "mesh1", "--yes"]) == 3
    assert run([*state, "uninstall", "mesh1", "--yes", "--unverified", "cluster2"]) == 0


@pytest.mark.inputs("S8")
def test_a_finished_mesh_asks_for_no_consent(two: Setting, mesh_file: str, tmp_path: Path) -> None:
    state = ["--state-dir", str(tmp_path / "state")]
    assert run([*state, "apply", "-f", mesh_file]) == 0
    two.machine(2).verified = False
    assert run([*state, "apply", "-f", mesh_file]) == 0
