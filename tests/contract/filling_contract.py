"""What a server fills in and refuses: namespaces, secrets, Services and their addresses."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable

import pytest

from tests.contract.manifests import NAME, ref, service, soon
from tests.contract.objects_contract import InNamespace
from wizard.clusters.kinds import CONFIG_MAP, ENDPOINT_SLICE, NAMESPACE, SECRET, SERVICE, SERVICE_CIDR, Object, Ref
from wizard.clusters.nodeports import asked_node_ports
from wizard.clusters.port import Cluster
from wizard.errors import Failed


class FillingContract(InNamespace):
    """Namespaces and Secrets."""

    def test_a_namespace_is_furnished(self, cluster: Cluster) -> None:
        place = cluster.get(Ref(NAMESPACE, NAME))
        assert place is not None
        assert place["status"]["phase"] == "Active"
        assert place["metadata"]["labels"]["kubernetes.io/metadata.name"] == NAME
        bundle = soon(lambda: cluster.get(ref(CONFIG_MAP, "kube-root-ca.crt")), "the root certificate")
        assert "BEGIN CERTIFICATE" in bundle["data"]["ca.crt"]

    def test_a_secret_keeps_its_type(self, cluster: Cluster) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "typed", "namespace": NAME},
            "data": {"key": base64.b64encode(b"\x00\xffvalue").decode()},
        }
        made = cluster.apply(secret)
        assert made["type"] == "Opaque"
        assert base64.b64decode(made["data"]["key"]) == b"\x00\xffvalue"
        with pytest.raises(Failed, match="immutable"):
            cluster.apply({**secret, "type": "example.com/other"})

    def test_a_token_is_made_for_a_service_account(self, cluster: Cluster) -> None:
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "token",
                    "namespace": NAME,
                    "annotations": {"kubernetes.io/service-account.name": "default"},
                },
                "type": "kubernetes.io/service-account-token",
            }
        )

        def filled() -> dict[str, str] | None:
            data = (cluster.get(ref(SECRET, "token")) or {}).get("data") or {}
            return data if "token" in data else None

        data = soon(filled, "the token")
        assert base64.b64decode(data["namespace"]).decode() == NAME
        assert b"BEGIN CERTIFICATE" in base64.b64decode(data["ca.crt"])
        assert len(base64.b64decode(data["token"])) > 20


class ServicesContract(InNamespace):
    """Fixture also: `balancer`, which starts what gives Services of type LoadBalancer their address."""

    def test_a_service_gets_an_address(self, cluster: Cluster) -> None:
        made = cluster.apply(service("addressed"))
        assert made["spec"]["type"] == "ClusterIP"
        assert made["spec"]["clusterIPs"] == [made["spec"]["clusterIP"]]
        assert made["spec"]["ports"][0] == {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}

    def test_node_ports_are_given_out_once(self, cluster: Cluster) -> None:
        given = cluster.apply(service("found", type="NodePort"))["spec"]["ports"][0]["nodePort"]
        assert 30000 <= given <= 32767
        wish = service("wishing", {"name": "http", "port": 80, "nodePort": given}, type="NodePort")
        with pytest.raises(Failed, match="already allocated"):
            cluster.apply(wish)
        with pytest.raises(Failed, match="already allocated"):
            cluster.apply(wish, dry_run=True)
        assert cluster.get(ref(SERVICE, "wishing")) is None
        assert cluster.delete(ref(SERVICE, "found")) is True
        assert cluster.apply(wish)["spec"]["ports"][0]["nodePort"] == given
        assert cluster.apply(wish)["spec"]["ports"][0]["nodePort"] == given

    def test_a_node_port_has_a_range(self, cluster: Cluster) -> None:
        with pytest.raises(Failed, match="not in the valid range"):
            cluster.apply(service("ranging", {"name": "http", "port": 80, "nodePort": 80}, type="NodePort"))

    @pytest.mark.inputs("16")
    def test_only_a_refusal_tells_the_range_of_node_ports(self, cluster: Cluster) -> None:
        wish = service("ranging", {"name": "http", "port": 80, "nodePort": 80}, type="NodePort")
        assert cluster.apply(wish, dry_run=True)["spec"]["ports"][0]["nodePort"] == 80, "a dry run does not look"
        assert asked_node_ports(cluster) == range(30000, 32768)
        assert cluster.get(Ref(SERVICE, "meshwizard-range", "default")) is None

    def test_a_cluster_address_never_changes(self, cluster: Cluster) -> None:
        own = cluster.apply(service("fixed"))["spec"]["clusterIP"]
        other = f"{own.rsplit('.', 1)[0]}.{(int(own.rsplit('.', 1)[1]) + 100) % 250 + 1}"
        with pytest.raises(Failed, match="may not change once set"):
            cluster.apply(service("fixed", clusterIP=other), force=True)

    def test_the_range_of_addresses_is_told_twice(self, cluster: Cluster) -> None:
        (found,) = [each for each in cluster.objects(SERVICE_CIDR) if each["metadata"]["name"] == "kubernetes"]
        (cidr,) = found["spec"]["cidrs"]
        for address in ("1.1.1.1", "192.0.2.1"):
            with pytest.raises(
                Failed, match=rf"\({address}\) is not in the valid range. The range of valid IPs is {cidr}"
            ):
                cluster.apply(service("ranging", clusterIP=address), dry_run=True)
        assert cluster.get(ref(SERVICE, "ranging")) is None
        assert ipaddress.ip_address(cluster.apply(service("ranging"))["spec"]["clusterIP"]) in ipaddress.ip_network(
            cidr
        )

    def test_a_dry_run_gives_no_address_away(self, cluster: Cluster) -> None:
        first, second = (cluster.apply(service(name), dry_run=True) for name in ("dry-one", "dry-two"))
        assert first["spec"]["clusterIP"] == second["spec"]["clusterIP"]
        (cidr,) = cluster.objects(SERVICE_CIDR)[0]["spec"]["cidrs"]
        assert first["spec"]["clusterIP"] == str(ipaddress.ip_network(cidr)[0])

    def test_an_address_may_be_chosen_once(self, cluster: Cluster) -> None:
        (cidr,) = cluster.objects(SERVICE_CIDR)[0]["spec"]["cidrs"]
        chosen = str(ipaddress.ip_network(cidr)[251])
        made = cluster.apply(service("chosen", clusterIP=chosen))
        assert made["spec"]["clusterIPs"] == [made["spec"]["clusterIP"]] == [chosen]
        with pytest.raises(Failed, match="provided IP is already allocated"):
            cluster.apply(service("second", clusterIP=chosen))
        assert cluster.delete(ref(SERVICE, "chosen")) is True
        soon(lambda: _taken(cluster, chosen), "the address to be free again")

    def test_external_addresses_stand_as_given(self, cluster: Cluster) -> None:
        made = cluster.apply(service("outside", externalIPs=["192.0.2.77"]))
        assert (made["spec"]["type"], made["spec"]["externalIPs"]) == ("ClusterIP", ["192.0.2.77"])
        assert "nodePort" not in made["spec"]["ports"][0]
        other = cluster.apply(service("outside", externalIPs=["192.0.2.78"]))
        assert other["spec"]["externalIPs"] == ["192.0.2.78"]
        assert other["spec"]["clusterIP"] == made["spec"]["clusterIP"]

    def test_a_service_without_a_selector(self, cluster: Cluster) -> None:
        manifest = service("led", {"name": "https", "port": 443, "targetPort": 15017})
        del manifest["spec"]["selector"]
        made = cluster.apply(manifest)
        assert not made["spec"].get("selector")
        made = cluster.apply(endpoints("led", "192.0.2.1", 15017))
        assert [each["addresses"] for each in made["endpoints"]] == [["192.0.2.1"]]
        assert (made["addressType"], made["ports"][0]["port"]) == ("IPv4", 15017)
        again = cluster.apply(endpoints("led", "192.0.2.2", 15018))
        assert [each["addresses"] for each in again["endpoints"]] == [["192.0.2.2"]]
        assert [each["port"] for each in again["ports"]] == [15018]
        found = cluster.objects(ENDPOINT_SLICE, NAME, "kubernetes.io/service-name=led")
        assert "led" in [each["metadata"]["name"] for each in found]

    def test_a_balanced_service_waits_for_its_address(self, cluster: Cluster, balancer: Callable[[], None]) -> None:
        made = cluster.apply(service("balanced", type="LoadBalancer"))
        assert made["status"] == {"loadBalancer": {}}
        assert 30000 <= made["spec"]["ports"][0]["nodePort"] <= 32767
        balancer()

        def given() -> str | None:
            status = (cluster.get(ref(SERVICE, "balanced")) or {})["status"]
            return next((each["ip"] for each in status["loadBalancer"].get("ingress") or []), None)

        assert ipaddress.ip_address(soon(given, "an address"))


def endpoints(name: str, address: str, port: int) -> Object:
    """An EndpointSlice that leads a Service without a selector there."""
    return {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.kind,
        "metadata": {"name": name, "namespace": NAME, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }


def _taken(cluster: Cluster, address: str) -> bool:
    try:
        return bool(cluster.apply(service("second", clusterIP=address))["spec"]["clusterIP"] == address)
    except Failed:
        return False
