"""The command line's contract: exit codes, sentences, JSON shapes. On toy steps, so that each can go wrong at will."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.commands_fakes import MESH, Toy, ToyOutside, put_in_place
from wizard.checks.finding import Finding
from wizard.checks.standing.diagnosis import Diagnosis
from wizard.commands.main import run
from wizard.engine.step import Step
from wizard.errors import BadInput, Failed
from wizard.verification import Verdict


class Shell:
    """Runs command lines against toy steps; stdout and stderr of the last one are kept."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.mesh = folder / "mesh.yaml"
        self.mesh.write_text(MESH)
        self._monkeypatch = monkeypatch
        self.capsys = capsys
        self.out = self.err = ""

    def put(self, module: str, name: str, value: object) -> None:
        self._monkeypatch.setattr(importlib.import_module(module), name, value)

    def steps(self, *steps: Step, outside: ToyOutside | None = None) -> None:
        put_in_place(list(steps), outside, self.put)

    def __call__(self, *arguments: object) -> int:
        given = [str(argument) for argument in arguments]
        code = run(["--state-dir", str(self.folder / "state"), *given])
        self.out, self.err = self.capsys.readouterr()
        assert "Traceback" not in self.out + self.err
        assert "\x1b" not in self.out + self.err
        return code

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(tmp_path, monkeypatch, capsys)
    made.steps(Toy("cluster1/a"), Toy("cluster2/a", needs=("cluster1/a",)))
    return made


# -- usage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'"),
        (["--nope"], "No such option"),
        (["plan"], "Missing option '-f'"),
        (["plan", "-f"], "requires an argument"),
        (["apply", "-f", "a", "b"], "unexpected extra argument"),
        (["contexts"], "Missing command"),
        (["contexts", "merge", "a"], "Missing option '-o'"),
        (["contexts", "merge", "-o", "x"], "Missing argument"),
        (["export", "-f", "x", "--as", "helm"], "'helm' is not"),
        (["--name", "m", "plan", "-f", "x"], "--name belongs to"),
    ],
)
def test_a_usage_error_is_a_sentence_and_a_hint(shell: Shell, arguments: list[str], said: str) -> None:
    assert shell(*arguments) == 2
    assert said in shell.err
    assert "--help" in shell.err
    assert shell.out == ""


@pytest.mark.parametrize("arguments", [["-h"], ["plan", "-h"], ["contexts", "-h"], ["plain", "--help"], ["--version"]])
def test_help_and_version_exit_0(shell: Shell, arguments: list[str]) -> None:
    assert shell(*arguments) == 0
    assert shell.err == ""
    assert shell.out


@pytest.mark.parametrize("command", ["plan", "apply", "check", "export"])
def test_every_mistake_of_a_mesh_file_is_told_with_its_line(shell: Shell, command: str) -> None:
    shell.mesh.write_text(MESH.replace("network2", "network/1").replace("name: mesh1", "name: Mesh_1"))
    assert shell(command, "-f", shell.mesh) == 2
    assert "2 mistakes" in shell.err
    assert "line 3: name: 'Mesh_1'" in shell.err
    assert "line 6: clusters[1].network" in shell.err


@pytest.mark.parametrize("command", ["plan", "apply", "check", "export"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"[" * 100_000, b"a: &a [*a]", b"\x1b[31m: x"])
def test_a_file_that_is_no_mesh_is_bad_input(shell: Shell, command: str, content: bytes | None) -> None:
    shell.mesh.unlink() if content is None else shell.mesh.write_bytes(content)
    assert shell(command, "-f", shell.mesh) == 2
    assert shell.err.startswith("Error: ")


# -- plan


def test_plan_tells_differences_and_exits_0(shell: Shell) -> None:
    assert shell("plan", "-f", shell.mesh) == 0
    assert "ConfigMap toy: data.x: absent → 1" in shell.out
    assert "2 of 2 steps to do" in shell.out
    assert "kubectl apply" not in shell.out
    assert shell("plan", "-f", shell.mesh, "-v") == 0
    assert "$ kubectl apply cluster1/a" in shell.out


