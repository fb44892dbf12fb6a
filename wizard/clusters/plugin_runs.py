"""Commands that give credentials: the `exec` of a kubeconfig's user.

Many contexts may name one command. The same one, told the same, runs once at a time, however many wait for it, and what it gave,
or why it gave nothing, is theirs, too: some open a port or a browser, and none expects two dozen of itself.
"""

from __future__ import annotations

import base64
import json
import math
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from wizard import process
from wizard.clusters.kinds import Object
from wizard.credentials import hold_answer, opaque_withheld
from wizard.errors import Failed, words_of
from wizard.messages import msg
from wizard.text import one_line, redact

_EARLY = 30.0  # seconds before a credential ends, from when on it is renewed
_SHORTEST = 60.0  # seconds that a credential is used at least, whatever it says and this machine's clock


class NoCredentials(Exception):
    """`why`: the end of a sentence that says which command it was. `hint`: what the kubeconfig says to do; may be empty."""

    def __init__(self, why: str, hint: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.hint = hint


@dataclass(frozen=True)
class Given:
    """What a command gave, in the words of a kubeconfig's user. `renew`: on the monotonic clock, when it should be run again."""

    user: Mapping[str, str]
    renew: float = math.inf


@dataclass
class _Definition:
    """One command as it is told, and how it ended last. `lasted`: seconds that it ran."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    runs: int = 0
    last: Given | NoCredentials | None = None
    ended: float = -math.inf
    lasted: float = 0.0

    def still(self, runs: int) -> Given | NoCredentials | None:
        """The last end, for somebody who came when there had been so many `runs`; None where it must run again."""
        now = time.monotonic()
        if isinstance(self.last, Given):
            return self.last if now < self.last.renew else None
        # Its failure is that of all who waited for it. One that took long is not repeated at once, or hundreds of contexts would
        # wait for it again and again.
        return self.last if self.runs > runs or now - self.ended < self.lasted else None


_definitions: dict[str, _Definition] = {}
_lock = threading.Lock()  # of _definitions


def credentials(run: Mapping[str, Any], cluster: Object | None, seconds: float) -> Given:
    """What this command gives; it gets no terminal, and `seconds`. `cluster`: what it is told of the cluster, None where the
    kubeconfig does not want that. Raises NoCredentials.
    """
    command = run.get("command", "")
    path = shutil.which(command)
    if path is None:
        raise NoCredentials(msg("which is not installed or not on the PATH"), one_line(run.get("installHint", ""), 300))
    about: Object = {"apiVersion": run.get("apiVersion", ""), "kind": "ExecCredential", "spec": {"interactive": False}}
    if cluster is not None:
        about["spec"]["cluster"] = cluster
    argv = [path, *run.get("args", ())]
    env = {each["name"]: each.get("value", "") for each in run.get("env", ())} | {
        "KUBERNETES_EXEC_INFO": json.dumps(about)
    }
    with _lock:
        definition = _definitions.setdefault(json.dumps([argv, env]), _Definition())
        runs = definition.runs
    if not definition.turn.acquire(timeout=seconds):
        raise NoCredentials(_too_long(seconds))
    try:
        last = definition.still(runs)
        if last is None:
            last = _run(definition, argv, env, about["apiVersion"], seconds)
    finally:
        definition.turn.release()
    if isinstance(last, NoCredentials):
        raise NoCredentials(last.why, last.hint)
    return last


def refused(given: Given) -> None:
    """An API server did not accept this: whoever asks for it next has the command run again."""
    with _lock:
        for definition in _definitions.values():
            if definition.last is given:
                definition.last = None


def _run(
    definition: _Definition, argv: list[str], env: Mapping[str, str], version: str, seconds: float
) -> Given | NoCredentials:
    began = time.monotonic()
    end: Given | NoCredentials
    try:
        end = _answer(argv, env, version, seconds)
    except NoCredentials as none:
        end = none
    definition.last, definition.ended = end, time.monotonic()
    definition.lasted = definition.ended - began
    with _lock:
        definition.runs += 1
    return end


def _answer(argv: list[str], env: Mapping[str, str], version: str, seconds: float) -> Given:
    try:
        done = process.run(argv, seconds=seconds, env=env)
    except Failed as trouble:
        raise NoCredentials(msg("and {problem}", problem=trouble.what)) from trouble
    if done.stopped:
        raise NoCredentials(_too_long(seconds))
    # Redacted before it is cut: half a token is not known for one.
    hold_answer(done.stdout)
    said = one_line(opaque_withheld(redact(done.stderr[-20_000:])).strip()[-600:], 300)
    if done.code != 0:
        if said:
            raise NoCredentials(msg("and it failed ({code}): {output}", code=done.code, output=said))
        raise NoCredentials(msg("and it failed ({code}): it said nothing", code=done.code))
    try:
        return _given(json.loads(done.stdout), version)
    except (json.JSONDecodeError, RecursionError) as error:
        raise NoCredentials(msg("and what it answers is none: no JSON")) from error
    except ValueError as error:
        raise NoCredentials(msg("and what it answers is none: {problem}", problem=words_of(error))) from error


def _too_long(seconds: float) -> str:
    return msg("and it did not end within {seconds:.0f} s: it was ended", seconds=seconds)


def _given(told: Any, version: str) -> Given:
    """An ExecCredential. Raises ValueError, with a message of ours."""
    status = told.get("status") if isinstance(told, dict) else None
    if not isinstance(status, dict):
        raise ValueError(msg("it has no status"))  # noqa: TRY004 - it is the answer's fault
    if told.get("apiVersion") != version:
        spoken, wanted = one_line(told.get("apiVersion"), 80), one_line(version, 80)
        raise ValueError(msg("it speaks {version}, not {wanted}", version=spoken, wanted=wanted))
    fields = ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
    token, certificate, key, until = (status.get(each) or "" for each in fields)
    if not all(isinstance(each, str) for each in (token, certificate, key, until)):
        raise ValueError(msg("a field of its status is no text"))
    if not (token or certificate):
        raise ValueError(msg("neither a token nor a certificate"))
    if bool(certificate) != bool(key):
        raise ValueError(msg("a certificate and its key belong together, and it gave one of them"))
    if not token.isascii() or not token.isprintable():
        raise ValueError(msg("its token holds characters that no token has"))
    given = {"token": token}
    if certificate:
        given |= {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    return Given(given, _renewal(until))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _renewal(until: str) -> float:
    if not until:
        return math.inf
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise ValueError(msg("{text} is no time", text=repr(one_line(until, 80)))) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    lasts = (moment - datetime.now(UTC)).total_seconds()
    return time.monotonic() + max(_SHORTEST, lasts - _EARLY)
