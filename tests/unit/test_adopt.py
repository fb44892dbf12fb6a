"""`meshwizard adopt`, and what is done with a mesh that others made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wizard.console.settings
from tests.unit.byhand import SYSTEM, made_by_hand
from tests.unit.standing import finished_mesh
from wizard import yamltext
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, ISTIO_GATEWAY, KINDS, NAMESPACE, SECRET, SERVICE, Object, Ref
from wizard.commands.main import run
from wizard.mesh.meshfile import read_meshfile
from wizard.simulated.outside import SimulatedOutside

CONTEXTS = ("--context", "kubernetes-admin1@kubernetes", "--context", "kubernetes-admin2@kubernetes")
EVENTS = {"Event", "Lease"}  # that come by themselves, and go


class Shell:
    """The command line, with a state folder of its own."""

    def __init__(self, outside: SimulatedOutside, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.outside = outside
        self.file = folder / "mesh.yaml"
        self.folder = folder
        self.out = self.err = ""
        self._capsys = capsys

    def __call__(self, *words: str | Path) -> int:
        code = run(["--state-dir", str(self.folder / "state"), *map(str, words)])
        self.out, self.err = self._capsys.readouterr()
        return code

    def states(self) -> dict[str, str]:
        """How a plan finds the steps that are not as wanted."""
        self("plan", "-f", self.file, "--json")
        return {step["id"]: step["state"] for step in json.loads(self.out)["steps"] if step["state"] != "done"}

    def contents(self) -> list[dict[str, Any]]:
        """All that stands in the clusters."""
        return [
            {
                f"{each.manifest['kind']} {each.manifest['metadata']['name']}": each.show()["metadata"][
                    "resourceVersion"
                ]
                for kind in KINDS
                if kind.kind not in EVENTS
                for each in machine.store.all(kind)
            }
            for machine in self.outside.machines
        ]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Over a mesh that others made."""
    made = made_by_hand()
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: made.outside)
    yield Shell(made.outside, tmp_path, capsys)


def test_an_adopted_mesh_has_nothing_to_be_done_and_nothing_is_taken_back(shell: Shell) -> None:
    before = shell.contents()
    assert shell("adopt", *CONTEXTS, "-o", shell.file) == 0, shell.err
    assert f"meshwizard plan -f {shell.file}" in shell.out
    assert "does not say" not in shell.out
    assert read_meshfile(shell.file).adopted
    assert shell.states() == {}
    assert shell("apply", "-f", shell.file) == 0, shell.err
    assert shell("status") == 0
    assert shell("check", "-f", shell.file) == 0, shell.out
    assert shell("export", "-f", shell.file) == 2
    assert shell("diagnose") == 0, shell.out
    assert shell.contents() == before
    assert shell("uninstall", "--yes") == 0, shell.err
    assert shell.contents() == before


def test_what_it_cannot_say_is_told(shell: Shell) -> None:
    def more(config: Object) -> None:
        config["data"]["mesh"] = yamltext.dump(
            {**yamltext.load(config["data"]["mesh"]), "accessLogFile": "/dev/stdout"}
        )

    shell.outside.machines[0].change(Ref(CONFIG_MAP, "istio", SYSTEM), more)
    assert shell("adopt", *CONTEXTS, "-o", shell.file) == 0
    assert "  cluster1: meshConfig says more: accessLogFile" in shell.out


def test_a_file_that_is_there_is_overwritten_only_by_consent(shell: Shell) -> None:
    shell.file.write_text("mine")
    assert shell("adopt", *CONTEXTS, "-o", shell.file) == 2
    assert shell.file.read_text() == "mine"
    assert shell("adopt", *CONTEXTS, "-o", shell.file, "--force") == 0
    assert read_meshfile(shell.file).name == "mesh1"
    assert shell("adopt", *CONTEXTS, "-o", shell.folder / "absent" / "mesh.yaml") == 2