def test_plan_of_a_finished_mesh_says_so(shell: Shell) -> None:
    shell.steps(Toy("cluster1/a", "done"))
    assert shell("plan", "-f", shell.mesh) == 0
    assert "nothing to do" in shell.out


@pytest.mark.parametrize(("behaviour", "code"), [("conflict", 3), ("dark", 1)])
def test_plan_exits_with_what_stands_in_the_way(shell: Shell, behaviour: str, code: int) -> None:
    shell.steps(Toy("cluster1/a", behaviour), Toy("cluster1/b"))
    assert shell("plan", "-f", shell.mesh) == code
    assert ("Ask them." if code == 3 else "Is it on?") in shell.out


def test_plan_json_has_a_shape_that_stays(shell: Shell) -> None:
    shell.steps(Toy("cluster1/a"), Toy("cluster1/b", "done"), Toy("root-ca", "conflict"), Toy("cluster2/d", "dark"))
    assert shell("plan", "-f", shell.mesh, "--json") == 1
    plan = shell.json()
    assert set(plan) == {"mesh", "steps", "needed", "leaving", "halfLinked", "files"}
    assert plan["mesh"] == "mesh1"
    assert plan["needed"] == 1
    first = plan["steps"][0]
    assert first == {
        "id": "cluster1/a",
        "cluster": "cluster1",
        "title": "Toy a",
        "state": "needed",
        "note": "",
        "differences": [{"object": "ConfigMap toy", "field": "data.x", "found": None, "wanted": "1", "by": ""}],
        "commands": ["kubectl apply cluster1/a"],
        "what": "",
        "remedy": "",
    }
    assert [step["state"] for step in plan["steps"]] == ["needed", "done", "conflict", "unknown"]
    assert plan["steps"][2]["cluster"] is None
    assert plan["steps"][2]["remedy"] == "Ask them."


@pytest.mark.promise(23)
def test_plan_leaves_no_trace(shell: Shell) -> None:
    shell("plan", "-f", shell.mesh)
    assert not (shell.folder / "state").exists()


# -- apply and resume


def test_apply_prints_lines_and_exits_0(shell: Shell) -> None:
    assert shell("apply", "-f", shell.mesh) == 0
    assert "s cluster1  ✔ Toy a" in shell.out
    assert "all 2 steps done" in shell.out
    assert shell.err == ""


@pytest.mark.promise(38)
@pytest.mark.parametrize(
    ("behaviour", "code", "said"),
    [("fails", 1, "the toy broke"), ("conflict", 3, "belongs to somebody"), ("silent", 4, "does not hear v2")],
)
def test_apply_ends_with_the_exit_code_and_the_command_that_resumes(
    shell: Shell, behaviour: str, code: int, said: str
) -> None:
    shell.steps(Toy("cluster1/a", behaviour), Toy("cluster2/a", needs=("cluster1/a",)))
    assert shell("apply", "-f", shell.mesh) == code
    assert said in shell.err
    last = shell.err.strip().splitlines()[-1]
    assert last.startswith("Go on with: meshwizard resume mesh1 --state-dir ")


@pytest.mark.promise(38)
def test_the_command_that_a_failure_names_does_resume(shell: Shell) -> None:
    toy = Toy("cluster1/a", "fails")
    shell.steps(toy)
    assert shell("apply", "-f", shell.mesh) == 1
    command = shell.err.strip().splitlines()[-1].removeprefix("Go on with: meshwizard ")
    toy.behaviour = "works"
    assert shell(*command.split()) == 0
    assert toy.made


def test_apply_json_prints_events_and_nothing_else(shell: Shell) -> None:
    assert shell("apply", "-f", shell.mesh, "--json") == 0
    events = [json.loads(line) for line in shell.out.splitlines()]
    assert events[0]["event"] == "runstarted"
    assert events[-1]["event"] == "runended"
    assert events[-1]["exit_code"] == 0
    assert {event["event"] for event in events} >= {"stepchanged", "stepsaid"}


@pytest.mark.promise(10)
def test_a_mesh_that_is_held_exits_5(shell: Shell) -> None:
    from state import StateFolder

    with StateFolder(shell.folder / "state").open("mesh1"):
        assert shell("apply", "-f", shell.mesh) == 5


