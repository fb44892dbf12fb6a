"""Whole lives of a mesh over the simulated clusters: no toy steps, the real plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wizard.commands.demo
import wizard.console.settings
from wizard.commands.main import run
from wizard.real import RealOutside
from wizard.simulated.breaks import BREAKS
from wizard.simulated.outside import SimulatedOutside

FAST = 0.01


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> SimulatedOutside:
    made = SimulatedOutside(speed=FAST)
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: made)
    monkeypatch.setattr(wizard.commands.demo, "simulated_outside", lambda *_: made)
    return made


@pytest.fixture
def mesh(tmp_path: Path, outside: SimulatedOutside) -> Path:
    clusters = [
        {"name": f"cluster{number}", "context": entry.context, "network": f"network{number}"}
        for number, entry in enumerate(outside.contexts(), 1)
    ]
    path = tmp_path / "mesh.yaml"
    path.write_text(json.dumps({"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}))
    return path


def test_the_demo_plays_through_without_a_terminal(
    outside: SimulatedOutside, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo"]) == 0
    shown = capsys.readouterr()
    assert "on simulated clusters" in shown.out
    assert "gateway ✓ 4 answers" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("options", [("--auto",), ("--clusters", "2")])
def test_a_demo_that_is_broken_ends_with_what_does_not_pass(
    outside: SimulatedOutside, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert run(["demo", *options, "--break", "client-gone"]) == 4
    shown = capsys.readouterr()
    assert "Broken: cluster1: The Deployment of the sample's client is scaled to 0." in shown.out
    assert "no curl pod with a sidecar runs in namespace sample" in shown.out.partition("Broken:")[2]
    assert "It was the demo" in shown.err


def test_the_causes_by_which_a_demo_is_broken(outside: SimulatedOutside, capsys: pytest.CaptureFixture[str]) -> None:
    for asked in (["demo", "--break"], ["demo", "--break", "--auto"]):
        assert run(asked) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(BREAKS)
        assert "client-gone             The Deployment of the sample's client is scaled to 0." in lines
    assert run(["demo", "--break", "weather"]) == 2
    assert "there is no cause 'weather'" in capsys.readouterr().err
    assert outside.machines[0].asked == {}


@pytest.mark.inputs("S14")
def test_what_a_demo_that_was_killed_left_is_swept_by_the_next(
    outside: SimulatedOutside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import os, signal, wizard.commands.demo as demo; from wizard.console.settings import Settings\n"
        "with demo._folder(Settings()) as folder:\n"
        "    folder.open('demo').close()\n"
        "    os._exit(130)"  # as after the third Ctrl-C
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert [entry.name.startswith("meshwizard-demo-") for entry in tmp_path.iterdir()] == [True]
    assert run(["demo"]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_mesh_from_nothing_to_nothing(mesh: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def shell(*arguments: str) -> tuple[int, Any]:
        code = run(["--state-dir", str(tmp_path / "state"), *arguments])
        shown = capsys.readouterr().out
        return code, json.loads(shown) if "--json" in arguments and shown.startswith("{\n") else shown

    file = str(mesh)
    assert shell("check", "-f", file)[0] == 0
    code, plan = shell("plan", "-f", file, "--json")
    assert (code, plan["needed"]) == (0, len(plan["steps"]))
    assert shell("apply", "-f", file)[0] == 0
    assert "nothing to do" in shell("plan", "-f", file)[1]
    assert shell("apply", "-f", file)[0] == 0
    assert shell("status")[0] == 0
    code, verdict = shell("verify", "--json")
    assert code == 0
    assert verdict["ok"] is True
    assert set(verdict["clusters"]["cluster1"]["counts"]) == {"v1", "v2"}
    code, script = shell("export", "-f", file)
    assert code == 0
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert shell("uninstall", "--yes")[0] == 0
    assert shell("status")[0] == 2
    code, plan = shell("plan", "-f", file, "--json")
    # The root stays: with it the mesh can be made again, or a cluster added.
    assert [step["id"] for step in plan["steps"] if step["state"] != "needed"] == ["root-ca"]


def test_plain_with_enter_all_the_way(
    outside: SimulatedOutside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    answers = ["", "1 2", *[""] * 15, "1"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(answers) + "\n"))
    assert run(["--state-dir", str(tmp_path / "state"), "plain"]) == 0
    assert "all 29 steps done" in capsys.readouterr().out


@pytest.mark.promise(38)
def test_of_the_demo_nothing_is_left_to_resume(
    outside: SimulatedOutside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outside.istioctl.fail_at["Pilot"] = "no memory"
    place = str(tmp_path / "state")
    assert run(["demo", "--state-dir", place]) == 1
    shown = capsys.readouterr()
    assert "meshwizard resume" not in shown.err
    assert "It was the demo" in shown.err
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: RealOutside(None, ()))
    assert run(["resume", "demo", "--state-dir", place]) == 2
    assert "mesh demo was made by the demo, on simulated clusters, which are gone" in capsys.readouterr().err
