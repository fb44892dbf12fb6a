"""The check `istiod-rights`."""

from __future__ import annotations

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.diagnosis import diagnose
from wizard.checks.standing.view import View
from wizard.clusters.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, DEPLOYMENT, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE, Istio

ROLE = Ref(CLUSTER_ROLE, "istiod-clusterrole-istio-system")
BINDING = Ref(CLUSTER_ROLE_BINDING, "istiod-clusterrole-istio-system")
ALL = {(source, target) for source in ("cluster1", "cluster2") for target in ("cluster1", "cluster2")}


def without(made: Setting, *resources: str, number: int = 1) -> None:
    def edit(role: Object) -> None:
        for rule in role["rules"]:
            rule["resources"] = [each for each in rule["resources"] if each not in resources]

    made.machine(number).change(ROLE, edit)


def test_of_istios_own_rights_nothing_is_said() -> None:
    for made in (finished_mesh(), finished_remote(), finished_remote(Istio(revision="canary"))):
        assert found(made, "istiod-rights") == []
    made = made_by_hand()
    findings = diagnose(View(made.mesh, made.world.clusters, inferred=True)).findings
    assert [each for each in findings if each.check == "istiod-rights"] == []


@pytest.mark.parametrize("resource", ["pods", "namespaces", "tokenreviews", "customresourcedefinitions"])
def test_a_role_that_was_trimmed_is_named(resource: str) -> None:
    made = finished_remote()
    without(made, resource)
    (one,) = found(made, "istiod-rights")
    assert (one.severity, one.cluster, one.step) == ("error", "cluster1", None)
    assert one.object == "ClusterRole istiod-clusterrole-istio-system"
    assert resource in one.text
    assert set(one.breaks) == ALL
    tool = "kubectl --context=kubernetes-admin1@kubernetes"
    assert one.commands[0] == f"{tool} auth can-i list services --as=system:serviceaccount:istio-system:istiod"
    cause = whole(made).cause
    assert cause is not None
    assert cause.check == "istiod-rights"


def test_what_another_role_gives_as_well_is_no_lack() -> None:
    made = finished_mesh()
    without(made, "services")  # which the role for gateways gives, too
    without(made, "secrets", number=2)  # which are read in its own namespace
    without(made, "endpoints", number=2)  # instead of which it reads slices
    assert found(made, "istiod-rights") == []


def test_endpoints_were_once_enough() -> None:
    made = finished_mesh()
    without(made, "endpointslices")
    (one,) = found(made, "istiod-rights")
    assert "endpointslices.discovery.k8s.io" in one.text

    def older(istiod: Object) -> None:
        istiod["spec"]["template"]["spec"]["containers"][0]["image"] = "docker.io/istio/pilot:1.18.7"

    made.machine(1).change(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE), older)
    assert found(made, "istiod-rights") == []


def test_everything_may_be_given_at_once() -> None:
    made = finished_mesh()
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    made.machine(1).change(ROLE, lambda role: role.update(rules=[rule]))
    assert found(made, "istiod-rights") == []


def test_a_binding_for_the_groups_of_its_account_does() -> None:
    made = finished_mesh()
    subject = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:serviceaccounts:istio-system"}
    made.machine(1).change(BINDING, lambda binding: binding.update(subjects=[subject]))
    assert found(made, "istiod-rights") == []


def remove(made: Setting, ref: Ref) -> None:
    machine = made.machine(2)
    with machine.settled():
        machine.store.remove(ref)


@pytest.mark.parametrize("ref", [ROLE, BINDING])
def test_what_is_gone_comes_back_by_an_install(ref: Ref) -> None:
    made = finished_mesh()
    remove(made, ref)
    (one,) = found(made, "istiod-rights")
    assert (one.object, one.step) == (str(ref), "cluster2/install")
    assert "is gone" in one.text


def test_a_binding_for_somebody_else_is_named() -> None:
    made = finished_mesh()
    made.machine(1).change(BINDING, lambda binding: binding["subjects"][0].update(name="other"))
    (one,) = found(made, "istiod-rights")
    assert (one.object, one.step) == (str(BINDING), None)