@pytest.mark.promise(6)
@pytest.mark.parametrize(
    "arguments", [("apply", "-f", "mesh.yaml"), ("resume",), ("status",), ("verify",), ("uninstall", "--yes")]
)
def test_every_command_refuses_a_newer_release_s_state_and_touches_nothing(
    shell: Shell, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell("apply", "-f", shell.mesh) == 0
    file = shell.folder / "state" / "mesh1" / "state.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    before = file.read_bytes()
    monkeypatch.chdir(shell.mesh.parent)
    assert shell(*arguments) == 2
    assert "written by a newer meshwizard" in shell.err
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", ["resume", "status", "verify", "uninstall"])
def test_a_name_may_be_left_out_only_where_one_is_recorded(shell: Shell, command: str) -> None:
    assert shell(command) == 2
    assert "no mesh is recorded" in shell.err
    assert shell(command, "other") == 2
    assert "no mesh 'other'" in shell.err
    assert shell(command, "../evil") == 2
    for name in ("mesh1", "mesh2"):
        shell.mesh.write_text(MESH.replace("mesh1", name))
        assert shell("apply", "-f", shell.mesh) == 0
    assert shell(command) == 2
    assert "2 meshes are recorded" in shell.err
    assert "mesh1, mesh2" in shell.err


# -- status, verify, check


def test_status_tells_now_and_before(shell: Shell) -> None:
    first, second = Toy("cluster1/a"), Toy("cluster1/b")
    shell.steps(first, second)
    shell("apply", "-f", shell.mesh)
    assert shell("status") == 0
    assert "nothing to do" in shell.out
    second.made = False
    assert shell("status", "mesh1") == 1
    assert "differs" in shell.out
    assert "absent → 1" in shell.out
    assert shell("status", "--json") == 1
    status = shell.json()
    assert status["operation"] == "apply"
    assert status["finished"] is True
    assert status["steps"][1]["state"] == "needed"
    assert status["steps"][1]["recorded"]["status"] == "done"
    first.made, first.behaviour = False, "conflict"
    assert shell("status") == 3


def explain(shell: Shell, *findings: Finding) -> None:
    """What a look at the standing mesh finds after a verification."""
    cause = findings[0] if findings else None
    shell.put("wizard.verification", "explained", lambda mesh, world, verdicts: Diagnosis(findings, cause, None))


REVOKED = Finding(
    "error", "Secret x in istio-system of cluster1 holds a token that is revoked: istiod goes on until it restarts.",
    "Make it anew.", check="remote-secret-token", cluster="cluster1", layer="discovery", object="Secret x",
    commands=("meshwizard resume mesh1",), breaks=(("cluster1", "cluster2"),),
)  # fmt: skip


def test_verify_warns_of_what_will_break_although_all_answer(shell: Shell) -> None:
    shell("apply", "-f", shell.mesh)
    shell.put("wizard.verification", "verify", lambda plan, world, listener: [Verdict("cluster1", {"v1": 5, "v2": 4})])
    explain(shell, REVOKED)
    assert shell("verify") == 0
    assert "⚠ Secret x in istio-system of cluster1 holds a token that is revoked" in shell.out
    assert "meshwizard resume mesh1" in shell.out
    assert shell("verify", "--json") == 0
    assert [each["check"] for each in shell.json()["findings"]] == ["remote-secret-token"]


def test_verify_names_the_cause_that_was_found_after_it_gave_up(shell: Shell) -> None:
    shell("apply", "-f", shell.mesh)
    bad = Verdict("cluster1", {"v1": 4}, ("v2",), 3, "timed out", "Open the gateway.", 60.0)
    shell.put("wizard.verification", "verify", lambda plan, world, listener: [bad])
    explain(shell, REVOKED)
    assert shell("verify") == 4
    assert "holds a token that is revoked" in shell.err
    assert "Make it anew." in shell.err
    assert "Open the gateway." not in shell.err


def test_verify_reports_and_exits_4_where_something_is_missing(shell: Shell) -> None:
    shell("apply", "-f", shell.mesh)
    explain(shell)
    good = Verdict("cluster1", {"v1": 5, "v2": 4}, seconds=1.5)
    shell.put("wizard.verification", "verify", lambda plan, world, listener: [good])
    assert shell("verify", "--json") == 0
    shape = shell.json()
    assert shape["ok"] is True
    assert shape["clusters"]["cluster1"]["counts"] == {"v1": 5, "v2": 4}
    bad = Verdict("cluster2", {"v2": 4}, ("v1",), 3, "timed out <&>\x1b\ufffe", "Open the gateway.", 60.0)
    shell.put("wizard.verification", "verify", lambda plan, world, listener: [good, bad])
    report = shell.folder / "report.xml"
    assert shell("verify", "--junit", report) == 4
    assert "Open the gateway." in shell.err
    assert "still missing v1" in shell.out
    from xml.etree import ElementTree as ET

    suite = ET.fromstring(report.read_text())  # noqa: S314 - written by us
    assert suite.attrib["tests"] == "4"
    assert suite.attrib["failures"] == "1"
    assert [path.name for path in shell.folder.iterdir() if path.name.startswith(".")] == []


def test_where_no_report_can_be_written_nothing_is_asked_of_the_clusters(shell: Shell) -> None:
    shell("apply", "-f", shell.mesh)
    asked: list[object] = []
    shell.put("wizard.verification", "verify", lambda plan, world, listener: asked.append(plan) or [])
    assert shell("verify", "--junit", shell.folder / "absent" / "report.xml") == 2
    assert "no folder that you may write in" in shell.err
    assert asked == []


def test_what_was_found_weighs_more_than_a_report_that_cannot_be_written(shell: Shell) -> None:
    shell("apply", "-f", shell.mesh)
    explain(shell)
    bad = Verdict("cluster2", {"v2": 4}, ("v1",), 3, "timed out", "Open the gateway.", 60.0)
    shell.put("wizard.verification", "verify", lambda plan, world, listener: [bad])
    (shell.folder / "report").mkdir()
    assert shell("verify", "--junit", shell.folder / "report") == 4
    assert "report cannot be written" in shell.err
    assert "Open the gateway." in shell.err


def test_check_lists_findings(shell: Shell) -> None:
    warning = Finding("warning", "its clock is off", "Set it.", check="clock", cluster="cluster1")
    shell.put("wizard.checks.preflight", "check", lambda mesh, world, rights: [warning])
    assert shell("check", "-f", shell.mesh) == 0
    assert "Set it." in shell.out
    assert "docs/checks.md" not in shell.out
    assert shell("-v", "check", "-f", shell.mesh) == 0
    assert "docs/checks.md#clock" in shell.out
    error = Finding("error", "may not", "Be an administrator.", check="rights", cluster="cluster2")
    shell.put("wizard.checks.preflight", "check", lambda mesh, world, rights: [warning, error])
    assert shell("check", "-f", shell.mesh, "--json") == 1
    assert [finding["severity"] for finding in shell.json()["findings"]] == ["warning", "error"]
    assert [finding["docs"] for finding in shell.json()["findings"]] == [
        "docs/checks.md#clock",
        "docs/checks.md#rights",
    ]
    assert shell.json()["ok"] is False


# -- uninstall


def test_uninstall_needs_a_consent(shell: Shell) -> None:
    toy = Toy("cluster1/a")
    shell.steps(toy)
    shell("apply", "-f", shell.mesh)
    assert shell("uninstall") == 3
    assert "--yes" in shell.err
    assert toy.made
    assert shell("uninstall", "--yes") == 0
    assert not toy.made
    assert "/toy/root-key" in shell.out
    assert shell("status") == 2


@pytest.mark.promise(38)
def test_an_unfinished_uninstall_is_resumed_as_one(shell: Shell) -> None:
    toy = Toy("cluster1/a")
    shell.steps(toy)
    shell("apply", "-f", shell.mesh)

    def refuse(world: object, job: object) -> None:
        raise Failed("not now")

    toy.undo, working = refuse, toy.undo  # type: ignore[method-assign]
    assert shell("uninstall", "--yes") == 1
    toy.undo = working  # type: ignore[method-assign]
    assert shell("resume") == 0
    assert not toy.made


# -- what cannot be foreseen


def test_an_unexpected_error_is_one_sentence(shell: Shell) -> None:
    def breaks(settings: object) -> None:
        raise ZeroDivisionError("oops\x1b[31m eyJhbGciOi.eyJzdWIiOi.sig")

    shell.put("wizard.console.settings", "outside_of", breaks)
    assert shell("plan", "-f", shell.mesh) == 1
    assert "unexpected ZeroDivisionError: oops" in shell.err
    assert "eyJ" not in shell.err
    assert "--log" in shell.err
    log = shell.folder / "log"
    assert shell("plan", "-f", shell.mesh, "--log", log) == 1
    assert str(log) in shell.err
    assert "Traceback" in log.read_text()
    assert "eyJ" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    logging.getLogger("wizard").error("after the run")
    assert "after the run" not in log.read_text()


def test_verbose_shows_the_traceback(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.put("wizard.console.settings", "outside_of", lambda settings: 1 / 0)
    assert run(["-v", "plan", "-f", str(shell.mesh)]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["/nonexistent/log", "/"])
def test_a_log_that_cannot_be_written_is_bad_input(shell: Shell, where: str) -> None:
    assert shell("plan", "-f", shell.mesh, "--log", where) == 2
    assert "cannot be written" in shell.err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EOFError()])
