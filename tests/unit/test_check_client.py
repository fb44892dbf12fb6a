"""The check `client`."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.standing import finished_mesh, found, view_of, whole
from tests.unit.standing_policies import found_in, heard, put
from wizard.clusters.kinds import DEPLOYMENT, Ref

CURL = Ref(DEPLOYMENT, "curl", "sample")


def test_of_clients_that_run_nothing_is_said() -> None:
    made = finished_mesh()
    assert found(made, "client") == []
    assert found_in(replace(view_of(made), inferred=True), "client") == []


def test_one_that_is_gone_is_the_cause() -> None:
    made = finished_mesh()
    made.machine(1).store.remove(CURL)
    (finding,) = found(made, "client")
    assert (finding.severity, finding.object) == ("error", "Deployment curl in sample")
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster1", "cluster1")}
    assert "it is missing" in finding.text
    cause = whole(made).cause
    assert cause is not None
    assert cause.check == "client"


def test_of_a_mesh_of_others_it_says_nothing_for_sure() -> None:
    made = finished_mesh()
    made.machine(1).store.remove(CURL)
    assert [each.severity for each in found_in(replace(view_of(made), inferred=True), "client")] == ["unsure"]


def test_the_client_of_istios_older_samples_stands_for_it() -> None:
    made = finished_mesh()
    made.machine(1).store.remove(CURL)
    made.machine(1).settle()
    container = {"name": "sleep", "image": "curlimages/curl"}
    template = {"metadata": {"labels": {"app": "sleep"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "sleep"}}, "template": template}
    put(made, 1, DEPLOYMENT, spec, name="sleep")
    assert found_in(replace(view_of(made), inferred=True), "client") == []
    (finding,) = found_in(heard(made, {"cluster1": ["cluster2"]}, "RBAC: access denied"), "answer")
    assert finding.object == "Deployment sleep in sample"
    assert "exec deploy/sleep -c sleep --" in finding.commands[0]
