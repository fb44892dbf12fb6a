"""Commands that give credentials: what they are told, what is made of their answers, and when they are run again."""

from __future__ import annotations

import base64
import json
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from wizard import process
from wizard.clusters.plugin_runs import Given, NoCredentials, credentials, refused
from wizard.errors import Failed
from wizard.process import Finished

VERSION = "client.authentication.k8s.io/v1"
SECONDS = 2.0


class Clock:
    """Stands for the clock that never goes back; it goes on where a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Commands:
    """Stands for all commands: each of their runs is noted, and ends as `end` says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs: list[Sequence[str]] = []
        self.env: Mapping[str, str] = {}
        self.end: Callable[[], Finished] = lambda: Finished(0, credential(token="abc"), "", False)

    def run(self, argv: Sequence[str], *, seconds: float, env: Mapping[str, str]) -> Finished:
        assert seconds == SECONDS
        self.runs.append(argv)
        self.env = env
        return self.end()

    def give(self, *args: str, cluster: dict[str, Any] | None = None, **more: Any) -> Given:
        """What one of them gives; no two tests have the same one."""
        run = {"apiVersion": VERSION, "command": "sh", "args": [self.name, *args], **more}
        return credentials(run, cluster, SECONDS)

    def answer(self, stdout: str = "", stderr: str = "", code: int = 0) -> None:
        self.end = lambda: Finished(code, stdout, stderr, False)

    def why(self) -> str:
        """Why nothing was given."""
        with pytest.raises(NoCredentials) as told:
            self.give()
        assert str(told.value) == told.value.why
        assert told.value.hint == ""
        return told.value.why


@pytest.fixture
def commands(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands(request.node.nodeid)
    monkeypatch.setattr(process, "run", made.run)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def credential(**status: Any) -> str:
    return json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})


def test_a_token_is_given_to_all_who_ask_for_it(commands: Commands) -> None:
    assert commands.give().user == {"token": "abc"}
    assert commands.give().user == {"token": "abc"}
    assert commands.runs == [[shutil.which("sh"), commands.name]]


def test_a_certificate_is_given_as_a_kubeconfig_has_it(commands: Commands) -> None:
    commands.answer(credential(clientCertificateData="its PEM", clientKeyData="a key"))
    user = commands.give().user
    assert base64.b64decode(user["client-certificate-data"]) == b"its PEM"
    assert base64.b64decode(user["client-key-data"]) == b"a key"
    assert not user["token"]


@pytest.mark.parametrize("cluster", [None, {"server": "https://east"}])
def test_a_command_is_told_of_the_cluster_only_where_that_is_wanted(
    commands: Commands, cluster: dict[str, Any] | None
) -> None:
    commands.give(cluster=cluster, env=[{"name": "COLOUR", "value": "blue"}, {"name": "EMPTY"}])
    assert {name: commands.env[name] for name in ("COLOUR", "EMPTY")} == {"COLOUR": "blue", "EMPTY": ""}
    spec = {"interactive": False} if cluster is None else {"interactive": False, "cluster": cluster}
    told = json.loads(commands.env["KUBERNETES_EXEC_INFO"])
    assert told == {"apiVersion": VERSION, "kind": "ExecCredential", "spec": spec}


