"""An API server is asked as istiod will ask it: at its address, with the authority, server name and token of the remote secret,
and who answers must be the cluster that is meant.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_fakes import pair
from tests.unit.conftest import Setting, setting
from wizard.board import Board
from wizard.clusters.command import execute, query_of
from wizard.clusters.kinds import POD, Ref
from wizard.clusters.port import Executed
from wizard.clusters.wire import Route, Wire, tls_context
from wizard.errors import Failed
from wizard.mesh.fields import cluster_field
from wizard.mesh.links import LinkId, LinkState
from wizard.probes.asking import Reply, command_of, doubt, reply_of
from wizard.probes.credential import Credential, beforehand, in_secret
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.frontdoor import authority_of
from wizard.simulated.machine import Front
from wizard.steps import reach
from wizard.steps.remotesecret import secret_of

pytestmark = pytest.mark.inputs("7")
TOKEN = "eyJhbGciOi.payload_-.signature"
PEM = "-----BEGIN CERTIFICATE-----\nit's\n-----END CERTIFICATE-----\n"
OTHER = "-----BEGIN CERTIFICATE-----\nbG9naW4=\n-----END CERTIFICATE-----\n"
FRONT = "192.0.2.99"
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def asked(folder: Path, credential: Credential) -> tuple[list[str], str, list[str]]:
    """What a real shell makes of the command: its arguments, what curl is given, and curl's own arguments."""
    curl = folder / "curl"
    curl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/argv\ncat > {folder}/config\nprintf "{{}}\\n0 200 "\n')
    curl.chmod(0o755)
    argv, stdin = command_of(credential, connect=4, seconds=6)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as shell:
        assert shell.stdin and shell.stdout
        shell.stdin.write(stdin)
        shell.stdin.flush()  # and its end is never told, as in a Pod
        said = shell.stdout.read()
    assert reply_of(Executed(said, "", 0)) == Reply(0, 200, "", {})
    return argv, (folder / "config").read_text(), (folder / "argv").read_text().split()


def test_a_real_shell_hands_curl_what_istiod_has(tmp_path: Path) -> None:
    argv, config, arguments = asked(tmp_path, Credential("https://[fd00::2]:6443/", PEM, "two.example.com", TOKEN))
    lines = config.splitlines()
    assert 'url = "https://two.example.com:6443/api/v1/namespaces/kube-system"' in lines
    assert 'connect-to = "two.example.com:6443:[fd00::2]:6443"' in lines
    assert f'header = "Authorization: Bearer {TOKEN}"' in lines
    assert "insecure" not in lines
    trusted = Path(next(line for line in lines if line.startswith("cacert")).split('"')[1])
    assert trusted.read_text() == PEM
    trusted.unlink()
    assert arguments == ["-K", "-"]
    assert TOKEN not in " ".join(argv)


def test_without_a_token_nothing_but_the_version_is_asked(tmp_path: Path) -> None:
    _, config, _ = asked(tmp_path, Credential("https://10.0.0.2", ""))
    assert 'url = "https://10.0.0.2:443/version"' in config
    assert "Authorization" not in config
    assert "cacert" not in config


@pytest.mark.parametrize(
    "credential",
    [
        Credential("https://10.0.0.2", PEM, "", 'x"\nurl = "https://evil'),
        Credential("https://10.0.0.2", PEM, "a\nb", TOKEN),
    ],
)
def test_a_credential_that_would_be_more_options_is_refused(credential: Credential) -> None:
    with pytest.raises(Failed) as caught:
        command_of(credential, connect=4, seconds=6)
    assert "evil" not in caught.value.what


def test_a_token_is_not_shown_with_its_credential() -> None:
    assert TOKEN not in repr(Credential("https://10.0.0.2", PEM, "", TOKEN))


NAMESPACE = {"kind": "Namespace", "metadata": {"uid": "uid-2"}}
STATUS = {"kind": "Status", "status": "Failure"}


