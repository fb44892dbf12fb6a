"""The check `server`."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.standing import Setting, finished_mesh, found, view_of
from tests.unit.standing_policies import found_in
from wizard.clusters.kinds import DEPLOYMENT, POD, SERVICE, Ref

HELLO = Ref(DEPLOYMENT, "helloworld-v2", "sample")


def scaled(made: Setting) -> None:
    made.machine(2).change(HELLO, lambda live: live["spec"].update(replicas=0))
    for pod in made.machine(2).listed(POD, "sample", "app=helloworld"):
        made.machine(2).store.remove(Ref(POD, pod["metadata"]["name"], "sample"))


def test_of_servers_that_are_ready_nothing_is_said() -> None:
    made = finished_mesh()
    assert found(made, "server") == []
    assert found_in(replace(view_of(made), inferred=True), "server") == []


def test_one_that_is_scaled_to_nothing_is_told() -> None:
    made = finished_mesh()
    scaled(made)
    (finding,) = found(made, "server")
    assert (finding.severity, finding.object) == ("error", "Deployment helloworld-v2 in sample")
    assert "scaled to 0" in finding.text
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster2")}
    assert finding.commands == (
        "kubectl --context=kubernetes-admin2@kubernetes -n sample scale deployment/helloworld-v2 --replicas=1",
    )
    assert finding.step == "cluster2/sample"
    assert found(made, "service") == []  # it selects what is not there


def test_a_pod_that_waits_is_told_with_what_for() -> None:
    made = finished_mesh()
    for pod in made.machine(1).listed(POD, "sample", "app=helloworld"):
        made.machine(1).missing_images.add("docker.io/istio/examples-helloworld")
        made.machine(1).store.remove(Ref(POD, pod["metadata"]["name"], "sample"))
    (finding,) = found(made, "server")
    assert "ImagePull" in finding.text
    assert "describe deployments,pods -l app=helloworld" in finding.commands[0]


def test_of_a_mesh_of_others_without_the_sample_nothing_is_said() -> None:
    made = finished_mesh()
    for number in (1, 2):
        made.machine(number).store.remove(Ref(SERVICE, "helloworld", "sample"))
        made.machine(number).store.remove(Ref(DEPLOYMENT, f"helloworld-v{number}", "sample"))
    assert found_in(replace(view_of(made), inferred=True), "server") == []
    assert len(found(made, "server")) == 2
