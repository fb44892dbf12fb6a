"""The admin pages of simulated proxies show what their traffic follows from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509

from tests.unit.standing import Setting, finished_mesh
from tests.unit.test_simulated_policies import HOST, NO_MTLS, OUTLIERS, put, regions
from tests.unit.test_simulated_traffic import Universe, networks, no_remote_secret, not_exposed, system
from wizard.clusters.kinds import (
    DEPLOYMENT,
    DESTINATION_RULE,
    ISTIO_GATEWAY,
    PEER_AUTHENTICATION,
    POD,
    SECRET,
    SIDECAR,
    Ref,
)
from wizard.clusters.port import Executed
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what Envoy shows
OUTBOUND = f"outbound|5000||{HOST}"
PASSED_ON = f"outbound_.5000_._.{HOST}"


@pytest.fixture
def universe() -> Universe:
    return Universe()


def request(universe: Universe, cluster: str, path: str, app: str = "curl", container: str = "istio-proxy") -> Executed:
    door = universe.door(cluster)
    (pod,) = door.objects(POD, SYSTEM_NAMESPACE if app == GATEWAY_NAME else "sample", f"app={app}")
    ref = Ref(POD, pod["metadata"]["name"], pod["metadata"]["namespace"])
    return door.execute(ref, container, ["pilot-agent", "request", "GET", path], seconds=5)


def page(universe: Universe, cluster: str, path: str, app: str = "curl") -> Any:
    done = request(universe, cluster, path, app)
    assert (done.stderr, done.code) == ("", 0)
    return json.loads(done.stdout)


def clusters(universe: Universe, cluster: str = "cluster1", app: str = "curl") -> dict[str, list[Any]]:
    """Name of each → its hosts."""
    told = page(universe, cluster, "clusters?format=json", app)["cluster_statuses"]
    return {each["name"]: each.get("host_statuses", []) for each in told}


def places(hosts: list[Any]) -> list[tuple[str, int]]:
    found = [each["address"]["socket_address"] for each in hosts]
    return [(each["address"], each["port_value"]) for each in found]


def own(universe: Universe, cluster: str, app: str = "helloworld") -> tuple[str, int]:
    (pod,) = universe.door(cluster).objects(POD, "sample", f"app={app}")
    return pod["status"]["podIP"], 5000


def gateway(universe: Universe, cluster: str) -> tuple[str, int]:
    return universe.machine(cluster).node_address, 31443


def ports(universe: Universe, cluster: str, app: str = "curl") -> set[tuple[str, int]]:
    told = page(universe, cluster, "listeners?format=json", app)["listener_statuses"]
    assert all(each["name"] for each in told)
    found = [each["local_address"]["socket_address"] for each in told]
    return {(each["address"], each["port_value"]) for each in found}


# -- clusters


def test_a_sidecar_sends_to_its_own_pods_and_to_gateways(universe: Universe) -> None:
    hosts = clusters(universe)[OUTBOUND]
    assert places(hosts) == [own(universe, "cluster1"), gateway(universe, "cluster2")]
    assert hosts[1] == {
        "address": {"socket_address": {"address": "192.0.2.12", "port_value": 31443}},
        "stats": [{"name": "cx_connect_fail"}, {"name": "rq_error"}, {"name": "rq_success"}],
        "health_status": {"eds_health_status": "HEALTHY"},
        "weight": 1,
        "locality": {},
    }
    assert "xds-grpc" in clusters(universe)


def test_what_istiod_does_not_tell_is_not_there(universe: Universe) -> None:
    put(universe, "cluster1", PEER_AUTHENTICATION, NO_MTLS)
    assert places(clusters(universe)[OUTBOUND]) == [own(universe, "cluster1")]
    put(universe, "cluster1", SIDECAR, {"egress": [{"hosts": ["istio-system/*"]}]})
    assert OUTBOUND not in clusters(universe)
    assert OUTBOUND in clusters(universe, "cluster2")


def test_without_its_secret_a_peer_is_unknown(universe: Universe) -> None:
    no_remote_secret(universe)
    assert places(clusters(universe)[OUTBOUND]) == [own(universe, "cluster1")]


def test_a_service_without_pods_has_no_hosts(universe: Universe) -> None:
    for name in ("cluster1", "cluster2"):
        universe.door(name).delete(Ref(DEPLOYMENT, f"helloworld-v{name[-1]}", "sample"))
    assert clusters(universe)[OUTBOUND] == []


def test_each_address_of_a_gateway_has_its_share(universe: Universe) -> None:
    second = {"address": "192.0.2.99", "port": 15443}
    networks(lambda all_: all_["network2"]["gateways"].append(second))(universe)
    hosts = clusters(universe)[OUTBOUND]
    shares = {place: each["weight"] for place, each in zip(places(hosts), hosts, strict=True)}
    assert shares == {own(universe, "cluster1"): 2, gateway(universe, "cluster2"): 1, ("192.0.2.99", 15443): 1}


def test_requests_are_counted_at_the_host_that_they_went_to(universe: Universe) -> None:
    universe.ask("cluster1", 4)
    universe.machine("cluster2").blocked_ports.add(31443)
    universe.ask("cluster1", 6)
    hosts = clusters(universe)[OUTBOUND]
    stats = [{each["name"]: int(each.get("value", "0")) for each in host["stats"]} for host in hosts]
    assert stats == [
        {"rq_success": 5, "rq_error": 0, "cx_connect_fail": 0},
        {"rq_success": 2, "rq_error": 3, "cx_connect_fail": 3},
    ]
    assert all("value" not in each for host in clusters(universe, "cluster2")[OUTBOUND] for each in host["stats"])


def test_priorities_and_health_are_shown_where_outliers_are_looked_for(universe: Universe) -> None:
    regions(universe, "east", "west")
    assert [each["locality"] for each in clusters(universe)[OUTBOUND]] == [{"region": "east"}, {"region": "west"}]
    assert [each.get("priority", 0) for each in clusters(universe)[OUTBOUND]] == [0, 0]
    put(universe, "cluster1", DESTINATION_RULE, OUTLIERS)
    assert [each.get("priority", 0) for each in clusters(universe)[OUTBOUND]] == [0, 1]
    universe.machine("cluster2").blocked_ports.add(31443)
    health = [each["health_status"] for each in clusters(universe)[OUTBOUND]]
    assert health == [
        {"eds_health_status": "HEALTHY"},
        {"eds_health_status": "HEALTHY", "failed_outlier_check": True},
    ]


def test_a_gateway_passes_on_to_pods_of_its_network_that_take_mtls(universe: Universe) -> None:
    assert places(clusters(universe, "cluster2", GATEWAY_NAME)[PASSED_ON]) == [own(universe, "cluster2")]
    put(universe, "cluster2", PEER_AUTHENTICATION, NO_MTLS)
    told = clusters(universe, "cluster2", GATEWAY_NAME)
    assert (places(told[PASSED_ON]), places(told[OUTBOUND])) == ([], [own(universe, "cluster2")])
    not_exposed(universe)
    assert PASSED_ON not in clusters(universe, "cluster2", GATEWAY_NAME)


def test_while_istiod_is_away_a_proxy_keeps_its_clusters(universe: Universe) -> None:
    before = clusters(universe)
    universe.machine("cluster1").change(system(DEPLOYMENT, "istiod"), lambda live: live["spec"].update(replicas=0))
    assert places(clusters(universe)[OUTBOUND]) == places(before[OUTBOUND])


# -- listeners


def test_a_gateway_listens_where_a_gateway_object_asks_it_to(universe: Universe) -> None:
    always = {(EVERYWHERE, 15021), (EVERYWHERE, 15090)}
    assert ports(universe, "cluster2", GATEWAY_NAME) == always | {(EVERYWHERE, 15443)}
    universe.machine("cluster2").change(
        system(ISTIO_GATEWAY, "cross-network-gateway"),
        lambda live: live["spec"].update(selector={"istio": "ingressgateway"}),
    )
    assert ports(universe, "cluster2", GATEWAY_NAME) == always


def test_a_sidecar_listens_for_the_services_that_it_sees(universe: Universe) -> None:
    told = ports(universe, "cluster1")
    assert told >= {(EVERYWHERE, port) for port in (15001, 15006, 15021, 15090, 5000)}
    assert any(port == 443 and address != EVERYWHERE for address, port in told)
    put(universe, "cluster1", SIDECAR, {"egress": [{"hosts": ["~/*"]}]})
    assert {port for _, port in ports(universe, "cluster1")} == {15001, 15006, 15021, 15090}


# -- certificates


def test_equal_roots_have_equal_serials_and_names_tell_whose_it_is(universe: Universe) -> None:
    one, two = (page(universe, name, "certs")["certificates"][0] for name in ("cluster1", "cluster2"))
    (root,), (leaf,) = one["ca_cert"], one["cert_chain"]
    assert root["serial_number"] == two["ca_cert"][0]["serial_number"]
    assert leaf["serial_number"] != two["cert_chain"][0]["serial_number"]
    assert leaf["subject_alt_names"] == [{"uri": "spiffe://cluster.local/ns/sample/sa/default"}]
    assert leaf["valid_from"] < leaf["expiration_time"] < root["expiration_time"]
    assert int(leaf["days_until_expiration"]) < int(root["days_until_expiration"])
    universe.machine("cluster2").store.remove(system(SECRET, "cacerts"))
    other = page(universe, "cluster2", "certs")["certificates"][0]["ca_cert"][0]
    assert other["serial_number"] != root["serial_number"]


def test_of_a_certificate_its_own_serial_is_shown() -> None:
    made: Setting = finished_mesh()
    (pod,) = made.world.cluster("cluster1").objects(POD, "sample", "app=curl")
    ref = Ref(POD, pod["metadata"]["name"], "sample")
    argv = ["pilot-agent", "request", "GET", "certs"]
    told = json.loads(made.world.cluster("cluster1").execute(ref, "istio-proxy", argv, seconds=5).stdout)
    kept = made.world.roots.load()
    assert kept is not None
    (root,) = told["certificates"][0]["ca_cert"]
    assert int(root["serial_number"], 16) == x509.load_pem_x509_certificate(kept[0]).serial_number


# -- what is asked otherwise


def test_only_the_proxys_container_has_it_and_only_these_pages(universe: Universe) -> None:
    assert request(universe, "cluster1", "certs", container="curl").code == 127
    unknown = request(universe, "cluster1", "nothing")
    assert (unknown.stdout, unknown.code) == ("", 1)
    assert "404" in unknown.stderr
