"""The main job on real clusters: from nothing to a verified mesh, again without a change, drift mended, and back to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import audit
from tests.lab.lab import Lab
from tests.lab.proc import wait_for
from tests.lab.wizard import Ran, Wizard, assert_as_before, assert_untouched, assert_verified
from wizard.istio.proxies import has_sidecar
from wizard.simulated import charts

pytestmark = [pytest.mark.lab, pytest.mark.in_order, pytest.mark.core]
GATEWAY = ("get", "deployment,service", "istio-eastwestgateway", "-n", "istio-system", "-o", "name")


class Mesh:
    """One mesh through its life; the tests below follow it in order."""

    def __init__(self, lab: Lab, home: Path) -> None:
        self.lab = lab
        self.before = [cluster.snapshot_objects() for cluster in lab.clusters]
        self.wizard = Wizard(lab, home)
        self.applied: Ran = self.wizard.apply()


@pytest.fixture(scope="module")
def mesh(module_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    yield Mesh(module_lab, tmp_path_factory.mktemp("home"))


@pytest.mark.proves("Multi-primary, node-port", aspect="traffic")
def test_from_nothing_to_verified(mesh: Mesh) -> None:
    assert mesh.applied.code == 0, mesh.applied.text
    assert_verified(mesh.wizard)


@pytest.mark.proves("Multi-primary, node-port", aspect="again")
def test_applied_again_it_changes_nothing(mesh: Mesh) -> None:
    marks = [cluster.audit_mark() for cluster in mesh.lab.clusters]
    again = mesh.wizard.apply()
    assert again.code == 0, again.text
    for cluster, mark in zip(mesh.lab.clusters, marks, strict=True):
        entries = cluster.audit_since(mark)
        assert entries, "the audit log saw nothing at all"
        assert [audit.describe(entry) for entry in cluster.mutations(mark)] == []
        assert len(cluster.kubectl(*GATEWAY).split()) == 2


def test_status_says_that_all_is_done(mesh: Mesh) -> None:
    status = mesh.wizard.run("status", "--json")
    assert status.code == 0, status.text
    assert status.json["finished"] is True
    assert {step["state"] for step in status.json["steps"]} == {"done"}


def test_verify_names_the_counts_of_each_version(mesh: Mesh) -> None:
    ran = mesh.wizard.run("verify", "--json")
    for cluster in ("cluster1", "cluster2"):
        counts = ran.json["clusters"][cluster]["counts"]
        assert counts["v1"] > 0
        assert counts["v2"] > 0


def test_a_finished_mesh_plans_nothing(mesh: Mesh) -> None:
    plan = mesh.wizard.run("plan", "-f", str(mesh.wizard.meshfile), "--json")
    assert plan.code == 0, plan.text
    assert plan.json["needed"] == 0
    assert "nothing to do" in mesh.wizard.run("plan", "-f", str(mesh.wizard.meshfile)).stdout


@pytest.mark.proves("One drifted label is shown alone and mended alone")
def test_one_drift_is_shown_and_mended_alone(mesh: Mesh) -> None:
    first, second = mesh.lab.clusters
    second.kubectl("label", "ns", "istio-system", "topology.istio.io/network=wrong", "--overwrite")
    plan = mesh.wizard.run("plan", "-f", str(mesh.wizard.meshfile), "--json").json
    needed = [step for step in plan["steps"] if step["state"] != "done"]
    assert [step["id"] for step in needed] == ["cluster2/namespace"]
    (difference,) = needed[0]["differences"]
    assert (difference["found"], difference["wanted"], difference["by"]) == ("wrong", "network2", "kubectl-label")
    marks = [cluster.audit_mark() for cluster in mesh.lab.clusters]
    mended = mesh.wizard.apply()
    assert mended.code == 0, mended.text
    assert first.work(marks[0]) == []
    (change,) = second.work(marks[1])
    assert (change["verb"], change["objectRef"]["resource"]) == ("patch", "namespaces")
    label = second.kubectl(
        "get", "ns", "istio-system", "-o", r"jsonpath={.metadata.labels.topology\.istio\.io/network}"
    )
    assert label == "network2"


def test_a_pod_that_was_made_while_nothing_injected_is_replaced(mesh: Mesh) -> None:
    """At its end an install switches injection off for a moment."""
    cluster = mesh.lab.clusters[0]
    tag = ("mutatingwebhookconfiguration", "istio-revision-tag-default")
    hooks = json.loads(cluster.kubectl("get", *tag, "-o", "json"))["webhooks"]

    def put(wanted: list[dict[str, Any]]) -> None:
        patch = json.dumps({"webhooks": wanted})
        cluster.kubectl("patch", *tag, "--type=merge", "--field-manager=istioctl", "-p", patch)

    def is_bare() -> bool:
        pods = json.loads(cluster.kubectl("get", "pods", "-n", "sample", "-l", "app=curl", "-o", "json"))["items"]
        if pods and not any(has_sidecar(pod) for pod in pods):
            return True
        cluster.kubectl("delete", "pods", "-n", "sample", "-l", "app=curl")
        return False

    put(charts.switched_off(hooks))
    try:
        wait_for("a client without a sidecar", is_bare, every=1.0)
    finally:
        put(hooks)
    mended = mesh.wizard.apply()
    assert mended.code == 0, mended.text
    assert_verified(mesh.wizard)


@pytest.mark.proves("A deleted state file: the mesh is adopted without a change")
def test_a_deleted_state_is_adopted_without_a_change(mesh: Mesh, tmp_path: Path) -> None:
    elsewhere = Wizard(mesh.lab, tmp_path)
    marks = [cluster.audit_mark() for cluster in mesh.lab.clusters]
    adopted = elsewhere.apply()
    assert adopted.code == 0, adopted.text
    assert_untouched(mesh.lab, marks)


@pytest.mark.proves("Multi-primary, node-port", aspect="uninstall")
def test_uninstall_leaves_what_was_there_before(mesh: Mesh) -> None:
    asked = mesh.wizard.run("uninstall")
    assert asked.code == 3, asked.text  # without a terminal nobody can consent
    undone = mesh.wizard.run("uninstall", "--yes")
    assert undone.code == 0, undone.text
    assert_as_before(mesh.lab, mesh.before)
