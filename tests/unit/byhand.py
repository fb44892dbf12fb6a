"""A mesh over simulated clusters that other hands made, as the runbook of the benchmark does (tests/bench/runbook.sh)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.unit.conftest import Setting
from wizard import yamltext
from wizard.certificates.authority import make_intermediate, make_root
from wizard.clusters.kinds import CONFIG_MAP, SERVICE, Object, Ref
from wizard.mesh.model import Cluster, Mesh
from wizard.objects.eastwest import node_port
from wizard.simulated.outside import SimulatedOutside

SYSTEM = "istio-system"
KUBECTL = "kubectl-client-side-apply"
GATEWAY_LABELS = {"istio": "eastwestgateway", "app": "istio-eastwestgateway"}


def made_by_hand(count: int = 2, values: Mapping[str, Any] | None = None) -> Setting:
    """Cluster by cluster: certificates, control plane, gateway as an install of its own, what it exposes; then meshNetworks,
    remote secrets, the sample. Nothing of it is ours. `values`: more of those that the control planes get.
    """
    outside = SimulatedOutside(clusters=count, speed=0)
    clusters = tuple(
        Cluster(name=f"cluster{index}", context=entry.context, network=f"network{index}")
        for index, entry in enumerate(outside.contexts(), 1)
    )
    made = Setting(outside, Mesh("mesh1", clusters), outside.world(Mesh("mesh1", clusters)))
    root = make_root("theirs")
    for number, cluster in enumerate(clusters, 1):
        machine = made.machine(number)
        labels = {"topology.istio.io/network": cluster.network}
        _apply(made, number, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM, "labels": labels}})
        files = make_intermediate(root, cluster.name, "cluster.local")
        _apply(made, number, {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "namespace": SYSTEM}, "type": "Opaque",
            "stringData": {name: content.decode() for name, content in files.items()},
        })  # fmt: skip
        for operator in (control_plane(cluster, values or {}), gateway(cluster)):
            outside.istioctl.install(
                cluster, yamltext.dump(operator), [], say=lambda _: None, cancelled=lambda: False, seconds=60
            )
        _apply(made, number, exposing())
        assert machine.found(Ref(SERVICE, "istio-eastwestgateway", SYSTEM))
    join(made)
    for number in range(1, count + 1):
        sample(made, number)
    for machine in outside.machines:
        machine.settle()
    return made


def control_plane(cluster: Cluster, values: Mapping[str, Any]) -> Object:
    """The runbook's first IstioOperator."""
    return {
        "apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": {"name": "control-plane"},
        "spec": {
            "profile": "minimal", "hub": "docker.io/istio", "tag": "1.29.1",
            "meshConfig": {"defaultConfig": {"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}}},
            "values": {
                "global": {
                    "meshID": "mesh1", "network": cluster.network, "multiCluster": {"clusterName": cluster.name},
                    "imagePullPolicy": "IfNotPresent",
                },
                **values,
            },
        },
    }  # fmt: skip


def gateway(cluster: Cluster) -> Object:
    """The runbook's second IstioOperator."""
    ports = [
        {"name": "status-port", "port": 15021, "targetPort": 15021},
        {"name": "tls", "port": 15443, "targetPort": 15443},
    ]
    component = {
        "name": "istio-eastwestgateway", "enabled": True, "label": GATEWAY_LABELS,
        "k8s": {
            "env": [{"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": cluster.network}],
            "service": {"type": "NodePort", "ports": ports},
        },
    }  # fmt: skip
    return {
        "apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": {"name": "eastwest"},
        "spec": {
            "profile": "empty", "hub": "docker.io/istio", "tag": "1.29.1",
            "components": {"ingressGateways": [component]},
            "values": {
                "gateways": {"istio-ingressgateway": {"injectionTemplate": "gateway"}},
                "global": {"network": cluster.network, "imagePullPolicy": "IfNotPresent"},
            },
        },
    }  # fmt: skip


def exposing() -> Object:
    """The Gateway object that opens port 15443."""
    server = {
        "port": {"number": 15443, "name": "tls", "protocol": "TLS"}, "tls": {"mode": "AUTO_PASSTHROUGH"}, "hosts": ["*.local"]
    }  # fmt: skip
    return {
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
        "metadata": {"name": "cross-network-gateway", "namespace": SYSTEM},
        "spec": {"selector": {"istio": "eastwestgateway"}, "servers": [server]},
    }  # fmt: skip


def join(made: Setting) -> None:
    """meshNetworks and remote secrets."""
    networks = {}
    for number, cluster in enumerate(made.mesh.clusters, 1):
        address = made.world.cluster(cluster.name).server.removeprefix("https://").partition(":")[0]
        port = node_port(made.machine(number).found(Ref(SERVICE, "istio-eastwestgateway", SYSTEM)))
        networks[cluster.network] = {
            "endpoints": [{"fromRegistry": cluster.name}], "gateways": [{"address": address, "port": port}],
        }  # fmt: skip
    for number, cluster in enumerate(made.mesh.clusters, 1):
        made.machine(number).change(Ref(CONFIG_MAP, "istio", SYSTEM), _with_networks({"networks": networks}))
        for peer in made.mesh.peers(cluster.name):
            server = made.world.cluster(peer.name).server
            _apply(made, number, made.outside.istioctl.remote_secret(peer, server=server))


def sample(made: Setting, number: int) -> None:
    """The runbook's sample."""
    place = {"namespace": "sample"}
    hello = {"name": "helloworld", "image": "docker.io/istio/examples-helloworld-v1:1.0",
             "env": [{"name": "SERVICE_VERSION", "value": f"v{number}"}], "ports": [{"containerPort": 5000}]}  # fmt: skip
    client = {"name": "curl", "image": "docker.io/curlimages/curl:8.16.0", "command": ["/bin/sleep", "infinity"]}
    injected = {"istio-injection": "enabled"}
    _apply(made, number, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "sample", "labels": injected}})
    _apply(made, number, {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "helloworld", "labels": {"app": "helloworld"}, **place},
        "spec": {"ports": [{"name": "http", "port": 5000}], "selector": {"app": "helloworld"}},
    })  # fmt: skip
    for name, labels, container in (
        (f"helloworld-v{number}", {"app": "helloworld", "version": f"v{number}"}, hello),
        ("curl", {"app": "curl"}, client),
    ):
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        _apply(made, number, {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, **place},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        })  # fmt: skip


def _with_networks(networks: Object) -> Any:
    def change(config: Object) -> None:
        config["data"]["meshNetworks"] = yamltext.dump(networks)

    return change


def _apply(made: Setting, number: int, manifest: Object) -> None:
    made.machine(number).apply_as(KUBECTL, manifest)
