"""What is asked of a cluster, what is proposed, and why."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.clusters.contexts import ContextFacts
from wizard.clusters.kinds import SERVICE, Ref
from wizard.facts import facts_of
from wizard.mesh.rules import serves_remotes
from wizard.proposal import propose_exposure, worth_asking
from wizard.simulated.outside import SimulatedOutside

BALANCED = ContextFacts(True, load_balancer="Service web in shop has 192.0.2.200")


@pytest.mark.parametrize(
    ("facts", "serving", "exposure", "why"),
    [
        (None, False, "node-port", "no load balancer was seen"),
        (ContextFacts(True), True, "external-ips", "15012 and 15017"),
        (BALANCED, False, "load-balancer", "Service web in shop has 192.0.2.200"),
        (BALANCED, True, "load-balancer", "Service web in shop has 192.0.2.200"),
    ],
)
def test_the_exposure_proposed_has_a_reason(facts: ContextFacts | None, serving: bool, exposure: str, why: str) -> None:
    proposed, reason = propose_exposure(facts, serving)
    assert proposed == exposure
    assert why in reason


def test_a_load_balancer_is_seen_by_an_address_that_it_gave() -> None:
    outside = SimulatedOutside(speed=0)
    machine = outside.machines[0]
    cluster = outside.cluster("cluster1", machine.context)
    assert facts_of(cluster).load_balancer == ""
    ref = Ref(SERVICE, "web", "default")
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }  # fmt: skip
    machine.apply_as("kubectl", service)
    assert facts_of(cluster).load_balancer == "", "asked for is not given"

    def give(service: dict[str, Any]) -> None:
        service["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com\x1b[2J"}]}}

    machine.change(ref, give)
    told = facts_of(cluster).load_balancer
    assert told.startswith("Service web in default has lb.example.com") and "\x1b" not in told


def cluster(number: int, **changes: Any) -> dict[str, Any]:
    return {"name": f"cluster{number}", "network": f"network{number}", **changes}


def asked(index: int, *clusters: dict[str, Any], topology: str = "primary-remote") -> set[str]:
    keys = (
        "name", "role", "primary", "discoveryAddress", "gateway.exposure", "gateway.address", "gateway.port", "gateway.node",
        "serviceCidr",
    )  # fmt: skip
    document = {"topology": topology, "clusters": list(clusters)}
    return {key for key in keys if worth_asking(key, clusters[index], document)}


GATEWAY = {"gateway.exposure", "gateway.address"}


def test_only_what_makes_sense_is_asked() -> None:
    assert asked(0, cluster(1), cluster(2), topology="multi-primary") == {"name", "gateway.port"} | GATEWAY
    remote = cluster(2, role="remote")
    assert asked(0, cluster(1), remote) == {"name", "role"} | GATEWAY, "external-ips has no NodePort"
    assert asked(1, cluster(1), remote) == {"name", "role", "discoveryAddress", "gateway.port"} | GATEWAY
    assert "primary" in asked(2, cluster(1), cluster(3), remote)
    routed = cluster(1, gateway={"exposure": "cluster-ip-route"})
    assert asked(0, routed, cluster(2)) == {"name", "role", "gateway.node", "serviceCidr"} | GATEWAY


def test_a_gateway_is_asked_for_only_where_there_is_one() -> None:
    lan = {"network": "lan"}
    assert asked(0, cluster(1, **lan), cluster(2, **lan), topology="multi-primary") == {"name"}
    remote = cluster(2, role="remote", **lan)
    assert asked(0, cluster(1, **lan), remote) >= GATEWAY
    assert asked(1, cluster(1, **lan), remote) == {"name", "role", "discoveryAddress"}


def test_remotes_that_ask_elsewhere_are_not_served_by_the_gateway() -> None:
    remote = cluster(2, role="remote")
    assert serves_remotes(cluster(1), [cluster(1), remote])
    assert not serves_remotes(cluster(1), [cluster(1), {**remote, "discoveryAddress": "10.0.0.9"}])
    assert not serves_remotes(remote, [cluster(1), remote])
