"""A cluster's Services: the range of their addresses, one that is free, and what they are called. Changes nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from wizard.clusters.kinds import SERVICE, SERVICE_CIDR, Object
from wizard.clusters.port import Cluster
from wizard.errors import Failed, NotAllowed, Unreachable
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import one_line

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Addresses for documentation: in no cluster's range.
_OUTSIDE = ("192.0.2.1", "2001:db8::1")
# The API server's words where a Service asks for an address outside the range.
_RANGE = re.compile(r"range of valid IPs is ([0-9a-fA-F.:]+/\d+)")


def service_cidrs(cluster: Cluster) -> list[str]:
    """The cluster's Service CIDRs, IPv4 first; empty where the API server does not tell. Asks for ServiceCIDR objects
    (Kubernetes 1.33 and later); elsewhere for a Service out of the range, in a dry run, whose refusal names it.
    """
    found = [str(network) for network in sorted(_declared(cluster), key=lambda network: network.version)]
    if not found:
        found = [cidr for address in _OUTSIDE for cidr in _RANGE.findall(_refusal(cluster, address))]
    return list(dict.fromkeys(found))


def free_service_address(cluster: Cluster) -> str:
    """An address of the first Service CIDR that no Service has. A dry run would not tell: it allocates nothing. Taken from
    the end of the range's lower band, from which the API server gives addresses to nobody who does not ask for one
    (KEP-3070), and where few others ask.
    """
    cidrs = service_cidrs(cluster)
    if not cidrs:
        raise Failed(
            msg("{cluster}: its Service CIDR cannot be found", cluster=cluster.name),
            msg("Give an address of it in gateway.address."),
        )
    network = ipaddress.ip_network(cidrs[0], strict=False)
    taken = {address for service in cluster.objects(SERVICE) for address in addresses_of(service)}
    band = min(max(16, network.num_addresses // 16), 256, network.num_addresses - 2)
    for offset in (*range(band - 1, 0, -1), *range(band, min(network.num_addresses - 1, 1 << 16))):
        address = str(network[offset])
        if address not in taken:
            return address
    raise Failed(
        msg("{cluster}: no address of its Service CIDR {cidr} is free", cluster=cluster.name, cidr=network),
        msg("Give one in gateway.address."),
    )


def addresses_of(service: Object) -> list[str]:
    """The addresses that a Service has of its own; `None` is among them where it is headless."""
    spec = service.get("spec") or {}
    return [*(spec.get("clusterIPs") or []), str(spec.get("clusterIP"))]


def overlap(one: str | None, other: str | None) -> bool:
    """Whether two CIDRs share addresses; False where either is none."""
    try:
        first, second = ipaddress.ip_network(str(one), strict=False), ipaddress.ip_network(str(other), strict=False)
    except ValueError:
        return False
    return first.version == second.version and first.overlaps(second)


def _declared(cluster: Cluster) -> Iterator[_Network]:
    try:
        declared = cluster.objects(SERVICE_CIDR)
    except NotAllowed:
        return
    for item in declared:
        for cidr in (item.get("spec") or {}).get("cidrs") or []:
            try:
                yield ipaddress.ip_network(cidr)
            except ValueError:
                continue


def _refusal(cluster: Cluster, address: str) -> str:
    """Why a Service may not have that address; empty where it may."""
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "meshwizard-range", "namespace": "default"},
        "spec": {"clusterIP": address, "ports": [{"port": 80}]},
    }
    try:
        cluster.apply(manifest, dry_run=True)
    except Unreachable:
        raise
    except Failed as refusal:
        return refusal.what
    return ""


def is_gateway(service: Object) -> bool:
    """Whether this is the gateway of the mesh."""
    metadata = service["metadata"]
    return (metadata["name"], metadata.get("namespace", "")) == (GATEWAY_NAME, SYSTEM_NAMESPACE)


def name_of(service: Object) -> str:
    """The Service as it is told of, printable."""
    metadata = service["metadata"]
    return one_line(
        msg("Service {name} in {namespace}", name=metadata["name"], namespace=metadata.get("namespace", ""))
    )