def test_an_interrupt_says_that_nothing_was_changed(shell: Shell, error: BaseException) -> None:
    def stop(settings: object) -> None:
        raise error

    shell.put("wizard.console.settings", "outside_of", stop)
    assert shell("plan", "-f", shell.mesh) == 130
    assert "nothing was changed" in shell.err


def test_options_count_before_and_after_the_command(shell: Shell) -> None:
    seen: list[Any] = []

    def look(settings: Any) -> None:
        seen.append((settings.istioctl, settings.verbose, settings.no_color))
        raise BadInput("enough")

    shell.put("wizard.console.settings", "outside_of", look)
    shell("--istioctl", "/a", "plan", "-f", shell.mesh, "-v")
    shell("--no-color", "-v", "plan", "-f", shell.mesh, "--istioctl", "/b")
    shell("--istioctl", "/a", "plan", "-f", shell.mesh, "--istioctl", "/b", "--no-color")
    assert seen == [("/a", True, False), ("/b", True, True), ("/b", False, True)]


# -- without a terminal


@pytest.mark.promise(35)
def test_the_wizard_needs_a_terminal_and_says_what_does_not(shell: Shell) -> None:
    assert shell() == 2
    assert "meshwizard plain" in shell.err
    assert "meshwizard apply" in shell.err


