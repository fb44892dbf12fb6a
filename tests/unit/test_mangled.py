"""In another language no command says plain English: whatever people read is a message."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import wizard.console.settings
from tests.mangle import Mangled, plain_english
from wizard.clusters.kinds import CONFIG_MAP, Ref
from wizard.commands.main import cli, run
from wizard.engine.step import Job
from wizard.messages.catalogue import English, use
from wizard.simulated.outside import SimulatedOutside


@pytest.fixture(autouse=True)
def mangled() -> Iterator[None]:
    use(Mangled())
    yield
    use(English())


class Shell:
    """Runs command lines over simulated clusters in the mangled language and finds what they say in English."""

    def __init__(self, place: Path, outside: SimulatedOutside, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = place
        self.outside = outside
        self._capsys = capsys

    def __call__(self, *arguments: str, foreign: tuple[str, ...] = ()) -> tuple[int, str]:
        """Exit code and all that was said. `foreign`: what of it is not the program's own, beside `THEIRS`."""
        code = run(["--state-dir", str(self.place / "state"), *arguments])
        shown = self._capsys.readouterr()
        said = shown.out + shown.err
        assert said
        assert not plain_english(said, (*foreign, *THEIRS)), said
        return code, said


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    outside = SimulatedOutside(speed=0)
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: outside)
    monkeypatch.setattr("wizard.engine.step.SILENT_SECONDS", 0)
    return Shell(tmp_path, outside, capsys)


def mesh_file(place: Path, **more: Any) -> str:
    path = place / "mesh.yaml"
    clusters = [
        {"name": f"cluster{number}", "context": each.context, "network": f"network{number}"}
        for number, each in enumerate(SimulatedOutside().contexts(), 1)
    ]
    path.write_text(
        json.dumps({"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters, **more})
    )
    return str(path)


@pytest.mark.parametrize("command", ["", *cli.list_commands(click.Context(cli)), "contexts merge"])
def test_help(shell: Shell, command: str) -> None:
    assert shell(*command.split(), "--help")[0] == 0


def test_the_life_of_a_mesh(shell: Shell, tmp_path: Path) -> None:
    file = mesh_file(tmp_path)
    for command in ("check", "plan", "apply", "plan"):
        assert shell(command, "-f", file)[0] == 0
    assert shell("status")[0] == 0
    assert shell("verify")[0] == 0
    assert shell("diagnose", "-v", foreign=EXEC)[0] == 0
    contexts = [word for each in shell.outside.contexts() for word in ("--context", each.context)]
    assert shell("diagnose", *contexts, foreign=EXEC)[0] == 0
    assert shell("adopt", *contexts, "-o", str(tmp_path / "adopted.yaml"))[0] == 0
    shell.outside.machines[0].store.remove(Ref(CONFIG_MAP, "meshwizard", "istio-system"))
    assert shell("status")[0] == 1
    assert shell("resume")[0] == 0
    assert shell("uninstall", "--yes")[0] == 0
    assert shell("status")[0] != 0


def test_an_exported_script_explains_itself(shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "-f", mesh_file(tmp_path), "--as", "runbook"]) == 0
    script = capsys.readouterr().out.splitlines()
    said = [line for line in script if line.startswith(("# ", "say "))]
    assert len(said) > 20
    assert not plain_english("\n".join(said))


WRONG: dict[str, dict[str, Any]] = {
    "no clusters": {"clusters": []},
    "one cluster": {
        "clusters": [{"name": "cluster1", "context": "kubernetes-admin1@kubernetes", "network": "network1"}]
    },
    "no name": {"name": ""},
    "a bad name": {"name": "No Name", "topology": "star", "trustDomain": "_"},
    "unknown keys": {"extra": 1, "istio": {"versoin": "1.29.1"}},
    "other kinds of values": {"istio": "1.29.1", "verify": [], "certificates": {"source": 3}},
    "Istio": {"istio": {"version": "banana", "hub": "a b", "revision": "A", "pullSecret": "-"}},
    "an old Istio": {"istio": {"version": "1.5.0"}},
    "certificates": {"certificates": {"source": "directory"}},
    "another file": {"kind": "Plan"},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_mesh_file_is_refused(shell: Shell, tmp_path: Path, wrong: str) -> None:
    assert shell("plan", "-f", mesh_file(tmp_path, **WRONG[wrong]))[0] == 2


def test_what_is_no_mesh_file(shell: Shell, tmp_path: Path) -> None:
    assert shell("plan", "-f", str(tmp_path / "none.yaml"))[0] == 2
    for name, content in (("empty", ""), ("list", "- a"), ("broken", "a: [")):
        (tmp_path / name).write_text(content)
        assert shell("plan", "-f", str(tmp_path / name), foreign=YAML)[0] == 2


EXEC = ("executable file not found in",)  # a container runtime's own
YAML = ("while parsing a flow sequence", "while parsing a flow node", "expected ',' or ']', but got '<stream end>'",
        "did not find expected node content", "expected the node content, but found '<stream end>'")  # fmt: skip
LINES = (
    "plan", "plan -f", "plain --topology star", "appyl", "plan --fiel x", "resume", "status nothing", "verify", "export",
    "diagnose", "diagnose a -f b", "diagnose --context a", "adopt", "adopt --context a -o b",
    "uninstall nothing", "contexts merge", "contexts merge a b -o c", "--name mesh1 status", "demo --clusters x",
)  # fmt: skip
# As API servers, kubelets, istioctl and systems have them.
THEIRS = (
    "No such file or directory", "connection refused", "Connection refused", "nodes is forbidden", "cannot list resource",
    "in API group", "pulling image", "it is not there", "Processing resources for", "Istio core", "Ingress gateways",
)  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_wrong_line(shell: Shell, line: str) -> None:
    assert shell(*line.split())[0] == 2


def sets(number: int, **values: Any) -> Callable[[SimulatedOutside], None]:
    def change(outside: SimulatedOutside) -> None:
        for name, value in values.items():
            assert hasattr(outside.machines[number - 1], name)
            setattr(outside.machines[number - 1], name, value)

    return change


FAULTS = {
    "unreachable": sets(1, unreachable=True),
    "no rights": sets(2, missing_rights={"create secrets", "create namespaces", "list nodes"}),
    "clock": sets(1, clock_skew=600.0),
    "slow clock": sets(2, clock_skew=-20.0),
    "no images": sets(1, missing_images={"docker.io/istio/examples-helloworld-v1"}),
    "ports": sets(2, blocked_ports={15443, 6443}),
}


@pytest.mark.parametrize(
    ("fault", "standing"), [*((fault, False) for fault in FAULTS), ("unreachable", True), ("no rights", True)]
)
def test_what_is_wrong_with_clusters(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, standing: bool
) -> None:
    file = mesh_file(tmp_path)
    if standing:
        assert shell("apply", "-f", file)[0] == 0
    FAULTS[fault](shell.outside)
    whole = Job.wait
    monkeypatch.setattr(
        Job, "wait", lambda self, what, look, *, seconds, **more: whole(self, what, look, seconds=0.3, **more)
    )
    for command in ("check", "plan", "apply"):
        shell(command, "-f", file)
    if standing:
        for command in ("status", "verify", "resume", "uninstall --yes"):
            shell(*command.split())
