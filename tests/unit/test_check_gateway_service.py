"""The check `gateway-service`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.gateway_meshes import GATEWAY, HEALTHY, finished, judged, pod_of
from tests.unit.standing import Setting, finished_mesh, found, whole
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, NODE, Object, Ref
from wizard.mesh.model import NETWORK_LABEL

CONFIG = Ref(CONFIG_MAP, "istio", "istio-system")


def spec(**fields: object) -> Callable[[Object], None]:
    return lambda live: live["spec"].update(fields)


def with_addresses(made: Setting, *addresses: str) -> Setting:
    """The second cluster's gateway is wanted at these."""
    member = made.mesh.clusters[1]
    gateway = replace(member.gateway, address=addresses[0], more=addresses[1:])
    return Setting(made.outside, made.mesh.with_cluster(replace(member, gateway=gateway)), made.world)


def another_node(made: Setting, address: str) -> None:
    """The second cluster has one more node, on which no gateway runs."""
    status = {
        "addresses": [{"type": "InternalIP", "address": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    made.machine(2).apply_as(
        "kubelet", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "more"}, "status": status}
    )


@pytest.mark.parametrize("kind", HEALTHY)
def test_of_services_that_lead_to_their_gateways_nothing_is_said(kind: str) -> None:
    assert found(HEALTHY[kind](), "gateway-service") == []


def test_of_services_that_others_made_nothing_is_said() -> None:
    assert judged(made_by_hand(), "gateway-service") == []


def test_one_that_is_gone_is_the_cause() -> None:
    made = finished_mesh()
    made.machine(2).store.remove(GATEWAY)
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.object) == ("gateway-service", "Service istio-eastwestgateway in istio-system")
    assert (cause.cluster, cause.step) == ("cluster2", "cluster2/install")
    assert cause.breaks == (("cluster1", "cluster2"),)


def test_another_node_port_is_the_cause() -> None:
    made = finished_mesh()
    made.machine(2).change(GATEWAY, lambda live: live["spec"]["ports"][0].update(nodePort=31999))
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.short) == ("gateway-service", "NodePort changed")
    assert "31999" in cause.text
    assert str(made.mesh.clusters[1].gateway.port) in cause.text


def test_a_selector_that_no_pod_has_leads_nowhere() -> None:
    made = finished_mesh()
    made.machine(2).change(GATEWAY, spec(selector={"istio": "nothing"}))
    cause = whole(made).cause
    assert cause is not None
    assert cause.check == "gateway-service"
    assert "istio=nothing" in cause.text


def test_without_pods_the_selector_is_not_judged() -> None:
    made = finished_mesh()
    made.machine(2).change(GATEWAY, spec(selector={"istio": "nothing"}))
    made.machine(2).change(Ref(DEPLOYMENT, GATEWAY.name, GATEWAY.namespace), spec(replicas=0))
    assert found(made, "gateway-service") == []


def test_without_port_15443_nobody_comes_in() -> None:
    made = finished("external-ips")
    made.machine(2).change(GATEWAY, spec(ports=[{"name": "tls", "port": 15444, "targetPort": 15443}]))
    (finding,) = found(made, "gateway-service")
    assert "has no port 15443" in finding.text


def test_a_type_that_keeps_the_node_port_is_no_fault() -> None:
    made = finished_mesh()
    made.machine(2).change(GATEWAY, spec(type="LoadBalancer"))
    assert found(made, "gateway-service") == []


def test_a_type_without_node_ports_is_one() -> None:
    made = finished_mesh()
    made.machine(2).change(GATEWAY, spec(type="ClusterIP"))
    (finding,) = found(made, "gateway-service")
    assert "has NodePort none" in finding.text


def test_external_addresses_that_are_lost_are_named() -> None:
    made = finished("external-ips")
    made.machine(2).change(GATEWAY, lambda live: live["spec"].pop("externalIPs"))
    (finding,) = found(made, "gateway-service")
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert made.machine(2).node_address in finding.text