@pytest.mark.promise(35)
def test_a_dumb_terminal_is_told_the_same(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    shell.put("wizard.commands.start", "has_terminal", lambda: True)
    assert shell() == 2
    assert "TERM=dumb" in shell.err


def test_flags_prefill_the_screens(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setenv("TERM", "xterm")
    shell.put("wizard.commands.start", "has_terminal", lambda: True)
    shell.put("wizard.commands.screens", "open_screens", lambda *_, document, **__: seen.append(document) or 0)
    assert (
        shell("--name", "m", "--istio-hub", "reg.example.com/istio", "--context", "admin2@k", "--context", "admin1@k")
        == 0
    )
    assert seen[0]["name"] == "m"
    assert seen[0]["istio"] == {"hub": "reg.example.com/istio"}
    assert [cluster["context"] for cluster in seen[0]["clusters"]] == ["admin2@k", "admin1@k"]
    assert shell() == 0
    assert seen[1] is None
    assert shell("--context", "nobody") == 2
    assert "'nobody'" in shell.err
    assert shell("--name", "No_Name") == 2
    assert "--name" in shell.err


def test_ascii_streams_get_ascii(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", errors="strict"))
    assert run(["plan", "-f", str(shell.mesh)]) == 0
    sys.stdout.flush()
    assert b"-> 1" in raw.getvalue()


def test_completion_knows_the_commands(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MESHWIZARD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "meshwizard pl")
    monkeypatch.setenv("COMP_CWORD", "1")
    run([])
    assert {line.split(",")[1] for line in capture(shell).split()} == {"plain", "plan"}


def capture(shell: Shell) -> str:
    take: Callable[[], Any] = shell.capsys.readouterr
    return str(take().out)
