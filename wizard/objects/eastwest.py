"""What the objects of an east-west gateway are called, and what its Service tells of its addresses."""

from __future__ import annotations

from wizard.clusters.kinds import DEPLOYMENT, SERVICE, Object, Ref
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, SYSTEM_NAMESPACE
from wizard.text import one_line

GATEWAY = Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)
GATEWAY_SERVICE = Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE)
SERVICE_TYPES = {
    "node-port": "NodePort",
    "external-ips": "ClusterIP",
    "cluster-ip-route": "ClusterIP",
    "load-balancer": "LoadBalancer",
}


def node_port(service: Object | None) -> int | None:
    """The NodePort of the gateway's TLS port, None where there is none."""
    for port in ((service or {}).get("spec") or {}).get("ports") or []:
        if port.get("port") == GATEWAY_TLS_PORT:
            found = port.get("nodePort")
            return int(found) if found else None
    return None


def ingress_of(service: Object | None) -> str | None:
    """The IP address or host name that the load balancer gave to this Service; None where it has none yet."""
    status = ((service or {}).get("status") or {}).get("loadBalancer") or {}
    for ingress in status.get("ingress") or []:
        found = ingress.get("ip") or ingress.get("hostname")
        if found:
            return one_line(found)
    return None
