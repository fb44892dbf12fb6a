"""An istiod of somebody else that would inject our Pods, beside our own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.conftest import Setting, setting
from wizard.checks.finding import Finding
from wizard.checks.preflight import check
from wizard.clusters.kinds import Object
from wizard.mesh.model import Mesh
from wizard.plan import RIGHTS


def hook(name: str, namespaces: dict[str, list[str] | None], pods: dict[str, list[str] | None]) -> Object:
    """One of an injector's; a label without values is one that must not be there."""
    return {
        "name": f"{name}.sidecar-injector.istio.io",
        "clientConfig": {"service": {"name": "istiod", "namespace": "mesh-a", "path": "/inject"}},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "namespaceSelector": {"matchExpressions": [expression(*each) for each in namespaces.items()]},
        "objectSelector": {"matchExpressions": [expression(*each) for each in pods.items()]},
    }


def expression(key: str, values: list[str] | None) -> Object:
    if values is None:
        return {"key": key, "operator": "DoesNotExist"}
    return {"key": key, "operator": "In", "values": values}


def injector(
    made: Setting, revision: str = "default", name: str = "istio-sidecar-injector-mesh-a", **only: str
) -> None:
    """As Istio 1.29 makes it for a revision in namespace mesh-a; `only`: a label that namespaces must have."""
    hooks = [
        hook("rev.namespace", {"istio.io/rev": [revision], "istio-injection": None}, {}),
        hook("rev.object", {"istio.io/rev": None, "istio-injection": None}, {"istio.io/rev": [revision]}),
    ]
    if revision == "default":
        hooks.append(hook("namespace", {"istio-injection": ["enabled"]}, {}))
    for each in hooks:
        each["namespaceSelector"]["matchLabels"] = only
    ports = {"ports": [{"port": 443}]}
    place = {"name": "istiod", "namespace": "mesh-a"}
    machine = made.machine(1)
    machine.apply_as("helm", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mesh-a"}})
    machine.apply_as("helm", {"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": ports})
    machine.apply_as(
        "helm",
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name, "labels": {"app": "sidecar-injector"}},
            "webhooks": hooks,
        },
    )


def found(made: Setting, mesh: Mesh | None = None) -> list[Finding]:
    return [each for each in check(mesh or made.mesh, made.world, RIGHTS) if each.check == "injector"]


def revised(mesh: Mesh) -> Mesh:
    return replace(mesh, istio=replace(mesh.istio, revision="ours"))


def test_one_that_would_inject_the_gateway_is_told_before_anything_is_touched() -> None:
    made = setting()
    injector(made)
    (finding,) = found(made)
    assert (finding.cluster, finding.severity, finding.person) == ("cluster1", "error", True)
    assert (
        "istio-sidecar-injector-mesh-a, which leads to Service istiod in mesh-a, would inject our Pods" in finding.text
    )
    assert "istio.revision" in finding.remedy
    assert "delete mutatingwebhookconfiguration istio-sidecar-injector-mesh-a" in finding.remedy
    assert made.run().exit_code == 3
    assert made.outside.istioctl.installs <= 1  # that of the other cluster


def test_a_mesh_with_a_revision_is_none_of_its_business() -> None:
    made = setting()
    injector(made)
    assert found(made, revised(made.mesh)) == []


@pytest.mark.parametrize("revision", ["other", "ours"])
def test_one_of_a_revision_injects_what_asks_for_that_revision(revision: str) -> None:
    made = setting()
    injector(made, revision)
    assert bool(found(made, revised(made.mesh))) == (revision == "ours")
    assert found(made) == []


def test_one_that_selects_only_its_own_namespaces_is_no_complaint() -> None:
    made = setting()
    injector(made, team="shop")
    assert found(made) == []


def test_one_that_has_the_name_of_ours_is_the_conflict_of_the_install() -> None:
    made = setting()
    injector(made, name="istio-sidecar-injector")
    assert found(made) == []
    assert "istio-sidecar-injector is there already" in made.run().what


def test_our_own_is_no_complaint() -> None:
    made = setting()
    assert made.run().ok
    assert found(made) == []
