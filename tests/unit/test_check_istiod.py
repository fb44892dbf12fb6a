"""The check `istiod`."""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.diagnosis import diagnose
from wizard.checks.standing.view import View
from wizard.clusters.kinds import CLUSTER_ROLE_BINDING, DEPLOYMENT, POD, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE, Istio

ISTIOD = Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)
ALL = {(source, target) for source in ("cluster1", "cluster2") for target in ("cluster1", "cluster2")}


def scale(made: Setting, number: int, replicas: int, name: str = "istiod") -> None:
    ref = Ref(DEPLOYMENT, name, SYSTEM_NAMESPACE)
    made.machine(number).change(ref, lambda live: live["spec"].update(replicas=replicas))


def restart(made: Setting, number: int) -> None:
    machine = made.machine(number)
    with machine.settled():
        for pod in machine.listed(POD, SYSTEM_NAMESPACE, "app=istiod"):
            machine.store.remove(Ref(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE))


def test_of_istiods_that_run_nothing_is_said() -> None:
    for made in (finished_mesh(), finished_remote(), finished_remote(Istio(revision="canary"))):
        assert found(made, "istiod") == []


@pytest.mark.parametrize("revision", [None, "canary"])
def test_one_that_is_scaled_to_nothing_is_the_cause(revision: str | None) -> None:
    made = finished_remote(Istio(revision=revision))
    name = "istiod-canary" if revision else "istiod"
    scale(made, 1, 0, name)
    (one,) = found(made, "istiod")
    assert (one.severity, one.cluster, one.step) == ("error", "cluster1", None)
    assert one.object == f"Deployment {name} in istio-system"
    assert "is scaled to 0" in one.text
    assert set(one.breaks) == ALL
    tool = "kubectl --context=kubernetes-admin1@kubernetes -n istio-system"
    assert one.commands == (f"{tool} scale deployment {name} --replicas=1",)
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.object) == ("istiod", one.object)


def test_one_that_is_gone_comes_back_by_an_install() -> None:
    made = finished_mesh()
    machine = made.machine(2)
    theirs = machine.found(ISTIOD) or {}
    metadata = {"name": "istiod-theirs", "namespace": SYSTEM_NAMESPACE, "labels": {"app": "istiod"}}
    machine.apply_as("somebody", {key: theirs[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata})
    with machine.settled():
        machine.store.remove(ISTIOD)
    (one,) = found(made, "istiod")
    assert "is gone" in one.text
    assert (one.object, one.step) == (str(ISTIOD), "cluster2/install")


def test_one_that_others_named_is_found_by_its_label() -> None:
    made = finished_remote(Istio(revision="canary"))
    mesh = made.mesh.__class__("mesh1", made.mesh.clusters)  # nobody told of the revision
    findings = diagnose(View(mesh, made.world.clusters, inferred=True)).findings
    assert [each.object for each in findings if each.check == "istiod"] == []
    scale(made, 1, 0, "istiod-canary")
    findings = diagnose(View(mesh, made.world.clusters, inferred=True)).findings
    assert [each.object for each in findings if each.check == "istiod"] == ["Deployment istiod-canary in istio-system"]


def test_one_that_cannot_be_pulled_says_so() -> None:
    made = finished_mesh()
    made.machine(1).missing_images.add("docker.io/istio/pilot")
    restart(made, 1)
    (one,) = found(made, "istiod")
    assert (one.severity, one.object) == ("error", str(ISTIOD))
    assert "cannot be pulled" in one.text


def test_one_that_dies_of_its_certificates_names_them() -> None:
    made = finished_mesh()
    words = "Error: failed to create an istiod CA: cannot verify the cert with the provided root chain"
    made.machine(1).crashing["discovery"] = words
    restart(made, 1)
    (one,) = found(made, "istiod")
    assert one.object == "Secret cacerts in istio-system"
    assert "cannot verify the cert" in one.text


def test_some_replicas_that_are_not_ready_are_a_warning() -> None:
    made = finished_mesh()
    made.machine(1).missing_images.add("docker.io/istio/pilot")
    scale(made, 1, 2)
    (one,) = found(made, "istiod")
    assert (one.severity, one.breaks) == ("warning", ())
    assert "1 of 2 Pods" in one.text


def test_one_that_waits_for_its_rights_is_no_cause() -> None:
    made = finished_mesh()
    machine = made.machine(1)
    machine.missing_images.add("docker.io/istio/pilot")
    restart(made, 1)
    with machine.settled():
        machine.store.remove(Ref(CLUSTER_ROLE_BINDING, "istiod-clusterrole-istio-system"))
    (one,) = found(made, "istiod")
    assert one.severity == "warning"
    cause = whole(made).cause
    assert cause is not None
    assert cause.check == "istiod-rights"


def test_what_restarted_in_a_remote_meanwhile_is_its_consequence() -> None:
    made = finished_remote()
    scale(made, 1, 0)
    machine = made.machine(2)
    with machine.settled():
        for pod in machine.listed(POD, "sample", "app=helloworld"):
            machine.store.remove(Ref(POD, pod["metadata"]["name"], "sample"))
    told = whole(made)
    assert told.cause is not None
    assert (told.cause.check, told.cause.cluster) == ("istiod", "cluster1")
