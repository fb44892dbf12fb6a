"""The one IstioOperator of a cluster: control plane, east-west gateway and meshNetworks in a single install.

It is named, and keeps its name for life: applied again without a name, istioctl would prune the gateway. meshNetworks stands in
its values, because istioctl overwrites the ConfigMap from there on every install.
"""

from __future__ import annotations

import functools
from typing import Any

from wizard import yamltext
from wizard.clusters.kinds import Object
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, SYSTEM_NAMESPACE, Cluster, Mesh

OPERATOR_NAME = "meshwizard"
_LABELS = {"app": GATEWAY_NAME, "istio": "eastwestgateway"}


def mesh_networks(mesh: Mesh) -> Object:
    """The `meshNetworks` of this mesh: for each network the clusters in it and the gateways that lead there."""
    networks: Object = {}
    for cluster in mesh.clusters:
        entry = networks.setdefault(cluster.network, {"endpoints": [], "gateways": []})
        entry["endpoints"].append({"fromRegistry": cluster.name})
        entry["gateways"].append({"address": cluster.gateway.address, "port": cluster.gateway.port})
    return networks


def operator_of(mesh: Mesh, cluster: Cluster) -> Object:
    """The IstioOperator of this cluster. The mesh must be settled: version, addresses and ports known."""
    spec: Object = {
        # No ingress gateway: the mesh does not need one, and without a load balancer it would stay <pending>.
        "profile": "minimal",
        "hub": mesh.istio.hub,
        "tag": mesh.istio.version,
        "meshConfig": {
            "trustDomain": mesh.trust_domain,
            # Sidecars answer DNS themselves, so that a Service that exists only in another cluster can be named.
            "defaultConfig": {"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}},
        },
        "components": {
            "ingressGateways": [
                {
                    "name": GATEWAY_NAME,
                    "enabled": True,
                    # Not labelled with the network: istiod would add what it finds there to meshNetworks.
                    "label": dict(_LABELS),
                    "k8s": {
                        "env": [{"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": cluster.network}],
                        "service": {"type": "NodePort", "ports": _ports(cluster)},
                    },
                }
            ]
        },
        "values": {
            "gateways": {"istio-ingressgateway": {"injectionTemplate": "gateway"}},
            "global": {
                "meshID": mesh.name,
                "network": cluster.network,
                "multiCluster": {"clusterName": cluster.name},
                # Also for the gateway, whose `image: auto` would otherwise be pulled every time.
                "imagePullPolicy": mesh.istio.image_pull_policy,
                "meshNetworks": mesh_networks(mesh),
            },
        },
    }
    return {
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "metadata": {"name": OPERATOR_NAME, "namespace": SYSTEM_NAMESPACE},
        "spec": spec,
    }


@functools.cache
def operator_yaml(mesh: Mesh, cluster: Cluster) -> str:
    """`operator_of`, as istioctl reads it."""
    return yamltext.dump(operator_of(mesh, cluster))


def _ports(cluster: Cluster) -> list[dict[str, Any]]:
    return [
        {"name": "status-port", "port": 15021, "targetPort": 15021},
        {"name": "tls", "port": GATEWAY_TLS_PORT, "targetPort": GATEWAY_TLS_PORT, "nodePort": cluster.gateway.port},
        {"name": "tls-istiod", "port": 15012, "targetPort": 15012},
        {"name": "tls-webhook", "port": 15017, "targetPort": 15017},
    ]
