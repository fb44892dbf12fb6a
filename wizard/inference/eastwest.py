"""The east-west gateways that stand in a cluster, whatever they are called."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.clusters.kinds import SERVICE, Object, Ref, ref_of
from wizard.clusters.port import Cluster
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.objects.eastwest import ingress_of, node_port
from wizard.objects.ownership import label

_SELECTED = (f"app={GATEWAY_NAME}", "istio=eastwestgateway", NETWORK_LABEL)


@dataclass(frozen=True)
class EastWest:
    """The Service of one. `network`: its label; `node_port`: of port 15443; `given`: by a load balancer."""

    ref: Ref
    kind: str
    network: str
    node_port: int | None
    external: tuple[str, ...]
    cluster_ip: str
    given: str
    annotations: tuple[tuple[str, str], ...]

    @property
    def usual(self) -> bool:
        """Whether it stands where ours do."""
        return (self.ref.name, self.ref.namespace) == (GATEWAY_NAME, SYSTEM_NAMESPACE)


def gateways_of(cluster: Cluster) -> tuple[EastWest, ...]:
    """Those that open port 15443; the one with the usual name first."""
    named = cluster.get(Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE))
    found = [named] if named is not None else []
    for selected in _SELECTED:
        found += cluster.objects(SERVICE, labels=selected)
    services = {str(each["metadata"].get("uid")): each for each in found if _opens(each)}
    return tuple(sorted(map(_read, services.values()), key=lambda each: (not each.usual, str(each.ref))))


def _opens(service: Object) -> bool:
    ports = (service.get("spec") or {}).get("ports") or []
    return any(port.get("port") == GATEWAY_TLS_PORT for port in ports)


def _read(service: Object) -> EastWest:
    spec = service.get("spec") or {}
    address = str(spec.get("clusterIP") or "")
    return EastWest(
        ref_of(service),
        str(spec.get("type") or "ClusterIP"),
        label(service, NETWORK_LABEL) or "",
        node_port(service),
        tuple(map(str, spec.get("externalIPs") or ())),
        "" if address == "None" else address,
        ingress_of(service) or "",
        tuple((service["metadata"].get("annotations") or {}).items()),
    )
