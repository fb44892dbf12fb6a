"""The demo's traffic is honest: break one thing, and just the answers go that would go in a real mesh."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ISTIO_GATEWAY,
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE,
    Object,
    Ref,
)
from wizard.clusters.port import Executed
from wizard.istio.operator import operator_yaml
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE, Mesh
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.machine import Machine
from wizard.simulated.outside import SimulatedOutside

TIMEOUT = "curl: (28) Operation timed out after 2000 milliseconds with 0 bytes received"
CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
REFUSED = "Connection refused"
RESET = "Connection reset by peer"


def system(kind: Any, name: str) -> Ref:
    return Ref(kind, name, SYSTEM_NAMESPACE)


class Universe:
    """A mesh that stands, made without the wizard's steps."""

    def __init__(self, clusters: int = 2, *, flat: bool = False, version: str = "1.29.1") -> None:
        """`flat`: all on one network."""
        self.outside = SimulatedOutside(clusters, speed=0, flat=flat, istio=version)
        self.machines = self.outside.machines
        members = tuple(
            model.Cluster(
                f"cluster{machine.index}", machine.context, f"network{1 if flat else machine.index}",
                gateway=model.Gateway(address=machine.node_address, port=31443),
            )
            for machine in self.machines
        )  # fmt: skip
        self.mesh = Mesh("mesh1", members, istio=model.Istio(version=version))
        for member in members:
            self._build(member)
        for member in members:
            for peer in self.mesh.peers(member.name):
                self.connect(member.name, peer.name)

    def door(self, name: str) -> SimulatedCluster:
        return self.outside.cluster(name, self.mesh.cluster(name).context)

    def machine(self, name: str) -> Machine:
        return self.outside.machine(self.mesh.cluster(name).context)

    def connect(self, here: str, peer: str, server: str = "") -> None:
        """The remote secret with which `here` reads `peer`."""
        member = self.mesh.cluster(peer)
        secret = self.outside.istioctl.remote_secret(member, server=server or self.machine(peer).server)
        self.door(here).apply(secret)

    def restart_pods(self, name: str, namespace: str = "sample") -> None:
        door = self.door(name)
        for pod in door.objects(POD, namespace):
            door.delete(Ref(POD, pod["metadata"]["name"], namespace))

    def ask(self, name: str, times: int = 12, *options: str) -> Executed:
        """What the client in that cluster hears. `options`: of curl, beside the usual."""
        door = self.door(name)
        (pod,) = door.objects(POD, "sample", "app=curl")
        url = f"http://helloworld.sample:5000/hello?n=[1-{times}]"
        argv = ["curl", "-sS", "--max-time", "2", *options, url]
        return door.execute(Ref(POD, pod["metadata"]["name"], "sample"), "curl", argv, seconds=600)

    def heard(self, name: str) -> list[str]:
        """The versions that answer that cluster's client."""
        # Envoy's own answers end without a newline: a version may stand behind one on the same line.
        return sorted(set(re.findall(r"Hello version: (v\d+), instance", self.ask(name).stdout)))

    def _build(self, member: model.Cluster) -> None:
        door, name = self.door(member.name), member.name
        labels = {"topology.istio.io/network": member.network}
        door.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE, "labels": labels}})
        door.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "cacerts", "namespace": SYSTEM_NAMESPACE},
                "stringData": {"root-cert.pem": "the root", "ca-cert.pem": f"intermediate of {name}"},
            }
        )
        self.outside.istioctl.install(
            member, operator_yaml(self.mesh, member), (), say=lambda _: None, cancelled=lambda: False, seconds=60
        )
        server = {
            "port": {"number": 15443, "name": "tls", "protocol": "TLS"},
            "tls": {"mode": "AUTO_PASSTHROUGH"},
            "hosts": ["*.local"],
        }
        door.apply(
            {
                "apiVersion": ISTIO_GATEWAY.api_version,
                "kind": "Gateway",
                "metadata": {"name": "cross-network-gateway", "namespace": SYSTEM_NAMESPACE},
                "spec": {"selector": {"istio": "eastwestgateway"}, "servers": [server]},
            }
        )
        injected = {"istio-injection": "enabled"}
        door.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sample", "labels": injected}})
        door.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "helloworld", "namespace": "sample"},
                "spec": {"ports": [{"name": "http", "port": 5000}], "selector": {"app": "helloworld"}},
            }
        )
        version = self.mesh.sample_version(name)
        for app, more in (("helloworld", {"version": version}), ("curl", {})):
            labels = {"app": app, **more}
            container = {"name": app, "image": f"docker.io/istio/{app}:1.0"}
            door.apply(
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": {"name": "-".join(labels.values()), "namespace": "sample"},
                    "spec": {
                        "selector": {"matchLabels": labels},
                        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
                    },
                }
            )


