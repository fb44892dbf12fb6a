"""Remotes, gateways and addresses are simulated honestly: break one thing, and what depends on it breaks as it really would."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.unit.test_simulated_topologies import Town, members, mesh
from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ISTIO_GATEWAY,
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE,
    VIRTUAL_SERVICE,
    Object,
    Ref,
)
from wizard.errors import NotAllowed
from wizard.mesh.model import GATEWAY_NAME, NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.outside import SimulatedOutside

ANNOTATION = "topology.istio.io/controlPlaneClusters"


def system(kind: Any, name: str) -> Ref:
    return Ref(kind, name, SYSTEM_NAMESPACE)


def door(town: Town, name: str) -> SimulatedCluster:
    return town.outside.cluster(name, town.mesh.cluster(name).context)


def made(tmp_path: Any, exposure: str = "external-ips", primaries: tuple[str | None, ...] = (None, "cluster1")) -> Town:
    outside = SimulatedOutside(len(primaries), 0)
    for machine in outside.machines:
        machine.load_balancer = True
    town = Town(tmp_path, outside, mesh(members(outside, exposure, list(primaries))))
    outcome = town.run()
    assert outcome.ok, outcome.what
    return town


@pytest.fixture
def town(tmp_path: Any) -> Town:
    """A primary and its remote, finished."""
    return made(tmp_path)


def restart(town: Town, name: str, namespace: str = "sample") -> list[Object]:
    """The Pods that stand after all were deleted; those that the API server took."""
    here = door(town, name)
    for pod in here.objects(POD, namespace):
        here.delete(Ref(POD, pod["metadata"]["name"], namespace))
    return here.objects(POD, namespace)


def ready(pods: list[Object]) -> bool:
    return bool(pods) and all(pod["status"]["phase"] == "Running" for pod in pods)


def bundles(town: Town, name: str = "cluster2") -> set[str | None]:
    hooks = door(town, name).get(Ref(MUTATING_WEBHOOK, "istio-sidecar-injector"))
    assert hooks is not None
    return {hook["clientConfig"].get("caBundle") for hook in hooks["webhooks"]}


# -- a remote lives from its primary


def test_a_remote_is_served_by_its_primary(town: Town) -> None:
    remote = town.machine("cluster2")
    assert remote.found(system(DEPLOYMENT, "istiod")) is None
    assert remote.found(system(SECRET, "cacerts")) is None
    assert bundles(town) == bundles(town, "cluster1") != {None}
    roots = [machine.found(Ref(CONFIG_MAP, "istio-ca-root-cert", "sample")) or {} for machine in town.outside.machines]
    assert roots[0]["data"] == roots[1]["data"]
    election = door(town, "cluster2").get(system(CONFIG_MAP, "istio-namespace-controller-election"))
    assert election is not None
    assert {entry["manager"] for entry in election["metadata"]["managedFields"]} == {"pilot-discovery"}
    (pod,) = [pod for pod in remote.listed(POD, "sample") if pod["metadata"]["name"].startswith("helloworld")]
    env = {each["name"]: each["value"] for each in pod["spec"]["initContainers"][1]["env"]}
    assert env == {"ISTIO_META_CLUSTER_ID": "cluster2", "ISTIO_META_NETWORK": "network2"}
    assert ready(restart(town, "cluster2"))


def no_virtual_service(town: Town) -> None:
    door(town, "cluster1").delete(system(VIRTUAL_SERVICE, "istiod-vs"))


def no_istiod_gateway(town: Town) -> None:
    door(town, "cluster1").delete(system(ISTIO_GATEWAY, "istiod-gateway"))


def no_istiod(town: Town) -> None:
    door(town, "cluster1").delete(system(DEPLOYMENT, "istiod"))


def webhook_port_closed(town: Town) -> None:
    town.machine("cluster1").blocked_ports.add(15017)


def no_service(town: Town) -> None:
    door(town, "cluster2").delete(system(SERVICE, "istiod"))


def another_root(town: Town) -> None:
    town.machine("cluster2").change(
        Ref(MUTATING_WEBHOOK, "istio-revision-tag-default"),
        lambda hooks: [hook["clientConfig"].update(caBundle="") for hook in hooks["webhooks"]],
    )
    door(town, "cluster1").delete(system(SECRET, "istio-remote-secret-cluster2"))


@pytest.mark.parametrize(
    "broken", [no_virtual_service, no_istiod_gateway, no_istiod, webhook_port_closed, no_service, another_root]
)
def test_without_an_injector_no_pod_is_made(town: Town, broken: Callable[[Town], None]) -> None:
    broken(town)
    assert restart(town, "cluster2") == []


def test_without_discovery_no_proxy_is_ready(town: Town) -> None:
    town.machine("cluster1").blocked_ports.add(15012)
    pods = restart(town, "cluster2")
    assert pods
    assert not ready(pods)
    town.machine("cluster1").blocked_ports.clear()
    assert ready(door(town, "cluster2").objects(POD, "sample"))


def test_istiod_takes_no_proxy_of_a_cluster_that_it_does_not_read(town: Town) -> None:
    door(town, "cluster1").delete(system(SECRET, "istio-remote-secret-cluster2"))
    pods = restart(town, "cluster2")  # injected still, since the webhook keeps its certificate
    assert pods
    assert not ready(pods)


def test_the_annotation_is_read_once_when_the_cluster_is_registered(town: Town) -> None:
    secret = door(town, "cluster1").get(system(SECRET, "istio-remote-secret-cluster2"))
    assert secret is not None
    primary, remote = door(town, "cluster1"), town.machine("cluster2")
    primary.delete(system(SECRET, "istio-remote-secret-cluster2"))

    def annotate(value: str | None) -> None:
        def edit(namespace: Object) -> None:
            namespace["metadata"]["annotations"].pop(ANNOTATION, None)
            if value:
                namespace["metadata"]["annotations"][ANNOTATION] = value

        remote.change(Ref(NAMESPACE, SYSTEM_NAMESPACE), edit)

    def unsign(hooks: Object) -> None:
        for hook in hooks["webhooks"]:
            hook["clientConfig"].pop("caBundle", None)

    annotate(None)
    remote.change(Ref(MUTATING_WEBHOOK, "istio-sidecar-injector"), unsign)
    primary.apply({key: secret[key] for key in ("apiVersion", "kind", "data", "type")} | {"metadata": {
        key: secret["metadata"][key] for key in ("name", "namespace", "labels")
    }}, force=True)  # fmt: skip
    assert bundles(town) == {None}
    annotate("cluster1")
    assert bundles(town) == {None}  # too late
    for pod in primary.objects(POD, SYSTEM_NAMESPACE, "app=istiod"):
        primary.delete(Ref(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE))
    primary.objects(POD)
    assert None not in bundles(town)  # a new istiod asks anew


def test_an_istiod_that_is_not_external_looks_after_nobody(town: Town) -> None:
    def edit(istiod: Object) -> None:
        (container,) = istiod["spec"]["template"]["spec"]["containers"]
        container["env"] = [each for each in container["env"] if each["name"] != "EXTERNAL_ISTIOD"]

    town.machine("cluster1").change(system(DEPLOYMENT, "istiod"), edit)
    door(town, "cluster1").objects(POD)
    town.machine("cluster2").change(
        Ref(MUTATING_WEBHOOK, "istio-sidecar-injector"),
        lambda hooks: [hook["clientConfig"].pop("caBundle") for hook in hooks["webhooks"]],
    )
    assert bundles(town) == {None}


# -- traffic of remotes follows from their primary's configuration


def test_a_remotes_traffic_needs_its_primarys_mesh_networks(town: Town) -> None:
    def edit(config: Object) -> None:
        document = yaml.safe_load(config["data"]["meshNetworks"])
        document["networks"]["network1"]["gateways"] = []
        config["data"]["meshNetworks"] = yaml.safe_dump(document)

    assert town.heard("cluster2") == {"v1", "v2"}
    town.machine("cluster1").change(system(CONFIG_MAP, "istio"), edit)
    assert town.heard("cluster2") == {"v2"}
    assert town.heard("cluster1") == {"v1", "v2"}


def test_a_remotes_gateway_opens_as_its_primary_says(town: Town) -> None:
    door(town, "cluster1").delete(system(ISTIO_GATEWAY, "cross-network-gateway"))
    assert town.heard("cluster1") == {"v1"}
    assert town.heard("cluster2") == {"v2"}


def test_two_primaries_need_one_root(tmp_path: Any) -> None:
    town = made(tmp_path, primaries=(None, None, "cluster2"))
    assert town.heard("cluster1") == town.heard("cluster3") == {"v1", "v2", "v3"}
    town.machine("cluster2").change(
        system(SECRET, "cacerts"), lambda s: s["data"].update({"root-cert.pem": base64.b64encode(b"other").decode()})
    )
    assert town.heard("cluster1") == {"v1"}  # the remote's proxies are signed by cluster2, as its own are
    assert town.heard("cluster2") == town.heard("cluster3") == {"v2", "v3"}


# -- gateways


def test_what_a_label_leads_to_goes_over_mesh_networks(tmp_path: Any) -> None:
    town = made(tmp_path, "external-ips", (None, None))
    machine = town.machine("cluster2")

    def mislead(service: Object) -> None:
        service["metadata"]["labels"][NETWORK_LABEL] = "network2"
        service["spec"]["externalIPs"] = ["192.0.2.99"]

    machine.change(system(SERVICE, GATEWAY_NAME), mislead)
    assert town.heard("cluster1") == {"v1"}


def test_without_a_load_balancer_the_address_stays_pending() -> None:
    outside = SimulatedOutside(1, 0)
    there = outside.cluster("cluster1", outside.machines[0].context)
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "waiting", "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }
    assert there.apply(manifest)["status"] == {"loadBalancer": {}}
    assert there.objects(SERVICE, "default", "")[-1]["status"] == {"loadBalancer": {}}
    outside.machines[0].load_balancer = True
    (ingress,) = there.objects(SERVICE, "default")[-1]["status"]["loadBalancer"]["ingress"]
    assert ingress["ip"].startswith("198.18.1.")


def test_admission_may_refuse_external_addresses() -> None:
    outside = SimulatedOutside(1, 0)
    there = outside.cluster("cluster1", outside.machines[0].context)
    manifest: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "outside", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], "externalIPs": ["192.0.2.11"]},
    }
    there.apply(manifest)
    outside.machines[0].no_external_ips = True
    there.apply(manifest)  # those that it has already are let be
    manifest["metadata"]["name"] = "second"
    with pytest.raises(NotAllowed, match="external IPs is denied"):
        there.apply(manifest, dry_run=True)


# -- addresses


def reached(outside: SimulatedOutside, here: int, address: str, port: int) -> str:
    """What curl in a Pod of that machine says."""
    there = outside.cluster(f"cluster{here}", outside.machines[here - 1].context)
    pod = Ref(POD, "coredns", "kube-system")
    argv = [
        "curl",
        "-sk",
        "--connect-timeout",
        "4",
        "-w",
        r"%{exitcode}\n",
        "-o",
        "/dev/null",
        f"https://{address}:{port}",
    ]
    return {"0": "open", "35": "open", "7": "refused", "28": "silent"}[
        there.execute(pod, "coredns", argv, seconds=9).stdout.strip()
    ]


def test_pods_reach_each_other_where_they_share_a_network() -> None:
    outside = SimulatedOutside(3, 0, flat=[1, 1, 2])
    addresses = [
        str((machine.found(Ref(POD, "coredns", "kube-system")) or {})["status"]["podIP"])
        for machine in outside.machines
    ]
    assert len(set(addresses)) == 3
    assert [reached(outside, 1, address, 53) for address in addresses] == ["open", "open", "silent"]
    assert reached(outside, 1, addresses[1], 54) == "refused"
    apart = SimulatedOutside(2, 0)
    own = (apart.machines[1].found(Ref(POD, "coredns", "kube-system")) or {})["status"]["podIP"]
    assert reached(apart, 1, own, 53) == "open"  # it is its own pod that has this address
    assert reached(apart, 1, "10.244.0.77", 53) == "silent"


def test_one_label_for_unconnected_machines_leads_nowhere(tmp_path: Any) -> None:
    town = made(tmp_path, "node-port", (None, None))
    for name in ("cluster1", "cluster2"):
        town.machine(name).change(
            Ref(NAMESPACE, SYSTEM_NAMESPACE), lambda place: place["metadata"]["labels"].update({NETWORK_LABEL: "one"})
        )
    assert town.heard("cluster1") == {"v1"}


def test_services_are_reached_over_a_route() -> None:
    outside = SimulatedOutside(2, 0, own_services=True)
    service = outside.machines[1].found(Ref(SERVICE, "kubernetes", "default")) or {}
    address = service["spec"]["clusterIP"]
    assert address.startswith("10.98.")
    assert reached(outside, 1, address, 443) == "silent"
    outside.machines[0].routes["10.98.0.0/16"] = outside.machines[1].node_address
    assert reached(outside, 1, address, 443) == "open"
    assert reached(outside, 1, "10.98.200.200", 443) == "silent"
    outside.machines[1].blocked_ports.add(443)
    assert reached(outside, 1, address, 443) == "silent"


def test_somebody_may_lay_the_route_that_was_missed() -> None:
    outside = SimulatedOutside(2, 0.02, own_services=True, person=10.0)
    address = (outside.machines[1].found(Ref(SERVICE, "kubernetes", "default")) or {})["spec"]["clusterIP"]
    assert reached(outside, 1, address, 443) == "silent"
    outside.pace.speed = 0
    assert reached(outside, 1, address, 443) == "silent"
    assert reached(outside, 1, address, 443) == "open"


def test_the_same_range_of_services_hides_the_others() -> None:
    outside = SimulatedOutside(2, 0)
    there = outside.machines[1]
    address = re.sub(r"\d+$", "250", (there.found(Ref(SERVICE, "kubernetes", "default")) or {})["spec"]["clusterIP"])
    outside.cluster("cluster2", there.context).apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "mine", "namespace": "kube-system"},
            "spec": {"clusterIP": address, "selector": {"k8s-app": "kube-dns"}, "ports": [{"port": 53}]},
        }
    )
    assert reached(outside, 2, address, 53) == "open"
    assert reached(outside, 1, address, 53) == "silent"