def test_where_a_cluster_does_not_answer_nothing_is_written(shell: Shell) -> None:
    shell.outside.machines[1].unreachable = True
    assert shell("adopt", *CONTEXTS, "-o", shell.file) == 1
    assert not shell.file.exists()


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda m: m.change(Ref(SERVICE, "istio-eastwestgateway", SYSTEM), of_type("LoadBalancer")), "install"),
        (lambda m: m.store.remove(Ref(DEPLOYMENT, "istiod", SYSTEM)), "install"),
        (lambda m: m.change(Ref(NAMESPACE, SYSTEM), without_label), "namespace"),
        (lambda m: m.change(Ref(CONFIG_MAP, "istio", SYSTEM), without_networks), "mesh-networks"),
        (lambda m: m.store.remove(Ref(DEPLOYMENT, "helloworld-v2", "sample")), "sample"),
        (lambda m: m.change(Ref(SECRET, "istio-remote-secret-cluster1", SYSTEM), of_nobody), "remote-secret/cluster1"),
    ],
)
def test_what_others_have_otherwise_is_a_conflict_and_stays(shell: Shell, change: Any, step: str) -> None:
    assert shell("adopt", *CONTEXTS, "-o", shell.file) == 0
    change(shell.outside.machines[1])
    shell.outside.machines[1].settle()
    assert shell.states()[f"cluster2/{step}"] == "conflict"
    before = shell.contents()
    assert shell("apply", "-f", shell.file) == 3
    assert shell.contents() == before


def test_names_of_others_for_what_is_opened_and_who_is_read_are_as_good(shell: Shell) -> None:
    machine = shell.outside.machines[1]
    renamed(machine, Ref(ISTIO_GATEWAY, "cross-network-gateway", SYSTEM), "theirs")
    renamed(machine, Ref(SECRET, "istio-remote-secret-cluster1", SYSTEM), "theirs")
    assert shell("adopt", *CONTEXTS, "-o", shell.file) == 0
    assert shell.states() == {}


def test_what_is_missing_of_the_sample_is_made_as_ours_and_taken_back(shell: Shell) -> None:
    for machine in shell.outside.machines:
        machine.store.remove(Ref(NAMESPACE, "sample"))
        for each in ("helloworld", "curl"):
            machine.store.remove(Ref(SERVICE, each, "sample"))
        for each in ("helloworld-v1", "helloworld-v2", "curl"):
            machine.store.remove(Ref(DEPLOYMENT, each, "sample"))
        machine.settle()
    before = {name for each in shell.contents() for name in each}
    assert shell("adopt", *CONTEXTS, "-o", shell.file) == 0
    assert "no helloworld runs in namespace sample" in shell.out
    assert set(shell.states()) >= {"cluster1/sample", "cluster2/sample"}
    assert shell("apply", "-f", shell.file) == 0, shell.out + shell.err
    assert shell("uninstall", "--yes") == 0, shell.err
    assert {name for each in shell.contents() for name in each} == before


def test_of_a_mesh_of_ours_the_file_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = finished_mesh()
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: made.outside)
    shell = Shell(made.outside, tmp_path, capsys)
    assert shell("adopt", *CONTEXTS, "-o", shell.file) == 0
    assert not read_meshfile(shell.file).adopted
    assert shell.states() == {}


def of_type(kind: str) -> Any:
    return lambda service: service["spec"].update(type=kind)


def without_label(namespace: Object) -> None:
    del namespace["metadata"]["labels"]["topology.istio.io/network"]


def without_networks(config: Object) -> None:
    config["data"]["meshNetworks"] = "networks: {}\n"


def of_nobody(secret: Object) -> None:
    secret["data"] = {"cluster1": "e30="}


def renamed(machine: Any, ref: Ref, name: str) -> None:
    live = machine.found(ref)
    machine.store.remove(ref)
    kept = {key: value for key, value in live.items() if key not in ("metadata", "status")}
    labels = live["metadata"].get("labels") or {}
    machine.apply_as("helm", {**kept, "metadata": {"name": name, "namespace": SYSTEM, "labels": labels}})
