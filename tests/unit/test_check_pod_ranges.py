"""The check `pod-ranges`."""

from __future__ import annotations

import pytest

from tests.unit.gateway_meshes import HEALTHY, one_network, pod_of
from tests.unit.standing import Setting, finished_mesh, found, whole
from wizard.clusters.kinds import NODE, Ref
from wizard.simulated.machine import Machine


def nodes_give(machine: Machine, cidr: str) -> None:
    (node,) = machine.listed(NODE)
    machine.change(Ref(NODE, node["metadata"]["name"]), lambda live: live["spec"].update(podCIDR=cidr, podCIDRs=[cidr]))


def has_address(made: Setting, number: int, app: str, address: str) -> None:
    machine, pod = made.machine(number), pod_of(made, number, app, "sample")
    machine.pod_addresses["sample", pod.name] = address
    machine.change(pod, lambda live: live["status"].update(podIP=address))


@pytest.mark.parametrize("kind", HEALTHY)
def test_of_ranges_that_differ_or_are_on_other_networks_nothing_is_said(kind: str) -> None:
    assert found(HEALTHY[kind](), "pod-ranges") == []


def test_ranges_that_are_given_out_twice_warn_once() -> None:
    made = one_network()
    for number in (1, 2):
        nodes_give(made.machine(number), "10.244.1.128/25")
        has_address(made, number, "curl", "10.244.1.200")
    (finding,) = found(made, "pod-ranges")
    assert (finding.severity, finding.cluster, finding.breaks) == ("warning", "cluster1", ())
    assert "10.244.1.128/25" in finding.object
    assert len(finding.commands) == 2


def test_a_server_whose_address_the_other_cluster_gives_out_is_not_reached_from_there() -> None:
    made = one_network()
    nodes_give(made.machine(1), "10.244.1.0/24")
    nodes_give(made.machine(2), "10.244.1.0/24")
    has_address(made, 2, "helloworld", "10.244.1.201")
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.severity) == ("pod-ranges", "error")
    assert ("cluster1", "cluster2") in cause.breaks


def test_ranges_that_no_pod_has_an_address_of_are_not_used() -> None:
    made = one_network()
    for number in (1, 2):
        nodes_give(made.machine(number), "10.99.0.0/24")
    assert found(made, "pod-ranges") == []


def test_nodes_without_ranges_tell_nothing() -> None:
    made = finished_mesh()
    nodes_give(made.machine(1), "nonsense")
    assert found(made, "pod-ranges") == []
