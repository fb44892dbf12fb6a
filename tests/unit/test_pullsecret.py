"""What a Secret holds is in no plan, and only what is a registry's credentials is sent as a pull secret."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from state.withheld import holds
from tests.unit.conftest import Setting
from wizard.clusters.kinds import SECRET, Ref
from wizard.clusters.port import Cluster
from wizard.engine.step import Conflict, Done, Job, Needed, Shared
from wizard.errors import BadInput, Failed
from wizard.operations.prepared import prepare
from wizard.plan import plan_of
from wizard.steps.pullsecret import KEY, KIND, MAX_BYTES, PullSecret, copy, differences, file_mistakes

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
    "too large": json.dumps({**CONTENT, "more": "x" * (1 << 20)}).encode(),  # more than Kubernetes keeps in one
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

    with pytest.raises(BadInput) as refused:
        prepare(made.mesh, made.outside, StateFolder(tmp_path / "state"))
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


def test_the_passwords_in_the_file_are_withheld(two: Setting, tmp_path: Path) -> None:
    path, password = tmp_path / "config.json", uuid4().hex
    path.write_text(json.dumps({"auths": {"registry.example.org": {"username": "me", "password": password}}}))
    assert file_mistakes(with_file(two, path).mesh) == ()
    assert holds(password)


# -- one cluster's, without the rest of the mesh


MINE = Ref(SECRET, "pull", "istio-system")
COPY = Ref(SECRET, "pull", "sample")


@pytest.fixture
def named(two: Setting) -> Setting:
    """A mesh with a pull secret that is to be there already; with both namespaces, and without it."""
    for name in ("istio-system", "sample"):
        two.machine(1).apply_as("somebody", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return replace(two, mesh=replace(two.mesh, istio=replace(two.mesh.istio, pull_secret="pull")))


def put_by_hand(made: Setting, kind: str = KIND, ref: Ref = MINE, content: bytes = b"{}") -> None:
    place = {"name": ref.name, "namespace": ref.namespace}
    data = {KEY: base64.b64encode(content).decode()}
    made.machine(1).apply_as(
        "somebody", {"apiVersion": "v1", "kind": "Secret", "metadata": place, "type": kind, "data": data}
    )


def step_of(made: Setting) -> PullSecret:
    return PullSecret(made.mesh, made.mesh.clusters[0])


def job_of(made: Setting) -> Job:
    return Job(step_of(made), lambda _: None, lambda: None, Shared())


def test_a_mesh_without_a_file_has_no_mistake_in_it(named: Setting) -> None:
    assert file_mistakes(named.mesh) == ()


def test_it_is_made_in_its_namespace_and_taken_back(named: Setting, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONTENT))
    made = with_file(named, path)
    step = step_of(made)
    assert "cluster1/namespace" in step.needs
    step.apply(made.world, job_of(made))
    assert isinstance(step.probe(made.world), Done)
    step.undo(made.world, job_of(made))
    assert made.machine(1).found(MINE) is None


def test_that_of_a_person_is_left_where_it_is(named: Setting) -> None:
    put_by_hand(named)
    step = step_of(named)
    step.apply(named.world, job_of(named))
    step.undo(named.world, job_of(named))
    assert named.machine(1).found(MINE) is not None


def test_without_a_file_it_must_be_there_and_be_one(named: Setting) -> None:
    absent = step_of(named).probe(named.world)
    assert isinstance(absent, Conflict)
    assert "is not there" in absent.what
    assert f"-n {MINE.namespace} create secret docker-registry pull" in absent.remedy
    put_by_hand(named, "Opaque")
    other = step_of(named).probe(named.world)
    assert isinstance(other, Conflict)
    assert f"is no {KIND}" in other.what
    named.machine(1).store.remove(MINE)
    put_by_hand(named)
    assert isinstance(step_of(named).probe(named.world), Done)


def test_another_file_or_name_is_another_wish(named: Setting) -> None:
    """Its content is no part of it: that would be in the state file."""
    wishes = [named, with_file(named, Path("/one")), with_file(named, Path("/two"))]
    renamed = replace(named.mesh, istio=replace(named.mesh.istio, pull_secret="other"))
    wishes.append(replace(named, mesh=renamed))
    assert len({step_of(each).inputs() for each in wishes}) == len(wishes)


def test_a_person_would_make_it_of_the_file(named: Setting) -> None:
    assert step_of(named).commands() == []
    (command,) = step_of(with_file(named, Path("/my files/config.json"))).commands()
    assert f"secret generic pull -n istio-system --type={KIND}" in command.text
    assert f"--from-file={KEY}='/my files/config.json'" in command.text


# -- the copy in the sample's namespace


def told(cluster: Cluster, made: Setting) -> list[str]:
    return [str(each) for each in differences(cluster, made.mesh, COPY.namespace)]


def test_the_copy_follows_what_it_is_a_copy_of(named: Setting) -> None:
    cluster, machine = named.world.cluster("cluster1"), named.machine(1)
    put_by_hand(named)
    assert "to be made" in told(cluster, named)[0]
    for content in (b"{}", b'{"auths": {}}'):
        put_by_hand(named, content=content)
        assert told(cluster, named)
        copy(cluster, named.mesh, COPY.namespace)
        assert told(cluster, named) == []
        made, source = machine.found(COPY), machine.found(MINE)
        assert made is not None
        assert source is not None
        assert (made["type"], made["data"]) == (KIND, source["data"])
        written = machine.asked["apply"]
        copy(cluster, named.mesh, COPY.namespace)
        assert machine.asked["apply"] == written, "what is the same is not written again"


def test_a_copy_without_content_differs(named: Setting) -> None:
    cluster = named.world.cluster("cluster1")
    put_by_hand(named)
    put_by_hand(named, ref=COPY)
    named.machine(1).change(COPY, lambda item: item.pop("data"))
    assert "other content" in told(cluster, named)[0]


@pytest.mark.parametrize("gone", ["all of it", "its content", "its data"])
def test_a_pull_secret_that_is_gone_is_not_copied(named: Setting, gone: str) -> None:
    cluster, machine = named.world.cluster("cluster1"), named.machine(1)
    put_by_hand(named)
    copy(cluster, named.mesh, COPY.namespace)
    before = machine.found(COPY)
    if gone == "all of it":
        machine.store.remove(MINE)
    else:
        machine.change(MINE, lambda item: item["data"].clear() if gone == "its content" else item.pop("data"))
    assert "other content" in told(cluster, named)[0]
    with pytest.raises(Failed, match="cluster1: Secret pull in istio-system is gone"):
        copy(cluster, named.mesh, COPY.namespace)
    assert machine.found(COPY) == before


def test_a_mesh_without_a_pull_secret_copies_none(two: Setting) -> None:
    cluster = two.world.cluster("cluster1")
    assert differences(cluster, two.mesh, COPY.namespace) == []
    copy(cluster, two.mesh, COPY.namespace)
    assert two.machine(1).listed(SECRET) == []