@pytest.fixture
def universe() -> Universe:
    return Universe()


def test_everybody_answers_everybody(universe: Universe) -> None:
    assert universe.heard("cluster1") == ["v1", "v2"]
    assert universe.heard("cluster2") == ["v1", "v2"]


def test_three_clusters_take_turns() -> None:
    universe = Universe(3)
    lines = universe.ask("cluster2", 12).stdout.splitlines()
    assert len(lines) == 12
    for version in ("v1", "v2", "v3"):
        answers = [
            line for line in lines if line.startswith(f"Hello version: {version}, instance: helloworld-{version}-")
        ]
        assert len(answers) == 4


def test_one_request_is_one_answer(universe: Universe) -> None:
    door = universe.door("cluster1")
    (pod,) = door.objects(POD, "sample", "app=curl")
    argv = ["curl", "-sS", "http://helloworld.sample:5000/hello"]
    done = door.execute(Ref(POD, pod["metadata"]["name"], "sample"), "curl", argv, seconds=5)
    assert done.code == 0
    assert len(done.stdout.splitlines()) == 1


# -- break one thing in cluster2, and cluster1 must not hear it, while cluster2's own client still hears cluster1.


def no_remote_secret(universe: Universe) -> None:
    universe.door("cluster1").delete(system(SECRET, "istio-remote-secret-cluster2"))


def secret_with_another_name(universe: Universe) -> None:
    def rename(secret: Object) -> None:
        secret["data"] = {"cluster-two": secret["data"]["cluster2"]}

    universe.machine("cluster1").change(system(SECRET, "istio-remote-secret-cluster2"), rename)


def secret_for_another_server(universe: Universe) -> None:
    no_remote_secret(universe)
    universe.connect("cluster1", "cluster2", server="https://192.0.2.200:6443")


def secret_without_its_label(universe: Universe) -> None:
    universe.machine("cluster1").change(
        system(SECRET, "istio-remote-secret-cluster2"), lambda secret: secret["metadata"]["labels"].clear()
    )


def revoked_token(universe: Universe) -> None:
    universe.door("cluster2").delete(system(SECRET, "istio-reader-service-account-istio-remote-secret-token"))


def secret_that_changed_in_place(universe: Universe) -> None:
    """To what would lead there as well."""
    assert universe.heard("cluster1") == ["v1", "v2"]  # it was taken up
    universe.machine("cluster1").change(system(SECRET, "istio-remote-secret-cluster2"), in_other_bytes)


def in_other_bytes(secret: Object) -> None:
    kubeconfig = base64.b64decode(secret["data"]["cluster2"])
    secret["data"]["cluster2"] = base64.b64encode(b"# other bytes\n" + kubeconfig).decode()


def peer_does_not_run_the_sample(universe: Universe) -> None:
    universe.door("cluster2").delete(Ref(DEPLOYMENT, "helloworld-v2", "sample"))


def peer_is_not_injected(universe: Universe) -> None:
    universe.machine("cluster2").change(
        Ref(NAMESPACE, "sample"), lambda namespace: namespace["metadata"]["labels"].pop("istio-injection")
    )
    for pod in universe.door("cluster2").objects(POD, "sample", "app=helloworld"):
        universe.door("cluster2").delete(Ref(POD, pod["metadata"]["name"], "sample"))


@pytest.mark.parametrize(
    "broken",
    [
        no_remote_secret,
        secret_with_another_name,
        secret_for_another_server,
        secret_without_its_label,
        secret_that_changed_in_place,
        revoked_token,
        peer_does_not_run_the_sample,
        peer_is_not_injected,
    ],
)
def test_what_istiod_does_not_know_is_silently_missing(universe: Universe, broken: Callable[[Universe], None]) -> None:
    broken(universe)
    done = universe.ask("cluster1")
    assert (done.stderr, done.code) == ("", 0)
    assert universe.heard("cluster1") == ["v1"]
    assert "v1" in universe.heard("cluster2")


