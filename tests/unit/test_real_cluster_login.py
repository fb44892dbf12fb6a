"""Commands that give credentials: they get no terminal, little time, and their failures are told in a sentence."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_fakes import Api, Asked, Reaction, Said, api, kubeconfig, pair
from wizard import process
from wizard.clusters.patience import Patience
from wizard.clusters.real import RealCluster
from wizard.errors import BadInput, Failed, NotKnown

VERSION = "client.authentication.k8s.io/v1"
QUICK = Patience(connect=5.0, silence=5.0, total=10.0, pauses=(0.01,), plugin=1.0, parked=0.5)
PATIENT = Patience(connect=5.0, silence=5.0, total=10.0, pauses=(0.01,), plugin=60.0, parked=0.5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as made:
        yield made


class Plugin:
    """A kubeconfig whose user is what a script says; each of its runs is a line in `runs`."""

    def __init__(self, folder: Path, server: Api, script: str, **more: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.runs = folder / "runs"
        self.token = folder / "token"
        program = folder / "give-me"
        program.write_text(f"#!/bin/sh\necho run >> {self.runs}\n{script.replace('TOKEN', str(self.token))}\n")
        program.chmod(0o755)
        wanted = {"apiVersion": VERSION, "command": "./give-me", **more}
        self.config = kubeconfig(folder / "config", server.url, server.authority, {"exec": wanted})

    def cluster(self, patience: Patience = PATIENT) -> RealCluster:
        return RealCluster("east", self.config, "ours", patience)

    @property
    def count(self) -> int:
        return len(self.runs.read_text().splitlines()) if self.runs.exists() else 0


def credential(**status: str) -> str:
    return json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})


def test_a_command_gives_a_token(server: Api, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path / "p", server, f"echo '{credential(token='abc')}'")
    cluster = plugin.cluster()
    cluster.version()
    cluster.version()
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer abc"] * 2
    assert plugin.count == 1


def test_a_command_hears_what_the_kubeconfig_tells_it(server: Api, tmp_path: Path) -> None:
    script = f"""
