"""The check `api-server`."""

from __future__ import annotations

from tests.unit.standing import finished_mesh, found, whole


def test_of_clusters_that_answer_nothing_is_said() -> None:
    assert found(finished_mesh(), "api-server") == []


def test_one_that_does_not_answer_is_the_cause_and_asked_no_more() -> None:
    made = finished_mesh()
    made.machine(2).unreachable = True
    diagnosis = whole(made)
    assert diagnosis.cause is not None
    assert (diagnosis.cause.check, diagnosis.cause.cluster) == ("api-server", "cluster2")
    assert "192.0.2.12:6443" in diagnosis.cause.object
    assert diagnosis.cause.commands == ("kubectl --context=kubernetes-admin2@kubernetes get --raw /readyz",)
    assert [each.check for each in diagnosis.findings if each.cluster == "cluster2"] == ["api-server"]
