"""The check `network-label`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.gateway_meshes import GATEWAY, HEALTHY, finished, judged, pod_of
from tests.unit.standing import Setting, finished_mesh, found, whole
from wizard.clusters.kinds import CONFIG_MAP, NAMESPACE, Object, Ref
from wizard.mesh.model import NETWORK_LABEL, Mesh

SYSTEM = Ref(NAMESPACE, "istio-system")
CONFIG = Ref(CONFIG_MAP, "istio", "istio-system")


def labelled(value: str | None) -> Callable[[Object], None]:
    """An object with this network label, or without one."""

    def edit(live: Object) -> None:
        labels = live["metadata"].setdefault("labels", {})
        labels.pop(NETWORK_LABEL, None)
        labels.update({NETWORK_LABEL: value} if value else {})

    return edit


def injected(network: str) -> Callable[[Object], None]:
    """A Pod whose proxy was told this network."""

    def edit(live: Object) -> None:
        for container in [*(live["spec"].get("initContainers") or []), *live["spec"]["containers"]]:
            for variable in container.get("env") or []:
                if variable["name"] == "ISTIO_META_NETWORK":
                    variable["value"] = network

    return edit


def unnamed(made: Setting, number: int, peer: str) -> None:
    """The meshNetworks of a cluster no longer say on which network that peer is."""
    made.machine(number).change(
        CONFIG, lambda live: live["data"].update(meshNetworks=live["data"]["meshNetworks"].replace(peer, "nobody"))
    )


@pytest.mark.parametrize("kind", HEALTHY)
def test_of_labels_that_agree_nothing_is_said(kind: str) -> None:
    assert found(HEALTHY[kind](), "network-label") == []


def test_another_label_sends_other_networks_to_the_addresses_of_pods() -> None:
    made = finished_mesh()
    made.machine(2).change(SYSTEM, labelled("other"))
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object) == ("network-label", "cluster2", "Namespace istio-system")
    assert cause.breaks == (("cluster1", "cluster2"),)
    assert cause.step == "cluster2/namespace"
    assert cause.commands == (
        "kubectl --context=kubernetes-admin2@kubernetes label namespace istio-system "
        "topology.istio.io/network=network2 --overwrite",
    )
    assert "other" in cause.text


def test_without_a_label_it_matters_whether_mesh_networks_name_the_cluster() -> None:
    made = finished_mesh()
    made.machine(2).change(SYSTEM, labelled(None))
    (finding,) = found(made, "network-label")
    assert (finding.severity, finding.breaks) == ("warning", ())
    unnamed(made, 1, "cluster2")
    (finding,) = found(made, "network-label")
    assert (finding.severity, finding.breaks) == ("error", (("cluster1", "cluster2"),))


def test_pods_with_a_label_of_their_own_are_where_it_says() -> None:
    made = finished_mesh()
    made.machine(2).change(SYSTEM, labelled("other"))
    made.machine(2).change(pod_of(made, 2, "helloworld", "sample"), labelled("network2"))
    (finding,) = found(made, "network-label")
    assert (finding.severity, finding.breaks) == ("warning", ())


def test_an_old_istio_believes_the_proxies_first() -> None:
    made = finished_mesh()
    made.machine(2).change(SYSTEM, labelled("other"))
    old = Setting(made.outside, replace(made.mesh, istio=replace(made.mesh.istio, version="1.9.2")), made.world)
    assert [each.severity for each in found(old, "network-label")] == ["warning"]


def test_in_one_network_no_label_matters() -> None:
    made = finished_mesh()
    made.machine(2).change(SYSTEM, labelled(None))
    one = Mesh("mesh1", tuple(replace(each, network="one") for each in made.mesh.clusters), istio=made.mesh.istio)
    assert found(Setting(made.outside, one, made.world), "network-label") == []


def test_a_client_that_takes_itself_for_one_of_the_peers_network_is_named() -> None:
    made = finished_mesh()
    client = pod_of(made, 1, "curl", "sample")
    made.machine(1).change(client, injected("network2"))
    (finding,) = found(made, "network-label")
    assert (finding.severity, finding.object) == ("error", str(client))
    assert finding.breaks == (("cluster1", "cluster2"),)


def test_a_server_labelled_elsewhere_is_looked_for_there() -> None:
    made = finished_mesh()
    server = pod_of(made, 2, "helloworld", "sample")
    made.machine(2).change(server, labelled("other"))
    (finding,) = found(made, "network-label")
    assert (finding.object, finding.breaks) == (str(server), (("cluster1", "cluster2"),))


def test_a_gateway_of_another_network_passes_nothing_on() -> None:
    made = finished_mesh()
    gateway = pod_of(made, 2, "istio-eastwestgateway")
    made.machine(2).change(gateway, injected("other"))
    (finding,) = found(made, "network-label")
    assert (finding.severity, finding.object) == ("error", str(gateway))


def test_a_gateway_that_a_load_balancer_exposes_is_found_by_its_label() -> None:
    made = finished("load-balancer", (None, "cluster1"))
    made.machine(1).change(GATEWAY, labelled(None))
    (finding,) = found(made, "network-label")
    assert (finding.severity, finding.object) == ("error", "Service istio-eastwestgateway in istio-system")
    assert finding.breaks == (("cluster2", "cluster1"),)
    assert finding.commands[0].endswith(
        "label service istio-eastwestgateway topology.istio.io/network=network1 --overwrite"
    )


def test_a_gateway_in_mesh_networks_that_is_labelled_for_another_network_is_a_warning() -> None:
    made = finished_mesh()
    made.machine(2).change(GATEWAY, labelled("other"))
    (finding,) = found(made, "network-label")
    assert (finding.severity, finding.breaks) == ("warning", ())
    assert finding.commands[0].endswith("label service istio-eastwestgateway topology.istio.io/network-")


def test_a_mesh_made_by_hand_may_have_its_networks_in_mesh_networks_alone() -> None:
    made = made_by_hand()
    assert judged(made, "network-label") == []
    made.machine(2).change(SYSTEM, labelled(None))
    assert judged(made, "network-label") == []
    unnamed(made, 1, "cluster2")
    (finding,) = judged(made, "network-label")
    assert (finding.severity, finding.object, finding.step) == ("error", "Namespace istio-system", None)


def test_a_mesh_made_by_hand_is_held_against_its_proxies() -> None:
    made = made_by_hand()
    made.machine(2).change(SYSTEM, labelled("other"))
    (finding,) = judged(made, "network-label")
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert "network2" in finding.commands[0]
