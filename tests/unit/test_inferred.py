"""The mesh that is inferred from what stands in some clusters."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.byhand import SYSTEM, made_by_hand
from tests.unit.conftest import Setting
from wizard import yamltext
from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    MUTATING_WEBHOOK,
    NAMESPACE,
    SECRET,
    SERVICE,
    Object,
    Ref,
)
from wizard.errors import BadInput, Unreachable
from wizard.inference.inferring import Inferred, Named, infer
from wizard.mesh.document import document_of, mistakes_in
from wizard.mesh.model import Mesh
from wizard.resolve import resolve
from wizard.simulated.outside import SimulatedOutside

GATEWAY = Ref(SERVICE, "istio-eastwestgateway", SYSTEM)
ISTIOD = Ref(DEPLOYMENT, "istiod", SYSTEM)


def of(outside: SimulatedOutside, *, lenient: bool = False) -> Inferred:
    """As from the contexts alone."""
    members = [
        Named(each.context, each.kubeconfig, outside.cluster(each.context, each.context)) for each in outside.contexts()
    ]
    found = infer(members, lenient=lenient)
    assert mistakes_in(document_of(found.mesh)) == ()
    return found


@pytest.fixture(scope="module")
def by_hand() -> Setting:
    """Only looked at."""
    return made_by_hand()


def test_a_mesh_made_by_hand_is_as_it_was_made(by_hand: Setting) -> None:
    found = of(by_hand.outside)
    mesh = found.mesh
    assert (mesh.name, mesh.topology, mesh.trust_domain) == ("mesh1", "multi-primary", "cluster.local")
    assert (mesh.istio.version, mesh.istio.hub, mesh.istio.revision) == ("1.29.1", "docker.io/istio", None)
    assert mesh.certificates.source == "existing"
    assert mesh.verify.namespace == "sample"
    for number, cluster in enumerate(mesh.clusters, 1):
        assert (cluster.name, cluster.network, cluster.role) == (f"cluster{number}", f"network{number}", "primary")
        assert cluster.context == f"kubernetes-admin{number}@kubernetes"
        assert cluster.sample == f"v{number}"
        assert cluster.api_server is None
        assert cluster.gateway.exposure == "node-port"
        assert cluster.gateway.address == f"192.0.2.{10 + number}"
        assert cluster.gateway.port in range(30000, 32768)
    assert found.unexpressed == ()
    assert found.mute == ""


@pytest.mark.parametrize("exposure", ["node-port", "external-ips", "load-balancer", "cluster-ip-route"])
def test_ours_are_found_again_whatever_exposes_their_gateways(exposure: str) -> None:
    made = exposed(exposure)
    found = of(made.outside)
    for cluster, known in zip(made.mesh.clusters, found.mesh.clusters, strict=True):
        assert known.gateway.exposure == exposure
        assert known.gateway.address == cluster.gateway.address
        assert known.gateway.port == cluster.gateway.port
        assert known.gateway.labelled == cluster.gateway.labelled
    assert found.unexpressed == ()


@pytest.mark.parametrize("exposure", ["external-ips", "load-balancer"])
def test_a_remote_is_found_with_the_primary_that_serves_it(exposure: str) -> None:
    made = exposed(exposure, remote=True)
    found = of(made.outside)
    first, second = found.mesh.clusters
    assert found.mesh.topology == "primary-remote"
    assert (first.role, second.role, second.primary, second.discovery) == ("primary", "remote", "cluster1", None)
    assert (second.name, second.network) == ("cluster2", "network2")
    assert found.unexpressed == ()


def test_a_remote_that_finds_its_istiod_elsewhere_says_where() -> None:
    made = exposed("external-ips", remote=True)
    made.machine(2).change(Ref(ENDPOINT_SLICE, "istiod", SYSTEM), leading_to("192.0.2.99"))
    second = of(made.outside).mesh.clusters[1]
    assert (second.primary, second.discovery) == ("cluster1", "192.0.2.99")


def test_clusters_on_one_network_and_a_revision_are_found() -> None:
    made = finished(lambda mesh: replace(
        mesh,
        clusters=tuple(replace(each, network="network1") for each in mesh.clusters),
        istio=replace(mesh.istio, revision="blue"),
    ), flat=True)  # fmt: skip
    found = of(made.outside)
    assert {each.network for each in found.mesh.clusters} == {"network1"}
    assert found.mesh.istio.revision == "blue"
    assert found.unexpressed == ()


def test_what_proxies_are_injected_with_counts_and_the_other_is_told() -> None:
    made = made_by_hand()
    made.machine(2).change(Ref(NAMESPACE, SYSTEM), relabel("network9"))
    found = of(made.outside)
    assert found.mesh.cluster("cluster2").network == "network2"
    assert [text for text in found.unexpressed if "network9" in text]


def test_ports_and_addresses_of_the_cluster_count_not_what_mesh_networks_say_wrongly() -> None:
    made = made_by_hand()
    port = made.machine(2).found(GATEWAY)["spec"]["ports"][1]["nodePort"]  # type: ignore[index]
    made.machine(1).change(Ref(CONFIG_MAP, "istio", SYSTEM), networks("network2", "192.0.2.99", 15999))
    gateway = of(made.outside).mesh.cluster("cluster2").gateway
    assert (gateway.exposure, gateway.address, gateway.port) == ("node-port", "192.0.2.12", port)


def test_names_that_are_no_names_or_are_used_twice_give_way_to_those_of_contexts() -> None:
    made = made_by_hand()
    for number in (1, 2):
        made.machine(number).change(ISTIOD, cluster_id("Kubernetes"))
    found = of(made.outside)
    assert [each.name for each in found.mesh.clusters] == [
        "kubernetes-admin1-kubernetes",
        "kubernetes-admin2-kubernetes",
    ]
    assert len([text for text in found.unexpressed if "istiod calls it Kubernetes" in text]) == 2


def test_an_address_for_peers_that_is_not_the_kubeconfigs_is_kept() -> None:
    made = made_by_hand()
    secret = made.outside.istioctl.remote_secret(made.mesh.cluster("cluster2"), server="https://10.9.9.9:6443")
    made.machine(1).apply_as("kubectl", secret)
    assert of(made.outside).mesh.cluster("cluster2").api_server == "https://10.9.9.9:6443"


def test_a_load_balancer_that_nobody_serves_is_reached_by_its_node_port() -> None:
    made = made_by_hand()
    made.machine(2).change(GATEWAY, of_type("LoadBalancer"))
    found = of(made.outside)
    assert found.mesh.cluster("cluster2").gateway.exposure == "node-port"
    assert [text for text in found.unexpressed if "reached by its NodePort" in text]


def test_a_gateway_of_another_name_is_found_and_told() -> None:
    made = made_by_hand()
    service = made.machine(2).found(GATEWAY)
    assert service is not None
    made.machine(2).store.remove(GATEWAY)
    spec = {key: service["spec"][key] for key in ("type", "ports", "selector")}
    labels = {"istio": "eastwestgateway"}
    made.machine(2).apply_as("helm", {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "crossnet", "namespace": SYSTEM, "labels": labels}, "spec": spec,
    })  # fmt: skip
    found = of(made.outside)
    assert found.mesh.cluster("cluster2").gateway.port == service["spec"]["ports"][1]["nodePort"]
    assert "cluster2: its gateway is Service crossnet in istio-system" in found.unexpressed


def test_more_settings_than_a_mesh_file_has_are_told() -> None:
    made = made_by_hand(values={"pilot": {"traceSampling": 50}})
    made.machine(1).change(Ref(CONFIG_MAP, "istio", SYSTEM), more_config)
    told = of(made.outside).unexpressed
    assert "cluster1: its installer was given more values: pilot.traceSampling" in told
    assert "cluster1: meshConfig says more: accessLogFile, defaultConfig.concurrency" in told


def test_of_a_cluster_that_does_not_answer_its_peers_tell() -> None:
    made = made_by_hand()
    made.machine(2).unreachable = True
    with pytest.raises(Unreachable):
        of(made.outside)
    found = of(made.outside, lenient=True)
    second = found.mesh.cluster("cluster2")
    assert (second.network, second.gateway.address) == ("network2", "192.0.2.12")
    assert found.mute == ""
    made.machine(1).unreachable = True
    with pytest.raises(Unreachable):
        of(made.outside, lenient=True)


def test_where_no_istio_stands_the_cluster_is_named() -> None:
    outside = SimulatedOutside(clusters=2, speed=0)
    with pytest.raises(BadInput) as refused:
        of(outside)
    assert "kubernetes-admin1@kubernetes: no Istio stands there" in refused.value.what


def test_an_istiod_that_is_gone_leaves_a_primary() -> None:
    made = made_by_hand()
    made.machine(2).store.remove(ISTIOD)
    mesh = of(made.outside).mesh
    assert (mesh.cluster("cluster2").role, mesh.cluster("cluster2").network) == ("primary", "network2")


def test_one_context_and_twins_are_refused(by_hand: Setting) -> None:
    entry = by_hand.outside.contexts()[0]
    door = by_hand.outside.cluster("a", entry.context)
    with pytest.raises(BadInput):
        infer([Named(entry.context, None, door)])
    with pytest.raises(BadInput) as refused:
        infer([Named("one", None, door), Named("two", None, door)])
    assert "leads to the same cluster as one" in refused.value.what


def test_answers_that_do_not_tell_where_they_come_from_prove_nothing() -> None:
    made = made_by_hand()
    labels = {"app": "helloworld", "version": "v1"}
    made.machine(2).apply_as("kubectl", {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "helloworld-v1", "namespace": "sample"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": []}}},
    })  # fmt: skip
    assert "no version of helloworld" in of(made.outside).mute
    made.machine(2).store.remove(Ref(SERVICE, "helloworld", "sample"))
    assert "cluster2: no helloworld runs" in of(made.outside).mute


@pytest.mark.parametrize("text", ["[", "- a", "networks: 3", "networks: {network2: {gateways: [1, {address: 3}]}}"])
def test_what_cannot_be_read_is_no_end_of_it(text: str) -> None:
    made = made_by_hand()

    def broken(config: Object) -> None:
        config["data"] |= {"meshNetworks": text, "mesh": text}

    for number in (1, 2):
        made.machine(number).change(Ref(CONFIG_MAP, "istio", SYSTEM), broken)
        made.machine(number).change(Ref(CONFIG_MAP, "istio-sidecar-injector", SYSTEM), unreadable)
        made.machine(number).change(Ref(SECRET, f"istio-remote-secret-cluster{3 - number}", SYSTEM), garbled)
    mesh = of(made.outside).mesh
    assert [each.network for each in mesh.clusters] == ["network1", "network2"]


def test_an_injector_that_is_asked_by_url_names_its_istiod() -> None:
    made = exposed("external-ips", remote=True)

    def by_url(injector: Object) -> None:
        for hook in injector["webhooks"]:
            hook["clientConfig"] = {"url": "https://192.0.2.77:15017/inject/cluster/far/net/net7"}

    made.machine(2).change(Ref(MUTATING_WEBHOOK, "istio-sidecar-injector"), by_url)
    second = of(made.outside).mesh.clusters[1]
    assert (second.name, second.network, second.discovery) == ("far", "net7", "192.0.2.77")


def finished(change: Callable[[Mesh], Mesh], *, flat: bool = False) -> Setting:
    """A mesh of ours that stands, of another kind."""
    outside = SimulatedOutside(clusters=2, speed=0, flat=flat, own_services=True, person=0)
    for machine in outside.machines:
        machine.load_balancer = True
    mesh = change(replace(finished_names(outside), istio=replace(Mesh("m", ()).istio, version="1.29.1")))
    world = outside.world(mesh)
    made = Setting(outside, resolve(mesh, world), world)
    outcome = made.run()
    assert outcome.exit_code in (0, 3), outcome.what  # routes are laid by a person
    return made


def finished_names(outside: SimulatedOutside) -> Mesh:
    from wizard.mesh.model import Cluster

    return Mesh("mesh1", tuple(
        Cluster(f"cluster{number}", each.context, f"network{number}") for number, each in enumerate(outside.contexts(), 1)
    ))  # fmt: skip


def exposed(exposure: str, *, remote: bool = False) -> Setting:
    def change(mesh: Mesh) -> Mesh:
        clusters = [replace(each, gateway=replace(each.gateway, exposure=exposure)) for each in mesh.clusters]
        if remote:
            clusters[1] = replace(clusters[1], role="remote", primary="cluster1")
        return replace(mesh, clusters=tuple(clusters), topology="primary-remote" if remote else "multi-primary")

    return finished(change)


def relabel(network: str) -> Any:
    return lambda item: item["metadata"]["labels"].update({"topology.istio.io/network": network})


def networks(network: str, address: str, port: int) -> Any:
    def change(config: Object) -> None:
        told = yamltext.load(config["data"]["meshNetworks"])
        told["networks"][network]["gateways"] = [{"address": address, "port": port}]
        config["data"]["meshNetworks"] = yamltext.dump(told)

    return change


def cluster_id(name: str) -> Any:
    def change(istiod: Object) -> None:
        env = istiod["spec"]["template"]["spec"]["containers"][0]["env"]
        next(each for each in env if each["name"] == "CLUSTER_ID")["value"] = name

    return change


def of_type(kind: str) -> Any:
    return lambda service: service["spec"].update(type=kind)


def more_config(config: Object) -> None:
    told = yamltext.load(config["data"]["mesh"])
    told["accessLogFile"] = "/dev/stdout"
    told["defaultConfig"]["concurrency"] = 2
    config["data"]["mesh"] = yamltext.dump(told)


def leading_to(address: str) -> Any:
    return lambda piece: piece["endpoints"][0].update(addresses=[address])


def unreadable(config: Object) -> None:
    config["data"]["values"] = json.dumps([1])


def garbled(secret: Object) -> None:
    secret["data"] = dict.fromkeys(secret["data"], "!!")
