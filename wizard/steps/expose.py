"""Opens the mesh's services on the east-west gateway: without it, peers reach the gateway and find nobody home."""

from __future__ import annotations

from wizard.clusters.kinds import Object
from wizard.mesh.model import GATEWAY_TLS_PORT, SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.steps.declared import Declared


class ExposeServices(Declared):
    """Gateway `cross-network-gateway`: TLS passed through by SNI on port 15443, for every service of the mesh."""

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__(
            f"{cluster.name}/expose-services", "Expose services", mesh, cluster, needs=(f"{cluster.name}/istiod",)
        )

    def manifests(self) -> list[Object]:
        server = {
            "port": {"number": GATEWAY_TLS_PORT, "name": "tls", "protocol": "TLS"},
            "tls": {"mode": "AUTO_PASSTHROUGH"},
            "hosts": ["*.local"],
        }
        return [
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "Gateway",
                "metadata": {"name": "cross-network-gateway", "namespace": SYSTEM_NAMESPACE},
                "spec": {"selector": {"istio": "eastwestgateway"}, "servers": [server]},
            }
        ]
