"""`meshwizard diagnose` over simulated clusters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import wizard.console.settings
from tests.unit.byhand import made_by_hand
from tests.unit.standing import finished_mesh, view_of
from wizard.checks.finding import Finding, Pair
from wizard.checks.standing.diagnosis import sorted_out
from wizard.checks.standing.view import Traffic
from wizard.clusters.kinds import DEPLOYMENT, SERVICE, Object, Ref
from wizard.commands.main import run
from wizard.operations.diagnosing import diagnosis_of, pairs_between
from wizard.simulated.outside import SimulatedOutside

GATEWAY = Ref(DEPLOYMENT, "istio-eastwestgateway", "istio-system")


class Shell:
    """The command line over a mesh that stands, in a state folder of its own."""

    def __init__(self, outside: SimulatedOutside, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.outside = outside
        self.folder = folder
        self.out = self.err = ""
        self._capsys = capsys
        self.file = folder / "mesh.yaml"
        clusters = [
            {"name": f"cluster{number}", "context": entry.context, "network": f"network{number}"}
            for number, entry in enumerate(outside.contexts(), 1)
        ]
        document = {"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}
        self.file.write_text(json.dumps(document))

    def __call__(self, *words: str | Path) -> int:
        code = run(["--state-dir", str(self.folder / "state"), *map(str, words)])
        self.out, self.err = self._capsys.readouterr()
        return code

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def break_gateway(self) -> None:
        """Nothing listens at cluster2's gateway any more, and nobody there says so."""
        self.outside.machines[1].change(GATEWAY, no_replicas)


def no_replicas(deployment: Object) -> None:
    deployment["spec"]["replicas"] = 0


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    outside = SimulatedOutside(speed=0)
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: outside)
    made = Shell(outside, tmp_path, capsys)
    assert made("apply", "-f", made.file) == 0
    yield made


def test_of_a_mesh_that_answers_it_says_so_by_name_by_file_and_by_nothing(shell: Shell) -> None:
    for words in ((), ("mesh1",), ("-f", shell.file)):
        assert shell("diagnose", *words) == 0, shell.out
        assert "✔ cluster1: heard v1 4× and v2 4×" in shell.out
        assert "Nothing is wrong: traffic passes." in shell.out
    assert shell("diagnose", "--json") == 0
    told = shell.json
    assert (told["mesh"], told["ok"], told["proven"], told["cause"]) == ("mesh1", True, True, None)
    assert told["traffic"]["cluster2"] == {"counts": {"v1": 4, "v2": 4}, "missing": [], "error": ""}


def test_the_cause_comes_first_with_what_to_paste_and_who_mends_it(shell: Shell) -> None:
    shell.outside.machines[1].unreachable = True
    assert shell("diagnose") == 4
    lines = shell.out.splitlines()
    assert lines[0].startswith("✘ cluster2: ")
    assert any(line.startswith("    asked for its version through context") for line in lines)
    assert "    kubectl --context=kubernetes-admin2@kubernetes get --raw /readyz" in lines
    assert "  More about it: docs/checks/api-server.md" in lines
    assert "? cluster2: no request could be sent" in shell.out
    assert "What is told first is the cause" in shell.out
    assert shell("diagnose", "--json") == 4
    cause = shell.json["cause"]
    assert (cause["check"], cause["cluster"], cause["severity"]) == ("api-server", "cluster2", "error")
    assert cause["breaks"] == [["cluster1", "cluster2"], ["cluster2", "cluster1"]]
    assert shell.json["findings"][0] == cause
    assert shell.json["traffic"]["cluster2"]["missing"] == ["v1", "v2"]


def test_our_step_that_mends_it_is_named_with_its_command(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, finding(step="cluster2/sample"))
    assert shell("diagnose") == 4
    assert f"  Mended by: meshwizard resume mesh1 --state-dir {shell.folder}/state" in shell.out
    assert shell("diagnose", "-f", shell.file) == 4
    assert f"  Mended by: meshwizard apply -f {shell.file} --state-dir {shell.folder}/state" in shell.out


