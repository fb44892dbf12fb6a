"""istiod's debug pages in the simulation say what those of Istio 1.29 say."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.standing import Setting, finished_mesh
from tests.unit.test_simulated_remotes import made as town_of
from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    POD,
    SECRET,
    SERVICE,
    Object,
    Ref,
)
from wizard.mesh.model import GATEWAY_NAME, NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.objects.removal import READER_TOKEN
from wizard.probes.traffic import ask
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.machine import Machine

ROLE = "istio-reader-clusterrole-istio-system"
SECRET_OF_2 = Ref(SECRET, "istio-remote-secret-cluster2", SYSTEM_NAMESPACE)


@pytest.fixture
def made() -> Setting:
    return finished_mesh()


@pytest.fixture
def first(made: Setting) -> SimulatedCluster:
    return made.outside.cluster("cluster1", made.machine(1).context)


def page(cluster: SimulatedCluster, path: str) -> Any:
    """What the page of this cluster's istiod says."""
    (pod,) = cluster.objects(POD, SYSTEM_NAMESPACE, "app=istiod")
    place = Ref(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE)
    done = cluster.execute(place, "discovery", ["pilot-discovery", "request", "GET", path], seconds=10)
    assert (done.code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def status(cluster: SimulatedCluster, name: str = "cluster2") -> str | None:
    return {each["id"]: each["syncStatus"] for each in page(cluster, "/debug/clusterz")}.get(name)


def restarted(cluster: SimulatedCluster) -> None:
    for pod in cluster.objects(POD, SYSTEM_NAMESPACE, "app=istiod"):
        cluster.delete(Ref(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE))


# -- /debug/clusterz


def test_clusters_that_are_read_are_synced(first: SimulatedCluster) -> None:
    assert page(first, "/debug/clusterz") == [
        {"id": "cluster1", "syncStatus": "synced"},
        {"id": "cluster2", "secretName": "istio-system/istio-remote-secret-cluster2", "syncStatus": "synced"},
    ]


def unreachable(machine: Machine) -> None:
    machine.unreachable = True


def without_token(machine: Machine) -> None:
    with machine.settled():
        machine.store.remove(READER_TOKEN)


def without_binding(machine: Machine) -> None:
    with machine.settled():
        machine.store.remove(Ref(CLUSTER_ROLE_BINDING, ROLE))


def without_slices(machine: Machine) -> None:
    def trim(role: Object) -> None:
        role["rules"] = [rule for rule in role["rules"] if "endpointslices" not in rule["resources"]]

    machine.change(Ref(CLUSTER_ROLE, ROLE), trim)


BREAKS = (unreachable, without_token, without_binding, without_slices)


@pytest.mark.parametrize("broken", BREAKS)
def test_a_cluster_that_cannot_be_read_times_out_after_a_while(
    made: Setting, first: SimulatedCluster, broken: Callable[[Machine], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made.machine(1).store.find(SECRET_OF_2)
    assert record is not None
    broken(made.machine(2))
    restarted(first)
    first.objects(POD)  # istiod is there again
    made.outside.pace.speed = 0.01
    monkeypatch.setattr(made.outside.pace, "now", lambda: record.born + 0.2)
    assert status(first) == "syncing"
    monkeypatch.setattr(made.outside.pace, "now", lambda: record.born + 0.4)
    assert status(first) == "timeout"


@pytest.mark.parametrize("broken", BREAKS)
def test_what_was_read_once_stays_known(
    made: Setting, first: SimulatedCluster, broken: Callable[[Machine], None]
) -> None:
    broken(made.machine(2))
    assert status(first) == "synced"
    assert set(ask(first, "sample", 8).answers) == {"v1", "v2"}
    restarted(first)
    assert status(first) == "timeout"
    assert set(ask(first, "sample", 8).answers) == {"v1"}


def test_a_cluster_that_can_be_read_again_is(made: Setting, first: SimulatedCluster) -> None:
    made.machine(2).unreachable = True
    restarted(first)
    assert status(first) == "timeout"
    made.machine(2).unreachable = False
    assert status(first) == "synced"


def test_proxies_keep_what_an_istiod_told_them_that_is_gone(made: Setting, first: SimulatedCluster) -> None:
    made.machine(1).missing_images.add("docker.io/istio/pilot")
    restarted(first)
    assert set(ask(first, "sample", 8).answers) == {"v1", "v2"}


@pytest.mark.parametrize(
    ("key", "content"),
    [
        pytest.param("cluster2", None, id="of two with the same name the older"),
        pytest.param("cluster1", None, id="none under its own name"),
        pytest.param("cluster9", "no: kubeconfig", id="none that is no kubeconfig"),
    ],
)
def test_not_every_key_of_a_secret_is_taken_up(
    made: Setting, first: SimulatedCluster, key: str, content: str | None
) -> None:
    before = page(first, "/debug/clusterz")
    live = made.machine(1).found(SECRET_OF_2)
    assert live is not None
    data = base64.b64encode(content.encode()).decode() if content else live["data"]["cluster2"]
    metadata = {"name": "another", "namespace": SYSTEM_NAMESPACE, "labels": {"istio/multiCluster": "true"}}
    made.machine(1).apply_as(
        "kubectl", {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {key: data}}
    )
    assert page(first, "/debug/clusterz") == before


# -- /debug/networkz


def gateways(cluster: SimulatedCluster) -> list[tuple[str, int, str, str]]:
    found = page(cluster, "/debug/networkz")
    return [(each["Addr"], each["Port"], each["Network"], each["Cluster"]) for each in found]


def test_gateways_of_mesh_networks(first: SimulatedCluster) -> None:
    assert gateways(first) == [("192.0.2.11", 31443, "network1", ""), ("192.0.2.12", 31443, "network2", "")]
    assert page(first, "/debug/networkz")[0] == {
        "Network": "network1", "Cluster": "", "Addr": "192.0.2.11", "Port": 31443, "HBONEPort": 0,
        "ServiceAccount": {"Namespace": "", "Name": ""},
    }  # fmt: skip


def test_gateways_of_labelled_services_are_merged_in(made: Setting, first: SimulatedCluster) -> None:
    def label(service: Object) -> None:
        service["metadata"].setdefault("labels", {})[NETWORK_LABEL] = "network2"
        service["spec"]["externalIPs"] = ["192.0.2.9"]

    made.machine(2).change(Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE), label)
    assert ("192.0.2.9", 15443, "network2", "cluster2") in gateways(first)
    assert len(gateways(first)) == 3
    made.machine(2).unreachable = True
    restarted(first)
    assert len(gateways(first)) == 2


def test_gateways_behind_load_balancers(tmp_path: Path) -> None:
    town = town_of(tmp_path, "load-balancer", (None, None))
    found = gateways(town.outside.cluster("cluster1", town.machine("cluster1").context))
    assert found == [
        ("198.18.1.1", 15443, "network1", "cluster1"),
        ("198.18.2.1", 15443, "network2", "cluster2"),
    ]


def test_a_name_that_nobody_resolves_is_no_gateway_and_none_is_null(made: Setting, first: SimulatedCluster) -> None:
    def edit(config: Object) -> None:
        networks = yaml.safe_load(config["data"]["meshNetworks"])
        for entry in networks["networks"].values():
            entry["gateways"] = [{"address": "gateway.example", "port": 15443}, {"registryServiceName": "x", "port": 1}]
        config["data"]["meshNetworks"] = yaml.safe_dump(networks)

    made.machine(1).change(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE), edit)
    assert page(first, "/debug/networkz") is None


# -- /debug/syncz


def test_the_proxies_that_are_connected(made: Setting, first: SimulatedCluster) -> None:
    pods = [
        f"{pod['metadata']['name']}.{pod['metadata']['namespace']}"
        for pod in first.objects(POD)
        if pod["metadata"]["namespace"] == "sample" or pod["metadata"]["labels"].get("app") == GATEWAY_NAME
    ]
    told = page(first, "/debug/syncz")
    assert sorted(each["proxy"] for each in told) == sorted(pods)
    assert {each["cluster_id"] for each in told} == {"cluster1"}
    assert {each["istio_version"] for each in told} == {"1.29.1"}
    assert sorted(each["proxy_type"] for each in told) == ["router", "sidecar", "sidecar"]
    assert all(each["cluster_sent"] == each["cluster_acked"] for each in told)


def test_a_remotes_proxies_are_connected_to_its_primary_while_they_reach_it(tmp_path: Path) -> None:
    town = town_of(tmp_path)
    primary = town.outside.cluster("cluster1", town.machine("cluster1").context)
    assert sorted(each["cluster_id"] for each in page(primary, "/debug/syncz")) == ["cluster1"] * 3 + ["cluster2"] * 3
    town.machine("cluster1").blocked_ports.add(15012)
    assert {each["cluster_id"] for each in page(primary, "/debug/syncz")} == {"cluster1"}


def test_other_pages_are_not_there(made: Setting, first: SimulatedCluster) -> None:
    (pod,) = first.objects(POD, SYSTEM_NAMESPACE, "app=istiod")
    place = Ref(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE)
    done = first.execute(place, "discovery", ["pilot-discovery", "request", "GET", "/debug/nothing"], seconds=10)
    assert (done.stdout.strip(), done.code) == ("404 page not found", 0)
    assert first.execute(place, "discovery", ["pilot-discovery", "version"], seconds=10).code == 1
