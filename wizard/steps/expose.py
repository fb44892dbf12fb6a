"""What a control plane opens on the east-west gateways it configures: the mesh's services, and istiod for its remotes."""

from __future__ import annotations

from wizard import kinds
from wizard.clusters.kinds import ISTIO_GATEWAY, Object
from wizard.engine.step import Done, Probe
from wizard.istio import exposed, names
from wizard.istio.overlaid import cluster_domain, service_hosts
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import msg
from wizard.steps.declared import Declared
from wizard.text import listing, one_line
from wizard.world import World

# Served by every Istio from 1.9 on; `v1` only since 1.22.
NETWORKING = "networking.istio.io/v1alpha3"
_GATEWAY_PODS = {"istio": "eastwestgateway"}
_SELECTABLE = {**_GATEWAY_PODS, "app": GATEWAY_NAME}


class _Exposing(Declared):
    """Opens ports of the gateways. What others opened in a mesh that is theirs need not have our names."""

    def probe(self, world: World) -> Probe:
        if self.mesh.adopted:
            wanted = set().union(*map(_opened, self.manifests()))
            gateways = [
                each for each in world.cluster(self.cluster).objects(ISTIO_GATEWAY, SYSTEM_NAMESPACE) if _selects(each)
            ]
            if wanted <= set().union(*map(_opened, gateways)):
                return Done(listing(one_line(each["metadata"]["name"]) for each in gateways))
        return super().probe(world)


class ExposeServices(_Exposing):
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
        return [_manifest("Gateway", exposed.SERVICES, {"selector": dict(_GATEWAY_PODS), "servers": [server]})]


class ExposeIstiod(_Exposing):
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
            for port in exposed.ISTIOD_PORTS
        ]
        routes = [
            {
                "match": [{"port": port, "sniHosts": ["*"]}],
                "route": [{"destination": {"host": host, "port": {"number": target}}}],
            }
            for port, target in exposed.ISTIOD_PORTS.items()
        ]
        return [
            _manifest("Gateway", exposed.ISTIOD, {"selector": dict(_GATEWAY_PODS), "servers": servers}),
            _manifest(
                "VirtualService", exposed.ISTIOD_ROUTES, {"hosts": ["*"], "gateways": [exposed.ISTIOD], "tls": routes}
            ),
        ]


def _opened(gateway: Object) -> set[tuple[int, str]]:
    """(port, TLS mode) of each server of a Gateway."""
    servers = (gateway.get("spec") or {}).get("servers")
    found = set()
    for server in servers if isinstance(servers, list) else ():
        port, tls = ((server.get(key) if isinstance(server, dict) else None) for key in ("port", "tls"))
        if isinstance(port, dict) and isinstance(tls, dict):
            found.add((int(port.get("number") or 0), str(tls.get("mode"))))
    return found


def _selects(gateway: Object) -> bool:
    """Whether a Gateway is for the east-west gateway's Pods."""
    selector = (gateway.get("spec") or {}).get("selector")
    return isinstance(selector, dict) and selector.items() <= _SELECTABLE.items() and bool(selector)


def _manifest(kind: str, name: str, spec: Object) -> Object:
    return {
        "apiVersion": NETWORKING,
        "kind": kind,
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
        "spec": spec,
    }