def test_what_is_also_wrong_and_what_is_not_sure_come_after_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    also = finding("warning", text="it will end", evidence=("seen somewhere",))
    unsure = finding("unsure", text="it may be so", remedy="Look there.", evidence=("seen elsewhere",))
    found(monkeypatch, finding(), also, unsure)
    assert shell("diagnose") == 4
    assert shell.out.index("✘ it is broken") < shell.out.index("Also:") < shell.out.index("⚠ it will end")
    assert shell.out.index("⚠ it will end") < shell.out.index("? it may be so")
    assert "seen somewhere" not in shell.out
    assert "Look there." not in shell.out
    assert shell("-v", "diagnose") == 4
    assert "seen somewhere" in shell.out
    assert "Look there." in shell.out
    assert "seen elsewhere" in shell.out


def test_warnings_alone_are_told_and_no_failure(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, finding("warning", text="it will end"))
    assert shell("diagnose") == 0
    assert shell.out.startswith("⚠ it will end")
    assert "the warnings say what will go wrong" in shell.out


def test_traffic_that_does_not_pass_is_told_even_where_nobody_knows_why(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch)
    shell.break_gateway()
    assert shell("diagnose") == 4
    assert shell.out.startswith("✘ No cause was found for what does not pass: cluster1 → cluster2.")
    assert "✘ cluster1: heard v1" in shell.out
    assert "still missing v2" in shell.out
    assert shell("diagnose", "--json") == 4
    assert (shell.json["ok"], shell.json["proven"], shell.json["cause"]) == (False, False, None)


def test_where_no_client_can_ask_a_person_is_told_how_to_get_one(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)
    for machine in shell.outside.machines:
        machine.store.remove(Ref(DEPLOYMENT, "curl", "sample"))
        machine.settle()
    assert shell("diagnose") == 3
    assert "could not be tried whether traffic passes" in shell.out
    assert "meshwizard resume mesh1" in shell.out
    assert shell("diagnose", "--json") == 3
    assert (shell.json["ok"], shell.json["proven"]) == (False, None)


def test_only_the_traffic_in_question_counts(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, finding(cluster="cluster1", breaks=(("cluster1", "cluster2"),)))
    shell.break_gateway()
    assert shell("diagnose", "--from", "cluster2") == 0
    assert list(shell_json(shell, "--from", "cluster1")["traffic"]) == ["cluster1"]
    assert shell_json(shell, "--from", "cluster1", "--to", "cluster2")["cause"]["cluster"] == "cluster1"
    assert shell_json(shell, "--to", "cluster1")["proven"] is True
    assert shell("diagnose", "--from", "kubernetes-admin1@kubernetes", "--to", "cluster2") == 4
    assert shell("diagnose", "--from", "nobody") == 2
    assert "Its clusters are cluster1 and cluster2." in shell.err


def test_a_report_has_a_case_for_each_pair_and_each_finding(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, finding(), finding("warning", text="it will end"), finding("unsure"))
    shell.break_gateway()
    report = shell.folder / "report.xml"
    assert shell("diagnose", "--junit", report) == 4
    suite = ET.fromstring(report.read_text())  # noqa: S314 - written by us
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("6", "3", "0")
    failed = [case.attrib["name"] for case in suite if case.find("failure") is not None]
    assert failed[0] == "hears cluster2 (v2)"
    assert shell("diagnose", "--junit", shell.folder / "absent" / "report.xml") == 2
    (shell.folder / "folder").mkdir()
    assert shell("diagnose", "--junit", shell.folder / "folder") == 4
    assert "folder cannot be written" in shell.err


def test_a_mesh_is_named_in_one_way(shell: Shell) -> None:
    assert shell("diagnose", "mesh1", "-f", shell.file) == 2
    assert "each name a mesh" in shell.err
    assert shell("diagnose", "--kubeconfig", shell.file) == 2


def test_where_none_is_recorded_the_contexts_can_be_named(shell: Shell) -> None:
    assert shell("diagnose", "--state-dir", shell.folder / "none") == 2
    assert "no mesh is recorded" in shell.err
    assert "meshwizard diagnose --context A --context B" in shell.err


