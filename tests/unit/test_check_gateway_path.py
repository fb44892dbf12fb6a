"""The checks `gateway-path`, `gateway-pods`, `gateway-listener` and `gateway-policy`: does the next connection get through?"""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.clusters.kinds import DEPLOYMENT, Ref
from wizard.objects.eastwest import GATEWAY, GATEWAY_SERVICE

CHECKS = ("gateway-path", "gateway-pods", "gateway-listener", "gateway-policy")
INTO = (("cluster1", "cluster2"),)


@pytest.mark.parametrize("check", CHECKS)
def test_of_a_healthy_mesh_nothing_is_said(check: str) -> None:
    for made in (finished_mesh(3), finished_remote()):
        assert found(made, check, traffic=True) == []


def test_a_port_that_is_dropped_is_named_by_its_address() -> None:
    made = finished_mesh()
    made.machine(2).blocked_ports = {31443}
    (one,) = found(made, "gateway-path")
    assert "nothing answers cluster1 at 192.0.2.12:31443, the gateway of cluster2" in one.text
    assert (one.severity, one.breaks) == ("error", INTO)
    assert one.evidence[0].startswith("TLS to 192.0.2.12:31443 from Pod curl-")


def test_a_gateway_that_closes_is_only_a_guess() -> None:
    made = finished_mesh()
    server = Ref(DEPLOYMENT, "helloworld-v2", "sample")
    made.machine(2).change(server, lambda live: live["spec"].update(replicas=0))
    (one,) = found(made, "gateway-path")
    assert "it has nobody to pass it on to" in one.text
    assert (one.severity, one.breaks) == ("unsure", INTO)


def test_what_others_of_the_layer_find_is_named_before_what_follows_from_it() -> None:
    made = finished_mesh()
    made.machine(2).store.remove(GATEWAY_SERVICE)
    diagnosis = whole(made)
    assert diagnosis.cause is not None
    assert diagnosis.cause.check == "gateway-service"
    assert "gateway-path" in [each.check for each in diagnosis.also]


def off(made: Setting) -> None:
    made.machine(2).change(GATEWAY, lambda live: live["spec"].update(replicas=0))


def test_a_gateway_without_pods_is_not_tried() -> None:
    made = finished_mesh()
    off(made)
    assert found(made, "gateway-path") == []


def test_a_network_policy_that_closes_the_gateway_is_named() -> None:
    made = finished_mesh()
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed", "namespace": "istio-system"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    made.machine(2).apply_as("kubectl", policy)
    (one,) = found(made, "gateway-policy")
    assert "NetworkPolicy closed" in one.text
    assert (one.severity, one.breaks) == ("error", INTO)
    policy["spec"] = {"podSelector": {}, "ingress": [{"ports": [{"port": 15443}]}]}
    made.machine(2).apply_as("kubectl", policy)
    assert found(made, "gateway-policy") == []