def test_one_lost_address_of_two_is_a_warning() -> None:
    made = finished("external-ips")
    (finding,) = found(with_addresses(made, made.machine(2).node_address, "192.0.2.99"), "gateway-service")
    assert (finding.severity, finding.breaks) == ("warning", ())
    assert "192.0.2.99" in finding.text


def test_another_address_of_its_own_is_not_where_others_look() -> None:
    made = finished("cluster-ip-route")
    (finding,) = found(with_addresses(made, "10.97.0.200"), "gateway-service")
    assert "look for its gateway at 10.97.0.200" in finding.text


def test_a_load_balancer_that_gives_nothing_is_told() -> None:
    made = finished("load-balancer")
    made.machine(2).load_balancer = False
    made.machine(2).change(GATEWAY, lambda live: live.update(status={"loadBalancer": {}}))
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.short) == ("gateway-service", "load balancer gave no address")
    assert cause.commands[0].endswith("describe service istio-eastwestgateway")


def test_local_traffic_alone_is_dropped_by_nodes_without_a_gateway() -> None:
    made = finished_mesh()
    made.machine(2).change(GATEWAY, spec(externalTrafficPolicy="Local"))
    assert found(made, "gateway-service") == []  # its only node has one
    another_node(made, "192.0.2.99")
    (some,) = found(with_addresses(made, made.machine(2).node_address, "192.0.2.99"), "gateway-service")
    assert (some.severity, some.breaks) == ("warning", ())
    (every,) = found(with_addresses(made, "192.0.2.99"), "gateway-service")
    assert (every.severity, every.breaks) == ("error", (("cluster1", "cluster2"),))
    assert "externalTrafficPolicy Local" in every.text


def labelled_alone(made: Setting) -> None:
    """The second cluster's gateway is only known by its label."""
    made.machine(2).change(GATEWAY, lambda live: live["metadata"]["labels"].update({NETWORK_LABEL: "network2"}))
    for number in (1, 2):
        made.machine(number).change(CONFIG, lambda live: live["data"].update(meshNetworks="networks: {}"))


def test_a_labelled_gateway_on_node_ports_is_found_by_nobody() -> None:
    made = made_by_hand()
    labelled_alone(made)
    told = [each for each in judged(made, "gateway-service") if each.cluster == "cluster2"]
    assert [(each.severity, each.breaks) for each in told] == [("error", (("cluster1", "cluster2"),))]
    assert "addresses of nodes are found only where they are ExternalIPs" in told[0].text


def test_with_nodes_that_have_external_addresses_it_is_found() -> None:
    made = made_by_hand()
    labelled_alone(made)
    (node,) = made.machine(2).listed(NODE)
    more = {"type": "ExternalIP", "address": "203.0.113.7"}
    made.machine(2).change(Ref(NODE, node["metadata"]["name"]), lambda live: live["status"]["addresses"].append(more))
    made.machine(2).change(
        GATEWAY,
        lambda live: live["metadata"].setdefault("annotations", {}).update({"traffic.istio.io/nodeSelector": "{}"}),
    )
    assert [each for each in judged(made, "gateway-service") if each.cluster == "cluster2"] == []


def test_others_may_have_called_it_differently() -> None:
    made = made_by_hand()
    machine = made.machine(2)
    live = machine.found(GATEWAY)
    assert live is not None
    other = {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "theirs", "namespace": GATEWAY.namespace, "labels": {NETWORK_LABEL: "network2"}},
        "spec": {"type": "NodePort", "ports": [{"name": "tls", "port": 15443}], "selector": {"istio": "nothing"}},
    }  # fmt: skip
    machine.store.remove(GATEWAY)
    machine.apply_as("somebody", other)
    (finding,) = judged(made, "gateway-service")
    assert finding.object == "Service theirs in istio-system"
    assert pod_of(made, 2, "istio-eastwestgateway")