def test_traffic_is_asked_again_before_bad_luck_is_called_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import Counter

    from wizard.probes.traffic import Heard

    made = finished_mesh()
    rounds = {"cluster1": 0, "cluster2": 0}

    def unlucky(cluster: Any, namespace: str, requests: int) -> Heard:
        rounds[cluster.name] += 1
        return Heard(Counter(v1=requests) if rounds[cluster.name] < 2 else Counter(v2=requests))

    monkeypatch.setattr("wizard.operations.diagnosing.ask", unlucky)
    diagnosis = diagnosis_of(made.mesh, made.world.clusters, inferred=False)
    assert diagnosis.proven is True
    assert rounds == {"cluster1": 2, "cluster2": 2}


def test_of_some_traffic_only_what_concerns_it_is_told() -> None:
    made = finished_mesh(3)
    view = replace(view_of(made), traffic={"cluster1": Traffic(None)})
    pair: Pair = ("cluster1", "cluster2")
    touching = finding(cluster="cluster3", breaks=(pair,))
    about = finding("warning", cluster="cluster2", text="about it")
    other = finding(cluster="cluster3", breaks=(("cluster1", "cluster3"),), text="other")
    told = sorted_out(view, [other, about, touching], {pair})
    assert told.findings == (touching, about)
    assert pairs_between(made.mesh, None, None) is None
    assert pairs_between(made.mesh, "cluster1", "cluster2") == {pair}
    assert len(pairs_between(made.mesh, "cluster1", None) or ()) == 3


CONTEXTS = ("--context", "kubernetes-admin1@kubernetes", "--context", "kubernetes-admin2@kubernetes")


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Nothing is recorded, and the mesh is others' work."""
    made = made_by_hand()
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: made.outside)
    yield Shell(made.outside, tmp_path, capsys)


def test_a_mesh_of_others_is_diagnosed_by_its_contexts(theirs: Shell) -> None:
    assert theirs("diagnose", *CONTEXTS) == 0, theirs.out
    assert "✔ cluster2: heard v1 4× and v2 4×" in theirs.out
    assert theirs("diagnose", *CONTEXTS, "--from", "cluster1", "--json") == 0
    assert theirs.json["mesh"] == "mesh1"
    theirs.outside.machines[1].unreachable = True
    assert theirs("diagnose", *CONTEXTS, "--json") == 4
    assert (theirs.json["cause"]["check"], theirs.json["cause"]["cluster"]) == ("api-server", "cluster2")
    assert theirs.json["cause"]["step"] is None


def test_their_older_client_can_ask_as_well(theirs: Shell) -> None:
    for machine in theirs.outside.machines:
        machine.store.remove(Ref(DEPLOYMENT, "curl", "sample"))
        machine.settle()
        labels = {"app": "sleep"}
        container = {"name": "sleep", "image": "curlimages/curl", "command": ["/bin/sleep", "infinity"]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        machine.apply_as("kubectl", {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "sleep", "namespace": "sample"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        })  # fmt: skip
    assert theirs("diagnose", *CONTEXTS) == 0, theirs.out


def test_without_a_sample_nothing_is_proven_and_a_person_is_told_what_to_deploy(
    theirs: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch)
    for machine in theirs.outside.machines:
        machine.store.remove(Ref(SERVICE, "helloworld", "sample"))
    assert theirs("diagnose", *CONTEXTS) == 3
    assert "no helloworld runs in namespace sample" in theirs.out
    assert "Deploy Istio's samples helloworld" in theirs.out


def test_contexts_that_are_none_or_too_few_are_refused(theirs: Shell) -> None:
    assert theirs("diagnose", "--context", "kubernetes-admin1@kubernetes") == 2
    assert theirs("diagnose", "--context", "kubernetes-admin1@kubernetes", "--context", "nobody") == 2
    assert "these contexts are not there" in theirs.err


def shell_json(shell: Shell, *words: str) -> Any:
    shell("diagnose", "--json", *words)
    return shell.json


def finding(
    severity: Any = "error",
    *,
    text: str = "it is broken",
    cluster: str = "cluster2",
    breaks: tuple[Pair, ...] = (("cluster1", "cluster2"),),
    **more: Any,
) -> Finding:
    breaking = breaks if severity == "error" else ()
    return Finding(
        severity, text, check="api-server", cluster=cluster, layer="cluster", object="Thing x", breaks=breaking, **more
    )


def found(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    """Let the checks find just these."""
    monkeypatch.setattr(
        "wizard.operations.diagnosing.diagnose", lambda view, pairs: sorted_out(view, list(findings), pairs)
    )