@pytest.mark.parametrize(
    ("reply", "token", "said", "cure"),
    [
        (Reply(0, 200, "", {"gitVersion": "v1.34.4"}), "", "", ""),
        (Reply(0, 401, "", STATUS), "", "", ""),
        (Reply(0, 403, "", STATUS), "", "", ""),
        (Reply(0, 200, "", {}), "", "answers HTTP 200, as no API server does", "not that of a proxy"),
        (Reply(0, 403, "", {}), "", "answers HTTP 403", "not that of a proxy"),
        (Reply(0, 502, "", STATUS), "", "answers HTTP 502", "not that of a proxy"),
        (Reply(60, 0, "unable to get local issuer certificate", {}), "", "not one of cluster2's own", "not that of a proxy"),
        (Reply(60, 0, "no alternative certificate subject name matches", {}), "", "does not name 10.0.0.2", "certSANs"),
        (Reply(60, 0, "certificate has expired", {}), "", "is not valid now", "Renew"),
        (Reply(35, 0, "Connection reset by peer", {}), "", "cannot be asked: Connection reset", "not that of a proxy"),
        (Reply(0, 200, "", NAMESPACE), TOKEN, "", ""),
        (Reply(0, 200, "", {**NAMESPACE, "metadata": {"uid": "uid-3"}}), TOKEN, "UID uid-3, that of cluster2", "itself"),
        (Reply(0, 200, "", {**NAMESPACE, "metadata": 7}), TOKEN, "is another cluster", "itself"),
        (Reply(0, 401, "", STATUS), TOKEN, "does not take the token", "itself"),
        (Reply(0, 403, "", STATUS), TOKEN, "does not let cluster2's reader read", "istio-reader"),
        (Reply(0, 200, "", {"gitVersion": "v1.34.4"}), TOKEN, "as no API server does", "itself"),
    ],
)  # fmt: skip
def test_who_answers_is_judged(reply: Reply, token: str, said: str, cure: str) -> None:
    found = doubt("cluster2", Credential("https://10.0.0.2:6443", PEM, "", token), reply, "uid-2")
    if not said:
        assert found is None
    else:
        assert found is not None
        assert said in found[0]
        assert cure in found[1]


@pytest.mark.parametrize("said", ["", "sh: not found", "curl: option --proto\n"])
def test_an_image_that_cannot_ask_is_told(said: str) -> None:
    with pytest.raises(Failed) as caught:
        reply_of(Executed("", said, 127))
    assert "a shell with head" in caught.value.remedy


# -- over simulated clusters


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is told at the first try."""
    monkeypatch.setattr(reach, "PATIENCE", 0.0)


def fronted(made: Setting, front: Front, behind: int = 2) -> None:
    """cluster2's API server is to be read at an address where a proxy stands before the API server of machine `behind`."""
    universe = made.machine(1).universe
    universe.nodes[FRONT] = made.machine(behind)
    universe.fronts[FRONT] = front
    made.mesh = made.mesh.with_cluster(replace(made.mesh.clusters[1], api_server=f"https://{FRONT}:6443"))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("front", "said"),
    [
        (Front(authority=OTHER), "not one of cluster2's own authority"),
        (Front(status=200), "answers HTTP 200, as no API server does"),
        (Front(status=502), "answers HTTP 502, as no API server does"),
        (Front(resets=True), "cannot be asked"),
    ],
    ids=["another certificate", "a login page", "bad gateway", "reset"],
)  # fmt: skip
def test_a_proxy_before_an_api_server_is_told_before_anything_is_installed(
    two: Setting, front: Front, said: str
) -> None:
    ours = front if front.authority else replace(front, authority=authority_of(two.machine(2)))
    fronted(two, ours)
    outcome = two.run()
    assert outcome.exit_code == 1
    assert "istiod of cluster1 cannot read cluster2: " in outcome.what
    assert said in outcome.what
    assert two.machine(1).found(secret_of("cluster2")) is None
    assert two.machine(2).found(secret_of("cluster1")) is not None, "the other way is open"


@pytest.mark.usefixtures("at_once")
def test_another_cluster_behind_the_right_certificate_is_told_by_the_token() -> None:
    """One authority may sign for many API servers: only the token and kube-system tell them apart."""
    made = setting(3)
    fronted(made, Front(authority=authority_of(made.machine(2))), behind=3)
    outcome = made.run()
    assert outcome.exit_code == 1
    assert "istiod of cluster1 cannot read cluster2" in outcome.what
    assert "does not take the token of cluster2's reader" in outcome.what


@pytest.mark.usefixtures("at_once")
def test_what_was_right_and_is_not_any_more_is_told_where_traffic_stops(finished: Setting) -> None:
    """An address that moved on to another cluster, as when a machine was made anew."""
    universe = finished.machine(1).universe
    universe.fronts["192.0.2.12"] = Front(authority=OTHER)
    sample = next(pod for pod in finished.machine(2).listed(POD) if pod["metadata"]["name"].startswith("helloworld"))
    finished.world.cluster("cluster2").delete(Ref(POD, sample["metadata"]["name"], sample["metadata"]["namespace"]))
    secret = finished.machine(1).found(secret_of("cluster2"))
    assert secret is not None
    finished.world.cluster("cluster1").delete(secret_of("cluster2"))
    outcome = finished.run()
    assert "istiod of cluster1 cannot read cluster2" in outcome.what


def test_a_mesh_that_stands_is_not_asked_again(finished: Setting) -> None:
    before = [machine.asked.get("exec") for machine in finished.outside.machines]
    assert finished.run().ok
    # The verification's own requests.
    assert [machine.asked.get("exec") for machine in finished.outside.machines] == [
        (count or 0) + 1 for count in before
    ]


