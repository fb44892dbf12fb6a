"""Commands that give credentials: they get no terminal, little time, and their failures are told in a sentence."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from tests.unit import api_fakes
from tests.unit.api_fakes import Api, Asked, Pair, Reaction, Said, api, kubeconfig, pair
from wizard import process
from wizard.clusters.kinds import POD, Ref
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
        wanted = {"apiVersion": VERSION, "command": "./give-me", "interactiveMode": "Never", **more}
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
        with pytest.raises(Failed, match=r"runs `\S*/give-me` for credentials, and it did not end within 1 s") as told:
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
    with pytest.raises(Failed, match=f"east: context ours runs `\\S*/give-me` for credentials.*{words}") as told:
        Plugin(tmp_path / "p", server, script).cluster().version()
    assert told.value.what.isprintable()
    assert told.value.remedy


def test_a_command_that_is_not_there_is_named(server: Api, tmp_path: Path) -> None:
    for command in ("nowhere-to-be-found", "./nowhere"):
        plugin = Plugin(tmp_path / "p", server, "", command=command, installHint="Install it with care.")
        with pytest.raises(Failed, match=f"{command.strip('.')}` for credentials, which is not installed") as told:
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
    """Before it is asked: the API server decides about the token that is there."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, {"exp": 1})]
        token = ".".join([*parts, "x"])
        issuer = {"idp-issuer-url": f"http://127.0.0.1:{silent.getsockname()[1]}", "id-token": token}
        settings = {**issuer, "client-id": "a", "client-secret": "b", "refresh-token": "c"}
        user = {"auth-provider": {"name": "oidc", "config": settings}}
        config = kubeconfig(tmp_path / "config", server.url, server.authority, user)
        RealCluster("east", config, "ours", QUICK).version()
        assert [asked.headers["authorization"] for asked in server.asked] == [f"Bearer {token}"]
        silent.settimeout(0)
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.inputs("39")
def test_many_contexts_with_one_command_have_it_run_once(server: Api, tmp_path: Path) -> None:
    """Told by the command itself: it fails where another of it runs at the same time."""
    alone = f"mkdir {tmp_path}/port || exit 9; sleep 0.2; rmdir {tmp_path}/port; echo '{credential(token='abc')}'"
    plugin = Plugin(tmp_path / "p", server, alone)
    clusters = [plugin.cluster() for _ in range(24)]
    began = threading.Barrier(24)

    def ask(cluster: RealCluster) -> None:
        began.wait()
        cluster.version()

    _together(ask, clusters)
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer abc"] * 24
    assert plugin.count == 1


@pytest.mark.inputs("39")
def test_what_a_command_fails_with_is_told_to_all_who_waited_for_it(server: Api, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path / "p", server, "sleep 0.2; echo 'no login' >&2; exit 3")
    began, told = threading.Barrier(8), []

    def ask(cluster: RealCluster) -> None:
        began.wait()
        with pytest.raises(Failed) as caught:
            cluster.version()
        told.append(caught.value.what)

    _together(ask, [RealCluster(f"c{number}", plugin.config, "ours", PATIENT) for number in range(8)])
    assert plugin.count == 1
    assert sorted(each.partition(":")[0] for each in told) == [f"c{number}" for number in range(8)]
    assert all("no login" in each for each in told)


@pytest.mark.inputs("39")
def test_commands_that_are_told_something_else_are_others(server: Api, tmp_path: Path) -> None:
    script = f"""echo '{credential(token="TOKEN")}' | sed "s|{tmp_path}/p/token|$WHO|" """
    for who in ("one", "two"):
        Plugin(tmp_path / "p", server, script, env=[{"name": "WHO", "value": who}]).cluster().version()
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer one", "Bearer two"]


def test_a_shared_credential_that_one_server_refuses_is_made_anew_for_all(server: Api, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path / "p", server, "cat TOKEN")
    plugin.token.write_text(credential(token="old"))
    plugin.cluster().version()
    plugin.token.write_text(credential(token="new"))
    server.react = lambda asked: Said() if asked.headers["authorization"] == "Bearer new" else Said(401)
    plugin.cluster().version()
    plugin.cluster().version()
    assert plugin.count == 2
    assert [asked.headers["authorization"] for asked in server.asked[1:]] == ["Bearer old", "Bearer new", "Bearer new"]