def test_a_command_that_is_not_there_is_told_with_its_hint(commands: Commands) -> None:
    with pytest.raises(NoCredentials, match=r"^which is not installed or not on the PATH$") as told:
        commands.give(command="nowhere-to-be-found", installHint="Install it with care.")
    assert told.value.hint == "Install it with care."


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("hello", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "it has no status"),
        ('{"status": "fine"}', "it has no status"),
        (credential(token="a").replace("/v1", "/v1beta1"), f"it speaks {VERSION}beta1, not {VERSION}"),
        (credential(token=5), "a field of its status is no text"),
        (credential(), "neither a token nor a certificate"),
        (credential(clientKeyData="a key"), "neither a token nor a certificate"),
        (credential(clientCertificateData="its PEM"), "a certificate and its key belong together, and it gave one of them"),
        (credential(token="a", clientKeyData="b"), "a certificate and its key belong together, and it gave one of them"),
        (credential(token="clé"), "its token holds characters that no token has"),
        (credential(token="a\nb"), "its token holds characters that no token has"),
        (credential(token="a", expirationTimestamp="soon"), "'soon' is no time"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_told(commands: Commands, answer: str, why: str) -> None:
    commands.answer(answer)
    assert commands.why() == f"and what it answers is none: {why}"


@pytest.mark.parametrize(("said", "told"), [("no\nlogin\n", "no login"), ("", "it said nothing")])
@pytest.mark.parametrize("code", [1, 3, -9])
def test_a_failure_is_told_with_what_the_command_said(commands: Commands, code: int, said: str, told: str) -> None:
    commands.answer(credential(token="abc"), said, code)
    assert commands.why() == f"and it failed ({code}): {told}"


def test_what_it_said_holds_nothing_of_what_it_would_have_given(commands: Commands) -> None:
    token = "correct-horse-battery"
    commands.answer(credential(token=token), f"{token} is not enough", 1)
    assert commands.why().endswith(" is not enough")
    assert token not in commands.why()


def test_one_that_is_ended_or_cannot_be_started_is_told(commands: Commands) -> None:
    commands.end = lambda: Finished(-15, "", "", True)
    assert commands.why() == "and it did not end within 2 s: it was ended"

    def not_started() -> Finished:
        raise Failed("it cannot be started", "")

    commands.end = not_started
    assert commands.why() == "and it cannot be started"


def test_a_failure_is_repeated_only_after_as_long_as_it_took(commands: Commands, clock: Clock) -> None:
    """Or hundreds of contexts would wait for it again and again."""

    def slow() -> Finished:
        clock.now += 5
        return Finished(1, "", "no login", False)

    commands.end = slow
    for later, runs in ((0, 1), (4, 1), (1, 2)):
        clock.now += later
        assert commands.why() == "and it failed (1): no login"
        assert len(commands.runs) == runs


def test_one_that_failed_at_once_is_run_again_for_whoever_asks_next(commands: Commands, clock: Clock) -> None:
    commands.answer(code=1)
    assert commands.why()
    commands.answer(credential(token="abc"))
    assert commands.give().user == {"token": "abc"}


def test_nobody_waits_for_a_command_longer_than_it_may_take(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def impatient() -> None:
        with pytest.raises(NoCredentials) as caught:
            credentials({"command": "sh", "apiVersion": VERSION, "args": [commands.name]}, None, 0.01)
        told.append(caught.value.why)

    def meanwhile() -> Finished:
        thread = threading.Thread(target=impatient, daemon=True)
        thread.start()
        thread.join(10)
        return Finished(0, credential(token="abc"), "", False)

    commands.end = meanwhile
    assert commands.give().user == {"token": "abc"}
    assert told == ["and it did not end within 0 s: it was ended"]


def test_a_credential_that_a_server_refused_is_made_anew_and_no_other(commands: Commands) -> None:
    one, other = commands.give("one"), commands.give("other")
    refused(one)
    assert commands.give("other") is other
    assert len(commands.runs) == 2
    assert commands.give("one") is not one
    assert len(commands.runs) == 3


TIMES: dict[str, Callable[[datetime], str]] = {
    "UTC": lambda until: until.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "another zone": lambda until: until.astimezone(timezone(timedelta(hours=2))).isoformat(),
    "no zone": lambda until: until.replace(tzinfo=None).isoformat(),
}


@pytest.mark.parametrize("written", TIMES)
def test_it_is_renewed_shortly_before_it_ends(commands: Commands, written: str) -> None:
    until = datetime.now(UTC) + timedelta(minutes=10)
    end = time.monotonic() + 600
    commands.answer(credential(token="abc", expirationTimestamp=TIMES[written](until)))
    assert commands.give().renew == pytest.approx(end - 30, abs=5)


def test_one_that_has_expired_by_our_clock_is_used_for_a_minute(commands: Commands, clock: Clock) -> None:
    past = datetime.now(UTC) - timedelta(days=365)
    commands.answer(credential(token="abc", expirationTimestamp=past.isoformat()))
    for later, runs in ((0, 1), (59, 1), (1, 2)):
        clock.now += later
        commands.give()
        assert len(commands.runs) == runs
