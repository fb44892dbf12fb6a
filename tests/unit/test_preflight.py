"""Preflight, settling and versions: what is wrong is told with its cure before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conftest import Setting, setting
from wizard.checks.check import Check
from wizard.checks.finding import Finding, Found
from wizard.checks.preflight import CHECKS, check
from wizard.clusters.kinds import NODE, Ref
from wizard.clusters.pods import pod_ranges
from wizard.clusters.port import Right
from wizard.errors import BadInput, NeedsPerson, Unreachable
from wizard.istio.overlays import unreadable_overlays
from wizard.istio.versions import kubernetes_trouble, minor_of, unsupported
from wizard.mesh.model import Cluster, Gateway, Mesh
from wizard.plan import RIGHTS
from wizard.resolve import check_istioctl, resolve
from wizard.simulated.outside import SimulatedOutside


def found(made: Setting, name: str) -> list[Finding]:
    return [finding for finding in check(made.mesh, made.world, RIGHTS) if finding.check == name]


def test_a_fit_cluster_has_no_complaint(two: Setting) -> None:
    assert {finding.severity for finding in check(two.mesh, two.world, RIGHTS)} == {"ok"}


def test_a_silent_cluster_is_one_finding_that_names_it(two: Setting) -> None:
    two.machine(2).unreachable = True
    (finding,) = [finding for finding in check(two.mesh, two.world, RIGHTS) if finding.severity == "error"]
    assert finding.cluster == "cluster2"
    assert finding.remedy


@pytest.mark.parametrize(
    ("seconds", "severity"), [(0, "ok"), (5, "ok"), (30, "warning"), (-30, "warning"), (90, "error")]
)
def test_clocks_that_differ_are_told_with_the_cure(two: Setting, seconds: int, severity: str) -> None:
    two.machine(1).clock_skew = seconds
    finding = found(two, "clock")[0]
    assert finding.severity == severity
    if severity != "ok":
        assert "timedatectl" in finding.remedy
        assert ("ahead of" if seconds > 0 else "behind") in finding.text


def test_missing_rights_are_named(two: Setting) -> None:
    right = next(
        right for right in RIGHTS if isinstance(right, Right) and right.kind.kind == "CustomResourceDefinition"
    )
    two.machine(1).missing_rights.add(str(right))
    finding = next(finding for finding in found(two, "rights") if finding.cluster == "cluster1")
    assert finding.severity == "error"
    assert "create customresourcedefinitions.apiextensions.k8s.io" in finding.text


def test_without_the_right_to_leases_a_mesh_can_be_made_all_the_same(two: Setting) -> None:
    two.machine(1).missing_rights.add("update leases.coordination.k8s.io")
    (finding,) = found(two, "leases")
    assert (finding.cluster, finding.severity) == ("cluster1", "warning")
    assert "may not update leases.coordination.k8s.io in kube-system" in finding.text
    assert {each.severity for each in found(two, "rights")} == {"ok"}
    assert two.run().ok


def test_one_cluster_under_two_contexts_is_refused(two: Setting) -> None:
    first = two.mesh.clusters[0]
    twice = replace(two.mesh, clusters=(first, replace(two.mesh.clusters[1], context=first.context)))
    two.mesh, two.world = twice, two.outside.world(twice)
    (finding,) = found(two, "identity")
    assert "cluster2 and cluster1 are one cluster" in finding.text


def test_a_node_port_that_is_taken_needs_a_person(two: Setting) -> None:
    two.world.clusters["cluster2"].apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "holder", "namespace": "default"},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31443}]},
        }
    )
    (finding,) = found(two, "gateway-port")
    assert finding.cluster == "cluster2"
    assert finding.person
    assert "Service holder in default" in finding.text
    assert two.run().exit_code == 3
    settled = resolve(
        replace(two.mesh, clusters=tuple(replace(cluster, gateway=Gateway()) for cluster in two.mesh.clusters)),
        two.world,
    )
    assert {cluster.gateway.port for cluster in settled.clusters} == {31444}


def test_a_gateway_address_of_no_node_is_a_warning(two: Setting) -> None:
    first = two.mesh.clusters[0]
    two.mesh = two.mesh.with_cluster(replace(first, gateway=replace(first.gateway, address="198.51.100.7")))
    (finding,) = found(two, "gateway-address")
    assert finding.severity == "warning"


def test_what_is_open_is_found_and_what_is_given_stays(two: Setting) -> None:
    first = two.mesh.clusters[0]
    given = two.mesh.with_cluster(replace(first, gateway=Gateway(address="198.51.100.7", port=30007)))
    settled = resolve(given, two.world)
    assert settled.clusters[0].gateway == Gateway(address="198.51.100.7", port=30007)
    assert settled.clusters[1].gateway == two.mesh.clusters[1].gateway


def test_a_silent_cluster_keeps_what_is_open_from_being_found(two: Setting) -> None:
    open_again = two.mesh.with_cluster(replace(two.mesh.clusters[1], gateway=Gateway()))
    two.machine(2).unreachable = True
    with pytest.raises(Unreachable, match="cluster2"):
        resolve(open_again, two.world)


def test_no_usable_node_address_needs_a_person(two: Setting) -> None:
    for node in two.world.clusters["cluster1"].objects(NODE):
        two.machine(1).change(Ref(NODE, node["metadata"]["name"]), lambda item: item["status"].update(addresses=[]))
    with pytest.raises(NeedsPerson, match=r"cluster1.*gateway.address|cluster1"):
        resolve(two.mesh.with_cluster(replace(two.mesh.clusters[0], gateway=Gateway())), two.world)


def test_another_istioctl_than_the_mesh_wants_is_bad_input() -> None:
    made = setting()
    with pytest.raises(BadInput, match=r"wants Istio 1\.28\.3"):
        check_istioctl(replace(made.mesh, istio=replace(made.mesh.istio, version="1.28.3")), made.world)


def test_overlays_are_read_before_anything_is_touched(two: Setting, tmp_path: Path) -> None:
    good, wrong = tmp_path / "good.yaml", tmp_path / "wrong.yaml"
    good.write_text("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {}\n")
    wrong.write_text("kind: ConfigMap\n")
    overlays = (good, wrong, tmp_path / "absent.yaml")
    mistakes = unreadable_overlays(replace(two.mesh, istio=replace(two.mesh.istio, overlays=overlays)))
    assert [mistake.path for mistake in mistakes] == ["istio.overlays[1]", "istio.overlays[2]"]


@pytest.mark.parametrize("version", ["1.8.6", "1.10.0", "2.0.0", "0.30.0", "rubbish", ""])
def test_versions_that_are_not_driven(version: str) -> None:
    assert unsupported(version)


@pytest.mark.parametrize("version", ["1.9.0", "1.26.0", "1.29.1", "1.30-alpha.abc", "1.31.0", "1.40.2"])
@pytest.mark.inputs("23")
def test_versions_that_are_driven(version: str) -> None:
    assert unsupported(version) is None


@pytest.mark.parametrize(("version", "told"), [("1.31.0", "newer than"), ("1.28.3", "only rendered"), ("1.29.1", "")])
@pytest.mark.inputs("23")
def test_an_istio_that_nobody_tried_is_a_warning(two: Setting, version: str, told: str) -> None:
    mesh = replace(two.mesh, istio=replace(two.mesh.istio, version=version))
    found = [finding for finding in check(mesh, two.world, RIGHTS) if finding.check == "istio"]
    assert [finding.severity for finding in found] == (["warning"] if told else [])
    assert all(told in finding.text for finding in found)


def test_kubernetes_and_istio_must_go_together() -> None:
    assert kubernetes_trouble("1.30.0", 31) == ("error", "Istio 1.30.0 needs Kubernetes 1.32 or newer, this is 1.31")
    assert kubernetes_trouble("1.29.1", 34) is None
    warning = kubernetes_trouble("1.29.1", 36)
    assert warning is not None
    assert warning[0] == "warning"
    assert minor_of("v1.34.4") == (1, 34)


def test_dates_carry_their_zone(two: Setting) -> None:
    date = two.world.clusters["cluster1"].version().date
    assert date is not None
    assert date.utcoffset() == timedelta(0)


def changed(made: Setting, number: int, **fields: object) -> Cluster:
    """Change a cluster of the mesh; gives what it was."""
    old = made.mesh.clusters[number - 1]
    made.mesh = made.mesh.with_cluster(replace(old, **fields))  # type: ignore[arg-type]
    return old


def test_a_mesh_of_one_network_has_no_gateway_to_complain_of(two: Setting) -> None:
    changed(two, 1, network="flat", gateway=Gateway("node-port", "198.51.100.7", 31443))
    changed(two, 2, network="flat")
    assert not found(two, "gateway-address")


@pytest.mark.parametrize(
    "gateway",
    [
        Gateway("load-balancer", "198.51.100.7"),
        Gateway("load-balancer", "lb.example.com"),
        Gateway("cluster-ip-route", "10.96.0.255", None, "192.0.2.11"),
    ],
)
def test_an_address_that_is_no_nodes_by_nature_is_no_complaint(two: Setting, gateway: Gateway) -> None:
    addresses = [
        address["address"]
        for node in two.world.clusters["cluster1"].objects(NODE)
        for address in node["status"]["addresses"]
    ]
    changed(two, 1, gateway=replace(gateway, node=gateway.node and addresses[0]))
    assert {finding.severity for finding in check(two.mesh, two.world, RIGHTS)} == {"ok"}


def test_a_way_over_a_node_that_is_none_is_a_warning(two: Setting) -> None:
    changed(two, 1, gateway=Gateway("cluster-ip-route", "10.96.0.255", None, "198.51.100.7"))
    (finding,) = found(two, "gateway-node")
    assert finding.severity == "warning"
    assert "198.51.100.7" in finding.text


def test_a_service_address_that_is_taken_needs_a_person(two: Setting) -> None:
    two.world.clusters["cluster1"].apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "holder", "namespace": "default"},
            "spec": {"clusterIP": "10.96.0.255", "ports": [{"port": 80}]},
        }
    )
    changed(two, 1, gateway=Gateway("cluster-ip-route", "10.96.0.255"))
    (finding,) = found(two, "gateway-address")
    assert finding.person
    assert "Service holder in default" in finding.text


def test_external_ips_that_are_refused_are_told_with_the_ways_out(two: Setting) -> None:
    address = str(two.mesh.clusters[0].gateway.address)
    changed(two, 1, gateway=Gateway("external-ips", address))
    assert not found(two, "external-ips")
    two.machine(1).no_external_ips = True
    (finding,) = found(two, "external-ips")
    assert finding.severity == "error"
    assert "denied" in finding.text
    assert "gateway.exposure" in finding.remedy


def test_nothing_is_asked_in_a_dry_run_where_the_gateway_stands(finished: Setting) -> None:
    address = str(finished.mesh.clusters[0].gateway.address)
    changed(finished, 1, gateway=Gateway("external-ips", address))
    before = finished.machine(1).asked.get("apply")
    check(finished.mesh, finished.world, RIGHTS)
    assert finished.machine(1).asked.get("apply") == before


def test_a_load_balancer_that_gave_nothing_so_far_is_a_warning(two: Setting) -> None:
    changed(two, 1, gateway=Gateway("load-balancer"))
    (finding,) = found(two, "load-balancer")
    assert (finding.cluster, finding.severity) == ("cluster1", "warning")
    two.machine(1).load_balancer = True
    two.world.clusters["cluster1"].apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "front", "namespace": "default"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        }
    )
    assert not found(two, "load-balancer")


def test_service_ranges_that_no_route_can_tell_apart_are_an_error(two: Setting) -> None:
    changed(two, 1, service_cidr="10.96.0.0/16", gateway=Gateway("cluster-ip-route", "10.96.0.255", None, "192.0.2.11"))
    (finding,) = found(two, "services")
    assert (finding.cluster, finding.severity) == ("cluster2", "error")
    assert "cluster1: their addresses 10.96.0.0/16 overlap with cluster2's own, 10.96.0.0/16" in finding.text
    changed(two, 1, service_cidr="10.98.0.0/16")
    assert not found(two, "services")


def flat_mesh(flat: bool) -> Setting:
    outside = SimulatedOutside(clusters=2, speed=0, flat=flat)
    clusters = tuple(
        Cluster(name=f"cluster{index}", context=entry.context, network="flat")
        for index, entry in enumerate(outside.contexts(), 1)
    )
    mesh = Mesh(name="mesh1", clusters=clusters)
    return Setting(outside, mesh, outside.world(mesh))


def test_pods_of_one_network_must_not_have_the_same_addresses() -> None:
    assert not found(flat_mesh(True), "pods")
    made = flat_mesh(False)
    (finding,) = found(made, "pods")
    assert (finding.cluster, finding.severity) == ("cluster2", "error")
    assert "cluster2 and cluster1 share network flat" in finding.text
    assert "10.244.0.2" in finding.text
    assert "different networks" in finding.remedy
    made.machine(1).unreachable = True
    assert not found(made, "pods")


def test_ranges_of_pods_are_joined_and_rubbish_is_left_out() -> None:
    class Nodes:
        name = "cluster1"

        def objects(self, kind: object) -> list[dict[str, object]]:
            specs: list[dict[str, object]] = [
                {"podCIDR": "10.244.0.0/24", "podCIDRs": ["10.244.0.0/24", "fd00::/64"]},
                {"podCIDR": "10.244.1.0/24"},
                {"podCIDR": "rubbish"},
                {},
            ]
            return [{"spec": spec} for spec in specs]

    assert pod_ranges(Nodes()) == ["10.244.0.0/23", "fd00::/64"]  # type: ignore[arg-type]


@pytest.mark.parametrize(("version", "told"), [("1.29.1", 0), ("1.26.0", 0), ("1.21.3", 1)])
def test_a_version_that_no_test_ran_is_a_warning_once(two: Setting, version: str, told: int) -> None:
    two.mesh = replace(two.mesh, istio=replace(two.mesh.istio, version=version))
    findings = found(two, "istio")
    assert [finding.severity for finding in findings] == ["warning"] * told


def test_every_check_has_an_id_of_its_own() -> None:
    ids = [each.id for each in CHECKS]
    assert len(set(ids)) == len(ids)


def test_a_finding_is_as_bad_as_its_check_unless_it_says_otherwise() -> None:
    check = Check("toy", "cluster", "warning", lambda _: ())
    assert check.finding(Found("odd"), "cluster1") == Finding("warning", "odd", check="toy", cluster="cluster1")
    assert check.finding(Found("well", severity="ok"), None) == Finding("ok", "well", check="toy", cluster=None)