def _together(ask: Callable[[RealCluster], None], clusters: list[RealCluster]) -> None:
    threads = [threading.Thread(target=ask, args=(cluster,)) for cluster in clusters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.inputs("34")
def test_a_command_is_not_run_where_other_credentials_come_first(server: Api, tmp_path: Path) -> None:
    """As kubectl: a token, a password or a certificate of the kubeconfig is used in its place."""
    plugin = Plugin(tmp_path / "p", server, f"echo '{credential(token='ran')}'")
    run = yaml.safe_load(plugin.config.read_text())["users"][0]["user"]["exec"]
    mine = pair("me", server.authority)
    own = {
        "client-certificate-data": base64.b64encode(mine.pem).decode(),
        "client-key-data": base64.b64encode(mine.key_pem).decode(),
    }
    for user in ({"token": "abc"}, {"username": "u", "password": "pä"}, own):
        config = kubeconfig(tmp_path / "p/config", server.url, server.authority, {"exec": run, **user})
        RealCluster("east", config, "ours", QUICK).version()
    basic = base64.b64encode("u:pä".encode()).decode()
    assert [asked.headers.get("authorization") for asked in server.asked] == ["Bearer abc", f"Basic {basic}", None]
    assert plugin.count == 0


@pytest.mark.inputs("36")
def test_a_token_file_is_trimmed_and_read_anew(server: Api, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(" first\n")
    config = kubeconfig(tmp_path / "config", server.url, server.authority, {"tokenFile": "token", "token": "beside"})
    cluster = RealCluster("east", config, "ours", QUICK)
    cluster.version()
    (tmp_path / "token").write_text("second\r\n\n")
    server.react = lambda asked: Said() if asked.headers["authorization"] == "Bearer second" else Said(401)
    cluster.version()
    (tmp_path / "token").write_text("\n")
    server.react = lambda _: Said()
    RealCluster("east", config, "ours", QUICK).version()
    said = [asked.headers["authorization"] for asked in server.asked]
    assert said == ["Bearer first", "Bearer first", "Bearer second", "Bearer beside"]


@pytest.mark.inputs("31")
def test_who_acts_as_another_says_so_in_every_request(server: Api, tmp_path: Path) -> None:
    heard: list[str] = []
    real = api_fakes.read_request

    def listen(lines: Any) -> Asked | None:
        class Listening:
            def readline(self) -> bytes:
                line: bytes = lines.readline()
                heard.append(line.decode().strip())
                return line

            def read(self, count: int) -> bytes:
                return bytes(lines.read(count))

        return real(Listening())

    user = {
        "token": "abc", "as": "jürgen", "as-uid": "42", "as-groups": ["system:masters", "a, b"],
        "as-user-extra": {"scopes/Å %": ["u", "v"]},
    }  # fmt: skip
    config = kubeconfig(tmp_path / "config", server.url, server.authority, user)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_fakes, "read_request", listen)
        cluster = RealCluster("east", config, "ours", QUICK)
        cluster.version()
        with pytest.raises(Failed):
            cluster.execute(Ref(POD, "a", "b"), "c", ["true"], seconds=1)
    acting = [line for line in heard if line.lower().startswith("impersonate-")]
    wanted = [
        "Impersonate-User: jürgen", "Impersonate-Uid: 42", "Impersonate-Group: system:masters", "Impersonate-Group: a, b",
        "Impersonate-Extra-scopes%2F%C3%85%20%25: u", "Impersonate-Extra-scopes%2F%C3%85%20%25: v",
    ]  # fmt: skip
    assert acting == wanted * 2


ENCRYPTED = serialization.BestAvailableEncryption(b"secret")
SHAPE = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


@pytest.mark.inputs("37")
@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize(
    ("field", "make", "words"),
    [
        ("client-key", lambda mine: mine.key.private_bytes(*SHAPE, ENCRYPTED), "is encrypted, .* `openssl pkey"),
        ("client-key", lambda mine: pair("other").key_pem, "is not the key of the client certificate"),
        ("client-key", lambda mine: mine.pem, "holds no private key"),
        ("client-key", lambda mine: mine.key_pem[:80], "is damaged, cut off"),
        ("client-certificate", lambda mine: mine.key_pem, "holds private key, not a certificate"),
        ("client-certificate", lambda mine: mine.pem[:200], "is damaged or cut off"),
        ("certificate-authority", lambda mine: mine.certificate.public_bytes(serialization.Encoding.DER), "DER .*`openssl x509"),
        ("certificate-authority", lambda mine: b"x", "holds no certificate"),
    ],
)  # fmt: skip
def test_certificates_and_keys_that_do_not_work_are_told_with_file_field_and_cure(
    server: Api, tmp_path: Path, inline: bool, field: str, make: Callable[[Pair], bytes], words: str
) -> None:
    mine = pair("me", server.authority)
    parts = {"client-certificate": mine.pem, "client-key": mine.key_pem, "certificate-authority": server.authority.pem}
    parts[field] = make(mine)
    given: dict[str, str] = {}
    for key, content in parts.items():
        (tmp_path / key).write_bytes(content)
        given |= {f"{key}-data": base64.b64encode(content).decode()} if inline else {key: key}
    user = {key: value for key, value in given.items() if key.startswith("client")}
    cluster = {key: value for key, value in given.items() if not key.startswith("client")}
    config = kubeconfig(tmp_path / "config", server.url, server.authority, user)
    content = yaml.safe_load(config.read_text())
    content["clusters"][0]["cluster"] = {"server": server.url, **cluster}
    config.write_text(yaml.safe_dump(content, width=10_000))
    with pytest.raises(BadInput) as told:
        RealCluster("east", config, "ours", QUICK).version()
    said = told.value.what
    named = f"{field}-data" if inline else f"{field}, {tmp_path / field},"
    kind = "cluster there" if field.startswith("certificate") else "user us"
    assert re.search(rf"{named} of {kind} \(line \d+ of {config}\) .*{words}", said), said
    assert "_ssl" not in said
    assert not server.asked


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
    assert "give-me" in said


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
