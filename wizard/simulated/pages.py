"""istiod's debug pages, as Istio 1.29 prints them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from wizard.clusters.kinds import POD, Object, Ref
from wizard.clusters.port import Executed
from wizard.mesh.addresses import is_ip
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.simulated import istiod, mesh, proxies, registry
from wizard.simulated.machine import Machine, Registration
from wizard.simulated.network import SIDECAR
from wizard.simulated.pace import made_uid
from wizard.simulated.pods import containers

TIMEOUT_SECONDS = 30.0  # PILOT_REMOTE_CLUSTER_TIMEOUT
_TYPES = {
    "cluster": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "listener": "type.googleapis.com/envoy.config.listener.v3.Listener",
    "route": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    "endpoint": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
}


def requested(machine: Machine, arguments: Sequence[str]) -> Executed:
    """What `pilot-discovery` with these arguments prints in istiod's container."""
    if list(arguments[:2]) != ["request", "GET"]:
        return Executed("", "unknown command (simulated)\n", 1)
    path = urlsplit(arguments[2] if len(arguments) > 2 else "").path.strip("/")
    pages = {"debug/clusterz": clusterz, "debug/networkz": _networkz, "debug/syncz": _syncz}
    if path not in pages:
        return Executed("404 page not found\n\n", "", 0)
    return Executed(json.dumps(pages[path](machine), separators=(",", ":")) + "\n", "", 0)


def clusterz(machine: Machine) -> list[Object]:
    """The clusters that istiod reads, its own first."""
    told: list[Object] = [{"id": istiod.cluster_id(machine), "syncStatus": "synced"}]
    for one in mesh.registrations(machine):
        secret = f"{SYSTEM_NAMESPACE}/{one.secret}"
        told.append({"id": one.name, "secretName": secret, "syncStatus": _status(machine, one)})
    return told


def _status(machine: Machine, one: Registration) -> str:
    if one.closed:
        return "closed"
    if registry.known(machine, one):
        return "synced"
    return "timeout" if machine.pace.now() >= one.born + TIMEOUT_SECONDS * machine.pace.speed else "syncing"


def _networkz(machine: Machine) -> list[Object] | None:
    """The gateways of all networks: of meshNetworks, and of the labelled Services of all clusters that istiod reads. Where there
    is none istiod prints `null`.
    """
    found = {
        (str(gateway["address"]), int(gateway.get("port") or 0), network, "")
        for network, entry in mesh.networks_of(machine).items()
        for gateway in entry.get("gateways") or []
        # A name that cannot be resolved is left out, and nobody resolves any here.
        if is_ip(str(gateway.get("address")))
    }
    for each in mesh.read_by(machine):
        found |= {(way.address, way.port, way.network, way.cluster) for way in mesh.labelled(each)}
    return [
        {"Network": network, "Cluster": cluster, "Addr": address, "Port": port, "HBONEPort": 0,
         "ServiceAccount": {"Namespace": "", "Name": ""}}
        for address, port, network, cluster in sorted(found)
    ] or None  # fmt: skip


def _syncz(machine: Machine) -> list[Object]:
    """The proxies that are connected to istiod, and what they have got."""
    return [_synced(*each) for other in machine.universe.machines for each in _connected(machine, other)]


def _connected(control: Machine, machine: Machine) -> Iterator[tuple[Machine, Object]]:
    with machine.settled():
        places = sorted(machine.served)
    for namespace, name in places:
        served = machine.served.get((namespace, name)) is control
        record = machine.store.find(Ref(POD, name, namespace)) if served else None
        if record and istiod.reached(machine, record.manifest) is control:
            yield machine, record.manifest


def _synced(machine: Machine, pod: Object) -> Object:
    metadata = pod["metadata"]
    nonces = {kind: made_uid(machine.context, metadata["uid"], kind) for kind in _TYPES}
    image = next(each["image"] for each in containers(pod) if each["name"] == SIDECAR)
    sent_at = machine.clock().isoformat().replace("+00:00", "Z")
    return {
        "cluster_id": registry.environment(pod["spec"], SIDECAR).get("ISTIO_META_CLUSTER_ID"),
        "proxy": f"{metadata['name']}.{metadata['namespace']}",
        "proxy_type": "router" if proxies.is_gateway(pod) else "sidecar",
        "istio_version": str(image).rpartition(":")[2],
        **{f"{kind}_{what}": nonce for kind, nonce in nonces.items() for what in ("sent", "acked")},
        "resources": {
            _TYPES[kind]: {"sent": nonce, "acked": nonce, "sentTime": sent_at} for kind, nonce in nonces.items()
        },
    }