printf %s "$KUBERNETES_EXEC_INFO" > {tmp_path}/info; printf '%s|%s' "$COLOUR" "$*" > {tmp_path}/more
cat > {tmp_path}/heard; echo '{credential(token="abc")}'"""
    env = [{"name": "COLOUR", "value": "blue"}]
    Plugin(tmp_path / "p", server, script, env=env, args=["a b", "c"], provideClusterInfo=True).cluster().version()
    told = json.loads((tmp_path / "info").read_text())
    assert told["spec"]["interactive"] is False
    assert told["spec"]["cluster"]["server"] == server.url
    assert base64.b64decode(told["spec"]["cluster"]["certificate-authority-data"]) == server.authority.pem
    assert (tmp_path / "more").read_text() == "blue|a b c"
    assert (tmp_path / "heard").read_bytes() == b""  # there is nothing to read, and no terminal


def test_a_command_gives_a_certificate(server: Api, tmp_path: Path) -> None:
    mine = pair("me", server.authority, days=(-30, -3))
    answer = credential(clientCertificateData=mine.pem.decode(), clientKeyData=mine.key_pem.decode())
    (tmp_path / "answer").write_text(answer)
    server.react = lambda _: Said(401)
    with pytest.raises(NotKnown, match="its client certificate is valid from"):
        Plugin(tmp_path / "p", server, f"cat {tmp_path}/answer").cluster().version()


@pytest.mark.promise(26)
@pytest.mark.parametrize("script", ["exec sleep 600", "yes", "yes >&2", "trap '' TERM; cat /dev/zero"])
def test_a_command_that_never_returns_is_ended(
    server: Api, tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "end", partial(process.end, grace=1.0))  # one of them ignores TERM
    plugin = Plugin(tmp_path / "p", server, script)
    cluster = plugin.cluster(Patience(**{**vars(QUICK), "parked": 600.0}))
    for _ in range(3):  # nor is it run again by each of those who wait for it
        with pytest.raises(Failed, match=r"runs `\./give-me` for credentials, and it did not end within 1 s") as told:
            cluster.version()
        assert "east" in told.value.what
        assert f"`kubectl --kubeconfig={tmp_path}/p/config --context=ours get namespaces`" in told.value.remedy
    assert plugin.count == 1
    assert not server.asked


@pytest.mark.promise(26, 29)
def test_a_command_that_never_returns_holds_up_no_other_cluster(server: Api, tmp_path: Path) -> None:
    free = tmp_path / "free"
    stuck = Plugin(tmp_path / "stuck", server, f"while [ ! -e {free} ]; do sleep 0.1; done; exit 1")

    def wait() -> None:
        with pytest.raises(Failed):
            stuck.cluster(PATIENT).version()

    thread = threading.Thread(target=wait)
    thread.start()
    while not stuck.count:
        time.sleep(0.01)
    Plugin(tmp_path / "other", server, f"echo '{credential(token='abc')}'").cluster().version()
    assert thread.is_alive()
    free.touch()
    thread.join()


@pytest.mark.promise(27)
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'no \x1b[31mlogin' >&2; exit 3", r"it failed \(3\): no .*login"),
        ("exit 1", "it said nothing"),
        ("echo hello", "what it answers is none: no JSON"),
        ("echo '[]'", "what it answers is none"),
        (f"echo '{credential()}'", "neither a token nor a certificate"),
        (f"echo '{credential(token='a', expirationTimestamp='soon')}'", "what it answers is none"),
        (f"echo '{credential(token='a').replace('/v1', '/v1beta1')}'", "it speaks .*v1beta1, not .*v1"),
    ],
)
def test_a_command_that_fails_is_named(server: Api, tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(Failed, match=f"east: context ours runs `./give-me` for credentials.*{words}") as told:
        Plugin(tmp_path / "p", server, script).cluster().version()
    assert told.value.what.isprintable()
    assert told.value.remedy


def test_a_command_that_is_not_there_is_named(server: Api, tmp_path: Path) -> None:
    for command in ("nowhere-to-be-found", "./nowhere"):
        plugin = Plugin(tmp_path / "p", server, "", command=command, installHint="Install it with care.")
        with pytest.raises(Failed, match=f"`{command}` for credentials, which is not installed") as told:
            plugin.cluster().version()
        assert told.value.remedy == "Install it with care."


def test_a_command_that_must_ask_a_person_is_not_run(server: Api, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path / "p", server, "", interactiveMode="Always")
    with pytest.raises(Failed, match="must ask a person"):
        plugin.cluster().version()
    assert not plugin.count


@pytest.mark.promise(27)
def test_a_command_is_run_again_once_where_its_token_is_refused(server: Api, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path / "p", server, "cat TOKEN")
    plugin.token.write_text(credential(token="old"))
    cluster = plugin.cluster()
    cluster.version()
    plugin.token.write_text(credential(token="new"))

    def react(asked: Asked) -> Reaction:
        return Said() if asked.headers["authorization"] == "Bearer new" else Said(401)

    server.react = react
    cluster.version()
    assert plugin.count == 2
    server.react = lambda _: Said(401)
    for _ in range(3):
        with pytest.raises(NotKnown):
            cluster.version()
    assert plugin.count == 3
    assert [asked.headers["authorization"] for asked in server.asked[-2:]] == ["Bearer new"] * 2


@pytest.mark.promise(27)
def test_fifty_that_are_refused_at_once_do_not_hammer(server: Api, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path / "p", server, f"echo '{credential(token='abc')}'")
    cluster = plugin.cluster(Patience(**{**vars(PATIENT), "parked": 600.0}))
    server.react = lambda _: Said(401)
    began = threading.Barrier(50)

    def ask() -> None:
        began.wait()
        with pytest.raises(NotKnown):
            cluster.version()

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plugin.count <= 2
    assert len(server.asked) <= 100


@pytest.mark.promise(30)
def test_a_token_that_has_expired_by_our_clock_is_used(server: Api, tmp_path: Path) -> None:
    """The clock may be wrong: the API server decides. Nor is the command run for each request."""
    past = (datetime.now(UTC) - timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%SZ")
    plugin = Plugin(tmp_path / "p", server, f"echo '{credential(token='abc', expirationTimestamp=past)}'")
    cluster = plugin.cluster()
    for _ in range(5):
        cluster.version()
    assert plugin.count == 1


def test_a_token_is_renewed_before_it_ends(server: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    until = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    plugin = Plugin(tmp_path / "p", server, f"echo '{credential(token='abc', expirationTimestamp=until)}'")
    cluster = plugin.cluster()
    cluster.version()
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + 500)
    cluster.version()
    assert plugin.count == 1
    monkeypatch.setattr(time, "monotonic", lambda: real() + 580)
    cluster.version()
    assert plugin.count == 2


@pytest.mark.promise(26)
def test_an_identity_provider_that_is_silent_is_given_up(server: Api, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, {"exp": 1})]
        issuer = {"idp-issuer-url": f"http://127.0.0.1:{silent.getsockname()[1]}", "id-token": ".".join([*parts, "x"])}
        settings = {**issuer, "client-id": "a", "client-secret": "b", "refresh-token": "c"}
        user = {"auth-provider": {"name": "oidc", "config": settings}}
        config = kubeconfig(tmp_path / "config", server.url, server.authority, user)
        with pytest.raises(Failed, match="the identity provider of context ours gave no token within 1 s"):
            RealCluster("east", config, "ours", QUICK).version()


def test_a_key_that_is_none_is_told(server: Api, tmp_path: Path) -> None:
    config = kubeconfig(
        tmp_path / "config", server.url, pair("x"), {"client-certificate-data": "eA==", "client-key-data": "eA=="}
    )
    with pytest.raises(BadInput, match=r"east: context ours of .* cannot be used"):
        RealCluster("east", config, "ours", QUICK).version()


CANARY = "canary+7f3c2/x4r9qq7w2k8d5m1z6"


@pytest.mark.inputs("S6")
@pytest.mark.parametrize(
    "script",
    [
        # What it would have given, and what nobody but it knows.
        f"echo '{credential(token=CANARY)}'; echo 'no: {CANARY} is not enough' >&2; exit 1",
        f"echo 'no: {CANARY.replace('+', '').replace('/', '')} is not enough' >&2; exit 1",
        'echo "no: $SECRET_OF_MINE is not enough $*" >&2; exit 1',
        "echo $2; exit 0",
    ],
)
def test_what_a_command_says_holds_no_credential(server: Api, tmp_path: Path, script: str) -> None:
    more: dict[str, Any] = {"args": ["get-token", f"--oidc-client-secret={CANARY[::-1]}"]}
    if "SECRET" in script:
        more["env"] = [{"name": "SECRET_OF_MINE", "value": CANARY}]
    with pytest.raises(Failed) as told:
        Plugin(tmp_path / "p", server, script, **more).cluster().version()
    said = told.value.what + told.value.remedy
    assert "canary" not in said
    assert CANARY[::-1] not in said
    assert "is not enough" in said or "no JSON" in said
    assert "./give-me" in said


@pytest.mark.inputs("S6")
@pytest.mark.parametrize("how", ["token", "tokenFile", "password", "exec"])
def test_a_server_that_repeats_what_it_was_sent(server: Api, tmp_path: Path, how: str) -> None:
    (tmp_path / "file").write_text(CANARY)
    ways: dict[str, dict[str, Any]] = {
        "token": {"token": CANARY},
        "tokenFile": {"tokenFile": str(tmp_path / "file")},
        "password": {"username": "me", "password": CANARY},
    }
    user = ways.get(how)
    config = kubeconfig(tmp_path / "config", server.url, server.authority, user or {})
    if user is None:
        config = Plugin(tmp_path / "p", server, f"echo '{credential(token=CANARY)}'").config
    sent: list[str] = []

    def react(asked: Asked) -> Reaction:
        sent.append(asked.headers["authorization"])
        body = {"kind": "Status", "message": f"{sent[-1].partition(' ')[2]}, {json.dumps(CANARY)}"}
        return Said(500, json.dumps(body).encode())

    server.react = react
    with pytest.raises(Failed) as told:
        RealCluster("east", config, "ours", QUICK).identity()
    assert sent
    credential_sent = sent[0].partition(" ")[2]
    assert credential_sent not in told.value.what
    assert CANARY not in told.value.what


@pytest.mark.inputs("S6")
def test_the_password_in_a_servers_url_is_in_no_sentence(server: Api, tmp_path: Path) -> None:
    url = server.url.replace("://", "://me:hunter2-canary@")
    server.react = lambda _: Said(500, b'{"kind": "Status", "message": "hunter2-canary is wrong"}')
    config = kubeconfig(tmp_path / "config", url, server.authority, {"token": CANARY})
    with pytest.raises(Failed) as told:
        RealCluster("east", config, "ours", QUICK).identity()
    assert "hunter2" not in told.value.what + told.value.remedy