def status(universe: Universe) -> str:
    """What cluster1's istiod says of cluster2."""
    door = universe.door("cluster1")
    (pod,) = door.objects(POD, SYSTEM_NAMESPACE, "app=istiod")
    argv = ["pilot-discovery", "request", "GET", "/debug/clusterz"]
    told = door.execute(system(POD, pod["metadata"]["name"]), "discovery", argv, seconds=5).stdout
    return {each["id"]: each["syncStatus"] for each in json.loads(told)}.get("cluster2", "")


def made_anew(universe: Universe) -> None:
    no_remote_secret(universe)
    universe.connect("cluster1", "cluster2")


@pytest.mark.parametrize(
    "cure", [made_anew, lambda universe: universe.restart_pods("cluster1", SYSTEM_NAMESPACE)], ids=["secret", "istiod"]
)
def test_a_secret_that_changed_in_place_is_not_read_until_it_or_istiod_is_made_anew(
    universe: Universe, cure: Callable[[Universe], None]
) -> None:
    ref, machine = system(SECRET, "istio-remote-secret-cluster2"), universe.machine("cluster1")
    before = (machine.found(ref) or {})["data"]
    machine.change(ref, lambda secret: secret["metadata"]["labels"].update(more="marks"))
    assert status(universe) == "synced"
    machine.change(ref, in_other_bytes)
    assert status(universe) == "closed"
    machine.change(ref, lambda secret: secret.update(data=before))
    assert status(universe) == "closed"
    cure(universe)
    assert status(universe) == "synced"
    assert universe.heard("cluster1") == ["v1", "v2"]


def networks(how: Callable[[dict[str, Any]], None]) -> Callable[[Universe], None]:
    """Edit the meshNetworks that cluster1's istiod works with."""

    def edit(config: Object) -> None:
        document = yaml.safe_load(config["data"]["meshNetworks"])
        how(document["networks"])
        config["data"]["meshNetworks"] = yaml.safe_dump(document)

    return lambda universe: universe.machine("cluster1").change(system(CONFIG_MAP, "istio"), edit)


def label(value: str | None) -> Callable[[Universe], None]:
    """Give cluster2's istio-system another network label."""

    def edit(namespace: Object) -> None:
        labels = namespace["metadata"]["labels"]
        labels.pop("topology.istio.io/network")
        if value:
            labels["topology.istio.io/network"] = value

    return lambda universe: universe.machine("cluster2").change(Ref(NAMESPACE, SYSTEM_NAMESPACE), edit)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(networks(lambda all_: all_.pop("network2")), id="no entry in meshNetworks"),
        pytest.param(networks(lambda all_: all_["network2"].update(gateways=[])), id="no gateway in meshNetworks"),
        pytest.param(
            networks(lambda all_: all_["network2"].update(endpoints=[{"fromRegistry": "cluster9"}])),
            id="other registry",
        ),
        pytest.param(
            networks(lambda all_: all_["network2"]["gateways"][0].update(address="192.0.2.77")), id="nobody's address"
        ),
        pytest.param(label("network1"), id="the same network label twice"),
        pytest.param(label("network9"), id="label without an entry"),
        pytest.param(label(None), id="no label"),
        pytest.param(lambda universe: universe.machine("cluster2").blocked_ports.add(31443), id="firewall"),
    ],
)
def test_what_leads_nowhere_times_out(universe: Universe, broken: Callable[[Universe], None]) -> None:
    broken(universe)
    done = universe.ask("cluster1", 4)
    assert done.stdout.count("Hello version: v1") == 2
    assert done.stderr.splitlines() == [TIMEOUT, TIMEOUT]
    assert universe.heard("cluster1") == ["v1"]


def gateway_port(universe: Universe) -> None:
    networks(lambda all_: all_["network2"]["gateways"][0].update(port=15443))(universe)


def gateway_not_ready(universe: Universe) -> None:
    machine = universe.machine("cluster2")
    machine.missing_images.add("docker.io/istio/proxyv2")
    for pod in universe.door("cluster2").objects(POD, SYSTEM_NAMESPACE, f"app={GATEWAY_NAME}"):
        universe.door("cluster2").delete(system(POD, pod["metadata"]["name"]))


def other_node_port(universe: Universe) -> None:
    def edit(service: Object) -> None:
        next(port for port in service["spec"]["ports"] if port["port"] == 15443)["nodePort"] = 31999

    universe.machine("cluster2").change(system(SERVICE, GATEWAY_NAME), edit)


def no_gateway_service(universe: Universe) -> None:
    universe.door("cluster2").delete(system(SERVICE, GATEWAY_NAME))


