"""What a control plane opens on the east-west gateways it configures: the mesh's services, and istiod for its remotes."""

from __future__ import annotations

from wizard.clusters.kinds import Object
from wizard.istio import names
from wizard.istio.overlaid import cluster_domain, service_hosts
from wizard.mesh.model import GATEWAY_TLS_PORT, SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import msg
from wizard.steps import kinds
from wizard.steps.declared import Declared

# Served by every Istio from 1.9 on; `v1` only since 1.22.
NETWORKING = "networking.istio.io/v1alpha3"
_GATEWAY_PODS = {"istio": "eastwestgateway"}
# What a remote's proxies and API server ask for → the port of Service istiod that answers it.
_ISTIOD_PORTS = {15012: 15012, 15017: 443}


class ExposeServices(Declared):
    """Gateway `cross-network-gateway`: TLS passed through by SNI on port 15443, for every service of the mesh. Without it,
    peers reach the gateway and nothing answers them. It also configures the gateways of this control plane's remotes.
    """

    kind = kinds.EXPOSE_SERVICES

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__(msg("Expose services"), mesh, cluster, needs=(kinds.ISTIOD.id(cluster.name),))

    def manifests(self) -> list[Object]:
        server = {
            "port": {"number": GATEWAY_TLS_PORT, "name": "tls", "protocol": "TLS"},
            "tls": {"mode": "AUTO_PASSTHROUGH"},
            "hosts": [service_hosts(self.mesh, self.member)],
        }
        return [_manifest("Gateway", "cross-network-gateway", {"selector": dict(_GATEWAY_PODS), "servers": [server]})]


class ExposeIstiod(Declared):
    """Gateway and VirtualService that lead 15012 and 15017 on the gateway to istiod, for the proxies of remotes."""

    kind = kinds.EXPOSE_ISTIOD

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__(msg("Expose istiod"), mesh, cluster, needs=(kinds.ISTIOD.id(cluster.name),))

    def manifests(self) -> list[Object]:
        domain = cluster_domain(self.mesh, self.member)
        host = f"{names.istiod_name(self.mesh)}.{SYSTEM_NAMESPACE}.svc.{domain}"
        servers = [
            {
                "port": {"number": port, "name": f"tls-{port}", "protocol": "TLS"},
                "tls": {"mode": "PASSTHROUGH"},
                "hosts": ["*"],
            }
            for port in _ISTIOD_PORTS
        ]
        routes = [
            {
                "match": [{"port": port, "sniHosts": ["*"]}],
                "route": [{"destination": {"host": host, "port": {"number": target}}}],
            }
            for port, target in _ISTIOD_PORTS.items()
        ]
        return [
            _manifest("Gateway", "istiod-gateway", {"selector": dict(_GATEWAY_PODS), "servers": servers}),
            _manifest("VirtualService", "istiod-vs", {"hosts": ["*"], "gateways": ["istiod-gateway"], "tls": routes}),
        ]


def _manifest(kind: str, name: str, spec: Object) -> Object:
    return {
        "apiVersion": NETWORKING,
        "kind": kind,
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
        "spec": spec,
    }
