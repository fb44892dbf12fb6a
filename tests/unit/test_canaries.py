"""Planted credentials are found in nothing that a whole scenario leaves: state, log, JSON, terminal, report, script."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

import wizard.console.settings
from state.withheld import hold
from tests.unit.api_fakes import Api, Asked, Reaction, Said, api, kubeconfig
from wizard.clusters.patience import Patience
from wizard.clusters.real import RealCluster
from wizard.commands.main import run
from wizard.simulated.outside import SimulatedOutside

pytestmark = pytest.mark.inputs("S6")
QUICK = Patience(connect=5.0, silence=5.0, total=10.0, pauses=(0.01,), plugin=60.0, parked=0.5)

CANARY = 'canary-4f1d9b/"+\\8c2d7e1a-of-a-person'


def forms(value: str) -> dict[str, str]:
    """How it could be read where it was found."""
    pair = base64.b64encode(f"me:{value}".encode()).decode()
    return {
        "as it is": value,
        "JSON": json.dumps(value)[1:-1],
        "JSON within JSON": json.dumps(json.dumps(value)[1:-1])[1:-1],
        "URL": quote(value, safe=""),
        "base64": base64.b64encode(value.encode()).decode()[:-4],
        "user and password": pair[4:-4],
    }


def found(values: list[str], *places: Path | str) -> list[str]:
    """Where one of them is found, in the files below the places or in the text."""
    texts = {}
    for place in places:
        if isinstance(place, str):
            texts[place[:40]] = place
        else:
            files = [place] if place.is_file() else [each for each in place.rglob("*") if each.is_file()]
            texts |= {str(each): each.read_text(errors="replace") for each in files}
    assert any(texts.values()), "or nothing was looked at"
    return [
        f"{form} in {name}: {text[max(0, text.find(word) - 60) :][:160]}"
        for name, text in texts.items()
        for value in values
        for form, word in (*forms(value).items(), ("a part", value[:14]))
        if word in text
    ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as made:
        yield made


def test_a_run_whose_tools_repeat_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = SimulatedOutside(speed=0)
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: outside)
    hold(CANARY)
    outside.istioctl.fail_at["Pilot"] = "; ".join(forms(CANARY).values()).replace("\n", " ")
    clusters = [
        {"name": f"cluster{number}", "context": entry.context, "network": f"network{number}"}
        for number, entry in enumerate(outside.contexts(), 1)
    ]
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(json.dumps({"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}))
    left = tmp_path / "left"
    left.mkdir()
    common = ["--state-dir", str(left / "state"), "--log", str(left / "log"), "-v"]
    for words in (
        ["apply", "-f", str(mesh), "--json"],
        ["resume"],
        ["status", "--json"],
        ["status"],
        ["plan", "-f", str(mesh), "--json", "--out", str(left / "plan")],
        ["export", "-f", str(mesh), "-o", str(left / "runbook")],
    ):
        run([*common, *words])
    outside.istioctl.fail_at.clear()
    monkeypatch.setattr("wizard.operations.prepared.resolve", _broken)
    assert run([*common, "--report", str(left / "report"), "status"]) == 1
    said = capsys.readouterr()
    assert "[withheld]" in said.out
    assert "[withheld]" in said.err
    assert "[withheld]" in (left / "log").read_text()
    assert "[withheld]" in (left / "state/mesh1/state.json").read_text()
    assert (left / "report").stat().st_size > 100
    assert found([CANARY], left, said.out, said.err) == []


def _broken(*_: object) -> None:
    raise LookupError(f"unexpected {CANARY}")


@pytest.mark.parametrize("way", ["token", "password", "url", "proxy", "plugin"])
def test_a_cluster_or_a_command_that_repeats_a_credential(
    tmp_path: Path, server: Api, way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def react(asked: Asked) -> Reaction:
        message = "; ".join([*forms(CANARY).values(), asked.headers.get("authorization", "").partition(" ")[2]])
        return Said(500, json.dumps({"kind": "Status", "message": message}).encode())

    server.react = react
    encoded = quote(CANARY, safe="")
    url = server.url.replace("://", f"://me:{encoded}@") if way == "url" else server.url
    command = tmp_path / "give-me"
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": CANARY}}
    (tmp_path / "answer").write_text(json.dumps(answer))
    command.write_text(f"#!/bin/sh\ncat {tmp_path}/answer; cat {tmp_path}/answer >&2; exit 1\n")
    command.chmod(0o755)
    users = {
        "password": {"username": "me", "password": CANARY},
        "plugin": {"exec": {"apiVersion": answer["apiVersion"], "command": str(command), "interactiveMode": "Never"}},
    }
    more = {"proxy-url": f"http://me:{encoded}@127.0.0.1:9"} if way == "proxy" else {}
    files = [tmp_path / "config1", tmp_path / "config2"]
    for number, path in enumerate(files, 1):
        user = users.get(way, {"token": CANARY})
        kubeconfig(path, url.replace("127.0.0.1", f"127.0.0.{number}"), server.authority, user, **more)
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, files)))
    monkeypatch.setattr("wizard.real.RealCluster", partial(RealCluster, patience=QUICK))
    istioctl = tmp_path / "istioctl"
    istioctl.write_text("""#!/bin/sh\necho '{"clientVersion": {"version": "1.29.1"}}'\n""")
    istioctl.chmod(0o755)
    clusters = [
        {"name": f"cluster{number}", "context": "ours", "kubeconfig": str(path), "network": f"network{number}"}
        for number, path in enumerate(files, 1)
    ]
    mesh = tmp_path / "mesh.yaml"
    mesh.write_text(json.dumps({"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}))
    left = tmp_path / "left"
    left.mkdir()
    common = ["--state-dir", str(left / "state"), "--log", str(left / "log"), "--istioctl", str(istioctl), "-v"]
    for words in (["check", "-f", str(mesh)], ["plan", "-f", str(mesh), "--json"]):
        assert run([*common, *words]) in (1, 2, 3)
    said = capsys.readouterr()
    assert len(said.err) > 40
    assert found([CANARY], left / "log", said.out, said.err) == []
    if way not in ("url", "proxy"):
        assert "[withheld]" in said.err + said.out
