"""How other clusters reach a gateway that stands: its Service and meshNetworks together tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wizard.inference.eastwest import EastWest
from wizard.inference.seen import Seen
from wizard.mesh.addresses import canonical
from wizard.mesh.clusterfields import CLUSTER_FIELDS
from wizard.mesh.model import GATEWAY_TLS_PORT, Gateway

_ADDRESS = next(each for each in CLUSTER_FIELDS if each.key == "gateway.address")
Networks = Mapping[str, Any]


def exposure_of(seen: Seen, network: str, told: Sequence[Networks], *, alone: bool) -> Gateway:
    """The exposure of this cluster's gateway. `told`: the meshNetworks of all clusters; `alone`: no other cluster is on its
    network. Port and type are the Service's: where meshNetworks say another, they are wrong.
    """
    entries = [entry for networks in told for entry in entries_of(networks, network)]
    service = serving(seen, network)
    if service is None:
        return _as_told(entries) if alone else Gateway()
    own = {*seen.addresses, *map(canonical, (*service.external, service.cluster_ip, service.given))}
    mine = [address for address, _ in entries if canonical(address) in own]
    mine = list(dict.fromkeys(mine or ([address for address, _ in entries] if alone else [])))
    by_node_port = service.node_port is not None and any(
        address in mine and port == service.node_port for address, port in entries
    )
    if service.external and not by_node_port:
        return _at("external-ips", list(service.external))
    if service.kind == "NodePort" or by_node_port:
        return _at("node-port", mine or list(seen.nodes[:1]), service.node_port)
    if service.kind == "LoadBalancer":
        return _at("load-balancer", mine)
    return _at("cluster-ip-route", [service.cluster_ip] if service.cluster_ip else [])


def serving(seen: Seen, network: str) -> EastWest | None:
    """The gateway that leads to this network, of those that stand in the cluster; None where there is none."""
    fitting = [each for each in seen.gateways if each.network in ("", network)]
    return next(iter(fitting or seen.gateways), None)


def entries_of(networks: Networks, network: str) -> list[tuple[str, int]]:
    """(address, port) of the gateways that meshNetworks name for a network."""
    entry = networks.get(network)
    gateways = entry.get("gateways") if isinstance(entry, dict) else None
    found = []
    for gateway in gateways if isinstance(gateways, list) else ():
        address, port = (gateway.get("address"), gateway.get("port")) if isinstance(gateway, dict) else (None, None)
        if isinstance(address, str) and isinstance(port, int) and _ADDRESS.mistake(address) is None:
            found.append((address, port))
    return found


def _as_told(entries: Sequence[tuple[str, int]]) -> Gateway:
    """Of a gateway that nobody could look at."""
    if not entries:
        return Gateway()
    address, port = entries[0]
    if port == GATEWAY_TLS_PORT:
        return Gateway("external-ips", address)
    return Gateway("node-port", address, port)


def _at(exposure: str, addresses: list[str], port: int | None = None) -> Gateway:
    return Gateway(exposure, next(iter(addresses), None), port, more=tuple(addresses[1:]))
