"""What overlays set, and what of it the wizard must know or refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from state import StateFolder
from tests.unit.conftest import Setting
from wizard.clusters.kinds import CONFIG_MAP, ISTIO_GATEWAY, Ref
from wizard.engine.step import Needed
from wizard.errors import BadInput
from wizard.istio.overlaid import domain_mistakes, matches
from wizard.istio.overlays import conflicting_overlays
from wizard.mesh.document import document_of, mesh_from
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.objects.eastwest import GATEWAY_SERVICE
from wizard.operations.prepared import prepare
from wizard.steps.expose import ExposeIstiod, ExposeServices


def operator(spec: object) -> str:
    return yaml.safe_dump({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec})


def domain(name: object) -> str:
    return operator({"values": {"global": {"proxy": {"clusterDomain": name}}}})


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(text)
        return path

    return write


def overlaid(mesh: Mesh, path: Path) -> Mesh:
    return replace(mesh, istio=replace(mesh.istio, overlays=(path,)))


def of_its_own(mesh: Mesh, number: int, *paths: Path) -> Mesh:
    return mesh.with_cluster(replace(mesh.clusters[number - 1], overlays=paths))


@pytest.mark.inputs("17")
def test_hosts_follow_the_cluster_domain(two: Setting, overlay: Callable[[str], Path]) -> None:
    usual = ExposeServices(two.mesh, two.mesh.clusters[0]).manifests()[0]["spec"]["servers"][0]["hosts"]
    two.mesh = overlaid(two.mesh, overlay(domain("corp.internal")))
    changed = ExposeServices(two.mesh, two.mesh.clusters[0]).manifests()[0]["spec"]["servers"][0]["hosts"]
    assert (usual, changed) == (["*.local"], ["*.corp.internal"])
    service = ExposeIstiod(two.mesh, two.mesh.clusters[0]).manifests()[1]["spec"]["tls"][0]["route"][0]["destination"]
    assert service["host"] == "istiod.istio-system.svc.corp.internal"
    assert two.run().ok, "the proxies of each cluster reach the others by that name"
    two.machine(1).change(
        Ref(ISTIO_GATEWAY, "cross-network-gateway", SYSTEM_NAMESPACE),
        lambda item: item["spec"]["servers"][0].update(hosts=["*.local"]),
    )
    assert isinstance(two.probe("cluster1/expose-services"), Needed)
    assert isinstance(two.probe("cluster2/verify"), Needed), (
        "as in a real mesh, what is named otherwise is not passed on"
    )


@pytest.mark.inputs("17")
def test_one_mesh_has_one_cluster_domain(two: Setting, overlay: Callable[[str], Path], tmp_path: Path) -> None:
    corp, again, bad = overlay(domain("corp.internal")), overlay(domain("corp.internal")), overlay(domain("corp_.x"))
    everywhere = of_its_own(of_its_own(two.mesh, 1, corp), 2, again)
    assert domain_mistakes(everywhere) == ()
    for mesh in (of_its_own(two.mesh, 2, corp), of_its_own(two.mesh, 1, bad), overlaid(two.mesh, bad)):
        with pytest.raises(BadInput) as caught:
            prepare(mesh, two.outside, StateFolder(tmp_path / "state"))
        assert "overlays" in caught.value.mistakes[0].path
        assert "domain" in caught.value.mistakes[0].text
    # The later file wins, and a cluster's own over the mesh's.
    both = of_its_own(overlaid(two.mesh, overlay(domain("first.internal"))), 1, corp)
    assert ExposeServices(both, both.clusters[0]).manifests()[0]["spec"]["servers"][0]["hosts"] == ["*.corp.internal"]


@pytest.mark.inputs("21")
def test_a_cluster_has_overlays_and_annotations_of_its_own(two: Setting, overlay: Callable[[str], Path]) -> None:
    file = overlay(operator({"meshConfig": {"accessLogFile": "/dev/stdout"}}))
    two.mesh = of_its_own(two.mesh, 2, file)
    internal = {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"}
    second = two.mesh.clusters[1]
    two.mesh = two.mesh.with_cluster(
        replace(second, gateway=replace(second.gateway, annotations=tuple(internal.items())))
    )
    assert mesh_from(document_of(two.mesh)) == two.mesh
    assert two.run().ok
    found = [made_annotations(two, number) for number in (1, 2)]
    assert internal.items() <= found[1].items()
    assert not internal.items() & found[0].items()
    configs = [two.machine(number).found(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)) for number in (1, 2)]
    assert ["accessLogFile" in (config or {})["data"]["mesh"] for config in configs] == [False, True]
    two.machine(2).change(GATEWAY_SERVICE, lambda item: item["metadata"]["annotations"].clear())
    probe = two.probe("cluster2/install")
    assert isinstance(probe, Needed)
    assert any("aws-load-balancer-scheme" in each.field for each in probe.differences)


def made_annotations(made: Setting, number: int) -> dict[str, str]:
    service = made.machine(number).found(GATEWAY_SERVICE)
    assert service is not None
    return service["metadata"].get("annotations") or {}


@pytest.mark.inputs("21")
def test_an_overlay_of_one_cluster_that_contradicts_is_named_by_its_place(
    two: Setting, overlay: Callable[[str], Path]
) -> None:
    (mistake,) = conflicting_overlays(of_its_own(two.mesh, 2, overlay(operator({"profile": "demo"}))))
    assert mistake.path == "clusters[1].overlays[0]"


SELECTED = {"matchLabels": {"istio-discovery": "enabled"}}
BY_NAME = {
    "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["sample", "istio-system"]}]
}


@pytest.mark.inputs("21")
def test_selectors_that_leave_our_namespaces_out_are_refused(
    two: Setting, overlay: Callable[[str], Path], tmp_path: Path
) -> None:
    def refused(spec: object) -> list[str]:
        mesh = overlaid(two.mesh, overlay(operator(spec)))
        try:
            prepare(mesh, two.outside, StateFolder(tmp_path / "state"))
        except BadInput as bad:
            return [f"{each.path} {each.text}" for each in bad.mistakes]
        return []

    told = refused({"meshConfig": {"discoverySelectors": [SELECTED]}})
    assert len(told) == 2
    assert all(each.startswith("istio.overlays[0] ") for each in told)
    assert "namespace istio-system" in told[0]
    assert "namespace sample" in told[1]
    assert len(refused({"values": {"meshConfig": {"discoverySelectors": [SELECTED]}}})) == 2
    assert refused({"meshConfig": {"discoverySelectors": [SELECTED, BY_NAME]}}) == []
    for number in (1, 2):
        for name in ("sample", "istio-system"):
            labels = {"istio-discovery": "enabled"}
            two.machine(number).apply_as(
                "kubectl", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            )
    assert refused({"meshConfig": {"discoverySelectors": [SELECTED]}}) == []


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Near"}]}, False),
        ("a=1", False),
    ],
)
def test_selectors_as_kubernetes_reads_them(selector: object, selected: bool) -> None:
    assert matches(selector, {"a": "1"}) is selected