def not_exposed(universe: Universe) -> None:
    universe.door("cluster2").delete(system(ISTIO_GATEWAY, "cross-network-gateway"))


def exposed_by_terminating(universe: Universe) -> None:
    universe.machine("cluster2").change(
        system(ISTIO_GATEWAY, "cross-network-gateway"),
        lambda gateway: gateway["spec"]["servers"][0]["tls"].update(mode="SIMPLE"),
    )


def exposed_on_another_gateway(universe: Universe) -> None:
    universe.machine("cluster2").change(
        system(ISTIO_GATEWAY, "cross-network-gateway"),
        lambda gateway: gateway["spec"].update(selector={"istio": "ingressgateway"}),
    )


def someone_elses_gateway(universe: Universe) -> None:
    address = universe.machine("cluster3").node_address
    networks(lambda all_: all_["network2"]["gateways"][0].update(address=address))(universe)


def other_root(universe: Universe) -> None:
    universe.machine("cluster2").change(
        system(SECRET, "cacerts"), lambda s: s["data"].update({"root-cert.pem": base64.b64encode(b"other").decode()})
    )


def no_cacerts(universe: Universe) -> None:
    universe.door("cluster2").delete(system(SECRET, "cacerts"))


def other_trust_domain(universe: Universe) -> None:
    universe.machine("cluster2").change(
        system(CONFIG_MAP, "istio"), lambda config: config["data"].update(mesh="trustDomain: other.example")
    )


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (gateway_port, REFUSED),
        (gateway_not_ready, REFUSED),
        (other_node_port, REFUSED),
        (no_gateway_service, REFUSED),
        (not_exposed, REFUSED),
        (exposed_by_terminating, RESET),
        (exposed_on_another_gateway, REFUSED),
        (someone_elses_gateway, RESET),
        (other_root, CERTIFICATE),
        (no_cacerts, CERTIFICATE),
        (other_trust_domain, CERTIFICATE),
    ],
)
def test_what_is_refused_says_why(broken: Callable[[Universe], None], said: str) -> None:
    universe = Universe(3)
    broken(universe)
    done = universe.ask("cluster1", 9)
    assert done.code == 0
    assert done.stdout.count("upstream connect error") == done.stdout.count(said) == 3
    # Just this one peer is missing.
    assert universe.heard("cluster1") == ["v1", "v3"]


def test_a_peer_whose_api_server_is_silent_is_not_known(universe: Universe) -> None:
    universe.machine("cluster2").unreachable = True
    assert universe.heard("cluster1") == ["v1"]


def test_one_label_for_two_networks_hides_the_gateway(universe: Universe) -> None:
    label("network1")(universe)
    networks(lambda all_: all_["network1"].update(all_["network2"]))(universe)
    assert universe.ask("cluster1", 2).stderr.splitlines() == [TIMEOUT]


def test_without_the_service_the_name_is_unknown(universe: Universe) -> None:
    universe.door("cluster1").delete(Ref(SERVICE, "helloworld", "sample"))
    done = universe.ask("cluster1", 2)
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["curl: (6) Could not resolve host: helloworld.sample"] * 2
    assert done.code == 6
    assert universe.heard("cluster2") == ["v2"]


def test_without_any_endpoint_nobody_is_healthy(universe: Universe) -> None:
    for name in ("cluster1", "cluster2"):
        universe.door(name).delete(Ref(DEPLOYMENT, f"helloworld-v{name[-1]}", "sample"))
    assert universe.ask("cluster1", 2).stdout == "no healthy upstream" * 2


def test_a_client_without_a_sidecar_hears_only_its_own(universe: Universe) -> None:
    for name in ("istio-sidecar-injector", "istio-revision-tag-default"):
        universe.door("cluster1").delete(Ref(MUTATING_WEBHOOK, name))
    universe.restart_pods("cluster1")
    assert universe.heard("cluster1") == ["v1"]


def test_pods_wait_for_a_webhook_that_does_not_answer(universe: Universe) -> None:
    door = universe.door("cluster1")
    door.delete(system(DEPLOYMENT, "istiod"))
    universe.restart_pods("cluster1")
    assert door.objects(POD, "sample") == []


def test_a_new_secret_takes_a_moment() -> None:
    universe = Universe()
    no_remote_secret(universe)
    universe.outside.pace.speed = 0.05
    universe.connect("cluster1", "cluster2")
    assert universe.heard("cluster1") == ["v1"]
    universe.outside.pace.speed = 0
    assert universe.heard("cluster1") == ["v1", "v2"]