def test_the_token_goes_nowhere_but_into_a_shell(two: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[Sequence[str]] = []
    given: list[str] = []
    whole = SimulatedCluster.execute

    def execute(self: SimulatedCluster, pod: Ref, container: str, argv: Sequence[str], **more: Any) -> Executed:
        commands.append(argv)
        given.append(str(more.get("stdin", "")))
        return whole(self, pod, container, argv, **more)

    made: list[dict[str, Any]] = []
    applied = SimulatedCluster.apply

    def apply(self: SimulatedCluster, manifest: dict[str, Any], **more: Any) -> dict[str, Any]:
        made.append(manifest)
        return applied(self, manifest, **more)

    monkeypatch.setattr(SimulatedCluster, "execute", execute)
    monkeypatch.setattr(SimulatedCluster, "apply", apply)
    events: list[str] = []
    outcome = two.run(lambda event: events.append(repr(event)))
    assert outcome.ok, outcome.what
    held = in_secret(two.machine(1).found(secret_of("cluster2")), "cluster2")
    assert held is not None
    assert held.token
    assert any(held.token in each for each in given)
    assert not [each for each in commands if held.token in " ".join(each)]
    assert not [each for each in made if each["kind"] != "Secret" and held.token in json.dumps(each)]
    assert not [each for each in events if held.token in each]


def test_what_a_remote_secret_will_say_is_known_beforehand(finished: Setting) -> None:
    held = in_secret(finished.machine(1).found(secret_of("cluster2")), "cluster2")
    assert held is not None
    server = str(finished.mesh.clusters[1].api_server)
    assert beforehand(server, finished.world.cluster("cluster2")) == replace(held, token="")


def test_an_authority_that_is_not_told_leaves_the_path_to_be_tried(two: Setting) -> None:
    """As Kubernetes before 1.20, or a context without that right."""
    two.machine(2).missing_rights.add("get configmaps")
    assert beforehand("https://192.0.2.12:6443", two.world.cluster("cluster2")) is None


@pytest.mark.parametrize("content", ["", "a: 1", "clusters: 7", "\x00", "clusters: [{cluster: {server: a}}]"])
def test_a_secret_that_holds_no_kubeconfig_gives_no_credential(content: str) -> None:
    data = {"cluster2": base64.b64encode(content.encode()).decode()}
    assert in_secret({"data": data}, "cluster2") is None
    assert in_secret(None, "cluster2") is None


@pytest.mark.parametrize("server", ["https://rancher.example.com/k8s/clusters/c-m-1", "https://10.0.0.1:6443/proxy/"])
def test_a_path_is_refused_with_what_is_missing_there(server: str) -> None:
    said = cluster_field("apiServer").mistake(server)
    assert said is not None
    assert "has a path" in said
    assert "give the API server's own address" in said


def test_the_drawing_shows_the_link_that_leads_elsewhere(two: Setting) -> None:
    board = Board(two.mesh)
    board.step("reach-api", "cluster1", None, "done")
    board.step("remote-secret", "cluster1", "cluster2", "done")
    board.step("reach-peers", "cluster1", None, "failed", ("cluster2",))
    assert board.links[LinkId("api", "cluster1", "cluster2")] is LinkState.BROKEN


# -- what a command reads


def test_a_command_over_a_websocket_gets_what_it_reads(tmp_path: Path) -> None:
    heard: list[bytes] = []
    shown, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair("server")
    (tmp_path / "server.pem").write_bytes(ours.key_pem + ours.pem)
    shown.load_cert_chain(tmp_path / "server.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        met, _ = listener.accept()
        with shown.wrap_socket(met, server_side=True) as connection, connection.makefile("rb") as file:
            request = b"".join(iter(file.readline, b"\r\n"))
            heard.append(request)
            key = next(
                line.split()[1] for line in request.splitlines() if line.lower().startswith(b"sec-websocket-key:")
            )
            accept = base64.b64encode(hashlib.sha1(key + _MAGIC).digest()).decode()  # noqa: S324 - RFC 6455
            connection.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n".encode()
            )
            read = b""
            while len(read) < 40_000:
                _, size = file.read(2)
                (length,) = struct.unpack(">H", file.read(2)) if size & 127 == 126 else (size & 127,)
                mask = file.read(4)
                payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(file.read(length)))
                assert payload[0] == 0
                read += payload[1:]
            heard.append(read)
            for channel, said in ((1, b"read all"), (3, b'{"status":"Success"}')):
                connection.sendall(bytes([0x82, len(said) + 1, channel]) + said)
            connection.sendall(b"\x88\x02\x03\xe8")

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    wire = Wire(Route(f"https://127.0.0.1:{listener.getsockname()[1]}", tls_context(verify=False)))
    path = f"/exec?{query_of('curl', ['sh'], stdin=True)}"
    done = execute(wire, path, {}, connect=5, until=time.monotonic() + 30, seconds=30, stdin=b"x" * 40_000)
    server.join(30)
    listener.close()
    assert done == Executed("read all", "", 0)
    assert b"stdin=true" in heard[0]
    assert heard[1] == b"x" * 40_000
    assert "stdin" not in query_of("curl", ["sh"])
