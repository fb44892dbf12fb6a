"""The check `mesh-networks`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.gateway_meshes import GATEWAY, HEALTHY, judged
from tests.unit.standing import Setting, finished_mesh, found, view_of, whole
from wizard import yamltext
from wizard.checks.standing.networks import Written, written
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, Object, Ref
from wizard.mesh.model import Mesh

CONFIG = Ref(CONFIG_MAP, "istio", "istio-system")
ISTIOD = Ref(DEPLOYMENT, "istiod", "istio-system")


def networks(change: Callable[[Object], object]) -> Callable[[Object], None]:
    """A change of the networks in ConfigMap istio."""

    def edit(live: Object) -> None:
        content = yamltext.load(live["data"]["meshNetworks"])
        change(content["networks"])
        live["data"]["meshNetworks"] = yamltext.dump(content)

    return edit


def text(content: str) -> Callable[[Object], None]:
    def edit(live: Object) -> None:
        live["data"]["meshNetworks"] = content

    return edit


def read(made: Setting, content: str) -> Written:
    """What is made of this text."""
    machine = made.machine(1)
    before = machine.found(CONFIG)
    assert before is not None
    kept = before["data"]["meshNetworks"]
    machine.change(CONFIG, text(content))
    told = written(view_of(made).at("cluster1"))
    machine.change(CONFIG, text(kept))
    assert told is not None
    return told


@pytest.fixture(scope="module")
def standing() -> Setting:
    return finished_mesh()


@pytest.mark.parametrize("kind", HEALTHY)
def test_of_a_mesh_that_leads_where_it_should_nothing_is_said(kind: str) -> None:
    assert found(HEALTHY[kind](), "mesh-networks") == []


def test_a_network_without_gateway_is_the_cause() -> None:
    made = finished_mesh()
    made.machine(1).change(CONFIG, networks(lambda all_of_them: all_of_them.pop("network2")))
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object) == (
        "mesh-networks", "cluster1", "ConfigMap istio in istio-system",
    )  # fmt: skip
    assert cause.breaks == (("cluster1", "cluster2"),)
    assert cause.step == "cluster1/mesh-networks"
    assert "no gateway for network network2" in cause.text
    assert cause.commands[0].startswith(
        "kubectl --context=kubernetes-admin1@kubernetes -n istio-system get configmap istio"
    )


def test_another_port_than_the_gateways_is_the_cause_and_the_right_one_is_told() -> None:
    made = finished_mesh()
    made.machine(1).change(CONFIG, networks(lambda told: told["network2"]["gateways"][0].update(port=15999)))
    cause = whole(made).cause
    assert cause is not None
    assert cause.check == "mesh-networks"
    wanted = f"{made.machine(2).node_address}:{made.mesh.clusters[1].gateway.port}"
    assert "15999" in cause.text
    assert wanted in cause.remedy


def test_one_gateway_too_many_is_a_warning_that_breaks_nothing_for_sure() -> None:
    made = finished_mesh()
    more = {"address": "192.0.2.99", "port": 15443}
    made.machine(1).change(CONFIG, networks(lambda told: told["network2"]["gateways"].append(more)))
    (finding,) = found(made, "mesh-networks")
    assert (finding.severity, finding.breaks) == ("warning", ())
    assert "192.0.2.99:15443" in finding.text


def test_the_port_of_a_service_is_told_as_such() -> None:
    made = finished_mesh()
    made.machine(1).change(CONFIG, networks(lambda told: told["network2"]["gateways"][0].update(port=15443)))
    (finding,) = found(made, "mesh-networks")
    assert "15443 is the port of the gateway's Service" in finding.text


def test_a_port_that_changed_on_the_service_is_no_fault_of_the_config_map() -> None:
    made = finished_mesh()
    made.machine(2).change(GATEWAY, lambda live: live["spec"]["ports"][0].update(nodePort=31999))
    assert found(made, "mesh-networks") == []


@pytest.mark.parametrize(
    "content",
    [
        "networks: [",
        "networks: 7",
        "just a text",
        "network2: {}",
        "networks: {network2: [1]}",
        "networks: {network2: {gateways: {address: 192.0.2.1}}}",
        "networks: {network2: {gateways: [{address: 192.0.2.1, port: 99999}]}}",
        "networks: {network2: {gateways: [{port: 15443}]}}",
        "networks: {network2: {endpoints: [{fromCidr: 10.0.0.0/99}]}}",
    ],
)
def test_what_istiod_refuses_is_known(standing: Setting, content: str) -> None:
    assert read(standing, content).problem


@pytest.mark.parametrize(
    "content",
    [
        "",
        "networks:",
        "networks: {network2: }",
        "networks: {network2: {gateways: [{registryServiceName: a.b.svc.cluster.local, port: '15443'}]}}",
        "networks: {network2: {endpoints: [{fromCidr: 10.0.0.1/8}], gateways: [{address: gateway.example, port: 15443}]}}",
    ],
)
def test_what_istiod_takes_is_no_problem(standing: Setting, content: str) -> None:
    assert not read(standing, content).problem


def test_what_cannot_be_read_is_told_and_breaks_what_istiod_has_no_gateway_for() -> None:
    made = finished_mesh()
    made.machine(1).change(CONFIG, text("networks: ["))
    (finding,) = found(made, "mesh-networks")
    assert (finding.severity, finding.object) == ("error", "ConfigMap istio in istio-system")
    assert "istiod refuses" in finding.text
    assert finding.breaks == (("cluster1", "cluster2"),)  # this istiod has not kept those before


def test_what_cannot_be_read_breaks_nothing_while_no_istiod_says_what_it_knows() -> None:
    made = finished_mesh()
    made.machine(1).change(CONFIG, text("networks: ["))
    made.machine(1).change(ISTIOD, lambda live: live["spec"].update(replicas=0))
    (finding,) = found(made, "mesh-networks")
    assert finding.breaks == ()


def test_no_config_map_at_all_is_told() -> None:
    made = finished_mesh()
    made.machine(1).store.remove(CONFIG)
    (finding,) = found(made, "mesh-networks")
    assert "is missing" in finding.text
    assert finding.breaks == (("cluster1", "cluster2"),)


def test_a_registry_that_is_no_cluster_is_a_warning() -> None:
    made = finished_mesh()
    made.machine(1).change(
        CONFIG, networks(lambda told: told["network2"].update(endpoints=[{"fromRegistry": "clustr2"}]))
    )
    (finding,) = found(made, "mesh-networks")
    assert finding.severity == "warning"
    assert "clustr2" in finding.text


def test_of_one_network_nothing_is_asked() -> None:
    made = finished_mesh()
    made.machine(1).change(CONFIG, text("networks: ["))
    one = Mesh("mesh1", tuple(replace(each, network="one") for each in made.mesh.clusters), istio=made.mesh.istio)
    assert found(Setting(made.outside, one, made.world), "mesh-networks") == []


def test_of_a_mesh_made_by_hand_that_leads_where_it_should_nothing_is_said() -> None:
    assert judged(made_by_hand(), "mesh-networks") == []


def test_in_a_mesh_made_by_hand_the_port_of_the_service_is_found() -> None:
    made = made_by_hand()
    made.machine(1).change(CONFIG, networks(lambda told: told["network2"]["gateways"][0].update(port=15443)))
    (finding,) = judged(made, "mesh-networks")
    assert (finding.severity, finding.breaks, finding.step) == ("error", (("cluster1", "cluster2"),), None)
    assert "15443 is the port of the gateway's Service" in finding.text


def test_in_a_mesh_made_by_hand_a_network_that_was_forgotten_is_found() -> None:
    made = made_by_hand()
    made.machine(2).change(CONFIG, networks(lambda told: told.clear()))
    (finding,) = judged(made, "mesh-networks")
    assert finding.object == "ConfigMap istio in istio-system"
    assert finding.breaks == (("cluster2", "cluster1"),)


def test_in_a_mesh_made_by_hand_a_translated_address_is_no_fault() -> None:
    made = made_by_hand()
    made.machine(1).change(CONFIG, networks(lambda told: told["network2"]["gateways"][0].update(address="203.0.113.7")))
    assert judged(made, "mesh-networks") == []


def test_in_a_mesh_made_by_hand_a_labelled_gateway_needs_no_entry() -> None:
    made = made_by_hand()
    made.machine(2).change(
        GATEWAY, lambda live: live["metadata"]["labels"].update({"topology.istio.io/network": "network2"})
    )
    made.machine(1).change(CONFIG, networks(lambda told: told.pop("network2")))
    assert judged(made, "mesh-networks") == []
