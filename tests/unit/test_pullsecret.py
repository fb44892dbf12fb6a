"""What a Secret holds is in no plan, and only what is a registry's credentials is sent as a pull secret."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.conftest import Setting
from wizard.clusters.kinds import SECRET, Ref
from wizard.engine.step import Needed
from wizard.errors import BadInput
from wizard.plan import plan_of
from wizard.session import Session
from wizard.steps.pullsecret import KEY, KIND, MAX_BYTES, file_mistakes

CONTENT = {"auths": {"registry.example.org": {"auth": base64.b64encode(b"me:canary-password").decode()}}}


def with_file(made: Setting, path: Path) -> Setting:
    istio = replace(made.mesh.istio, pull_secret="pull", pull_secret_file=path)
    return replace(made, mesh=replace(made.mesh, istio=istio))


@pytest.fixture
def private(two: Setting, tmp_path: Path) -> Setting:
    """A finished mesh with a pull secret from a file."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONTENT))
    made = with_file(two, path)
    outcome = made.run()
    assert outcome.ok, outcome.what
    return made


def values(secret: dict[str, Any]) -> Iterator[str]:
    """What its content looks like, in parts that are long enough to be no chance."""
    for text in (secret.get("data") or {}).values():
        raw = base64.b64decode(text).decode(errors="replace")
        for form in (text, raw, json.dumps(raw)[1:-1]):
            yield from (form[at : at + 24] for at in range(0, max(1, len(form) - 24), 24) if len(form) >= 24)


@pytest.fixture
def _nothing_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    """The differences themselves must hold nothing: what is withheld by value is the second net."""
    monkeypatch.setattr("wizard.credentials.hold", lambda value: None)


@pytest.mark.inputs("M6")
@pytest.mark.usefixtures("_nothing_is_withheld")
def test_no_secrets_content_is_in_any_difference(private: Setting) -> None:
    machine, tampered, secrets = private.machine(1), 0, []
    cluster = private.world.cluster("cluster1")
    for secret in machine.listed(SECRET):
        secrets.append(secret)
        changed = {
            name: base64.b64encode(base64.b64decode(text).replace(b"a", b"b") + b"-other-canary-content").decode()
            for name, text in (secret.get("data") or {}).items()
        }
        if secret["metadata"]["name"] in ("pull", "cacerts") or "remote-secret" in secret["metadata"]["name"]:
            cluster.apply({**secret, "metadata": _named(secret), "data": changed}, force=True)
            secrets.append({"data": changed})
            tampered += 1
    assert tampered >= 4, "or there is nothing to be shown"
    told = 0
    for step in private.plan.steps:
        if step.guard:
            continue
        look = step.probe(private.world)
        said = json.dumps(dataclasses.asdict(look), default=str)
        told += "pull" in said and isinstance(look, Needed)
        leaked = [part for secret in secrets for part in values(secret) if part in said]
        assert not leaked, (step.id, said)
    assert told, "the pull secret differs"


def _named(secret: dict[str, Any]) -> dict[str, Any]:
    return {
        key: secret["metadata"][key]
        for key in ("name", "namespace", "annotations", "labels")
        if key in secret["metadata"]
    }


@pytest.mark.inputs("M6")
@pytest.mark.usefixtures("_nothing_is_withheld")
def test_a_secret_that_is_to_be_made_is_shown_without_its_content(two: Setting, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONTENT))
    made = with_file(two, path)
    look = made.probe("cluster1/pull-secret")
    assert isinstance(look, Needed)
    said = json.dumps(dataclasses.asdict(look))
    assert not [part for part in values({"data": {KEY: base64.b64encode(path.read_bytes()).decode()}}) if part in said]
    assert not [each for each in look.differences if each.wanted and len(str(each.wanted)) > 100]


NO_SECRETS = {
    "nothing": b"",
    "no JSON": b"root:x:0:0:root:/root:/bin/bash\n",
    "a list": b"[]",
    "other JSON": b'{"private": "canary"}',
    "no entries": b'{"auths": {}}',
    "entries of another kind": b'{"auths": ["canary"]}',
    "text as entries": b'{"auths": "canary"}',
    "a helper": b'{"credsStore": "desktop", "auths": null}',
    "too deep": b'{"auths":' * 2000 + b"1" + b"}" * 2000,
    "too large": json.dumps({**CONTENT, "more": "x" * MAX_BYTES}).encode(),
    "no text": b"\xff\xfe\x00",
}


@pytest.mark.inputs("M8")
@pytest.mark.parametrize("kind", NO_SECRETS)
def test_what_is_no_pull_secret_is_refused_and_not_sent(two: Setting, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(NO_SECRETS[kind])
    made = with_file(two, path)
    mistakes = file_mistakes(made.mesh)
    assert [mistake.path for mistake in mistakes] == ["istio.pullSecretFile"]
    assert str(path) in mistakes[0].text
    assert "canary" not in mistakes[0].text
    from state import StateFolder

    session = Session(made.mesh, made.outside, StateFolder(tmp_path / "state"))
    with pytest.raises(BadInput) as refused:
        session.prepare()
    assert refused.value.exit_code == 2
    assert not made.run().ok, "nor by an engine that was not asked before"
    assert all(machine.found(Ref(SECRET, "pull", "istio-system")) is None for machine in made.outside.machines)


@pytest.mark.inputs("M8")
def test_the_largest_that_is_read_is_sent_as_it_is(two: Setting, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    shape = json.dumps({**CONTENT, "more": ""})
    path.write_text(json.dumps({**CONTENT, "more": "x" * (MAX_BYTES - len(shape))}))
    assert path.stat().st_size == MAX_BYTES
    made = with_file(two, path)
    assert file_mistakes(made.mesh) == ()
    (manifest,) = plan_of(made.mesh).step("cluster1/pull-secret").manifests()  # type: ignore[attr-defined]
    assert manifest["type"] == KIND
    assert base64.b64decode(manifest["data"][KEY]) == path.read_bytes()
