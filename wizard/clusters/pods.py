"""The addresses that the Pods of a cluster have."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from wizard.clusters.kinds import NODE, POD, Object
from wizard.clusters.port import Cluster
from wizard.mesh.addresses import address_of, canonical


def pod_ranges(cluster: Cluster) -> list[str]:
    """The ranges that the nodes give to their Pods, joined where they adjoin. Empty where something else than Kubernetes
    gives addresses to Pods.
    """
    return ranges_of(cluster.objects(NODE))


def ranges_of(nodes: Iterable[Object]) -> list[str]:
    """As `pod_ranges`, of nodes that were read already."""
    found: list[list[ipaddress.IPv4Network | ipaddress.IPv6Network]] = [[], []]
    for node in nodes:
        spec = node.get("spec") or {}
        for cidr in spec.get("podCIDRs") or [spec.get("podCIDR")]:
            try:
                network = ipaddress.ip_network(str(cidr), strict=False)
            except ValueError:
                continue
            found[network.version == 6].append(network)
    return [str(network) for each in found for network in ipaddress.collapse_addresses(each)]  # type: ignore[type-var]


def pod_addresses(cluster: Cluster) -> frozenset[str]:
    """The addresses that the cluster's Pods have, but those that have their node's."""
    return addresses_in(cluster.objects(POD))


def addresses_in(pods: Iterable[Object]) -> frozenset[str]:
    """As `pod_addresses`, of Pods that were read already."""
    found = set()
    for pod in pods:
        status = pod.get("status") or {}
        if (pod.get("spec") or {}).get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
            continue
        listed = [each.get("ip") for each in status.get("podIPs") or []]
        found |= {canonical(str(text)) for text in (status.get("podIP"), *listed) if address_of(text)}
    return frozenset(found)
