"""The check `same-cluster`."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.standing import finished_mesh, found
from wizard.checks.standing.diagnosis import diagnose
from wizard.checks.standing.view import View


def test_of_clusters_of_their_own_nothing_is_said() -> None:
    assert found(finished_mesh(), "same-cluster") == []


def test_two_contexts_of_one_cluster_are_told_at_the_second() -> None:
    made = finished_mesh()
    view = View(made.mesh, {**made.world.clusters, "cluster2": made.world.cluster("cluster1")})
    (one,) = (each for each in diagnose(view).findings if each.check == "same-cluster")
    assert (one.severity, one.cluster) == ("error", "cluster2")
    assert one.object == "context kubernetes-admin2@kubernetes"
    assert one.breaks == (("cluster1", "cluster2"), ("cluster2", "cluster1"))
    assert one.commands[0].startswith("kubectl --context=kubernetes-admin1@kubernetes get namespace kube-system")


def test_of_one_that_does_not_answer_its_own_finding_tells() -> None:
    made = finished_mesh()
    made.machine(1).unreachable = True
    found = [each.check for each in diagnose(View(replace(made.mesh), made.world.clusters)).findings]
    assert found.count("api-server") == 1
    assert "same-cluster" not in found
