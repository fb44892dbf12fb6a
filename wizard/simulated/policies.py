"""What a network plugin does with NetworkPolicies, as far as connections out of a Pod to addresses outside go."""

from __future__ import annotations

import ipaddress

from wizard.clusters.kinds import NETWORK_POLICY, Object
from wizard.clusters.selectors import selects
from wizard.simulated.machine import Machine


def lets_out(machine: Machine, pod: Object, address: str, port: int) -> bool:
    """Whether this Pod may open a connection there: where any policy isolates it, one of those must allow it."""
    labels = pod["metadata"].get("labels") or {}
    rules: list[Object] = []
    isolated = False
    for record in machine.store.all(NETWORK_POLICY, pod["metadata"]["namespace"]):
        spec = record.manifest["spec"]
        egress = spec.get("egress") or []
        if "Egress" in spec.get("policyTypes", ["Egress"] if egress else []) and selects(spec["podSelector"], labels):
            isolated = True
            rules += egress
    return not isolated or any(_allows(rule, address, port) for rule in rules)


def _allows(rule: Object, address: str, port: int) -> bool:
    ports, peers = rule.get("ports"), rule.get("to")
    if ports and not any(each.get("port", port) == port and each.get("protocol", "TCP") == "TCP" for each in ports):
        return False
    return not peers or any("ipBlock" in peer and _within(address, peer["ipBlock"]) for peer in peers)


def _within(address: str, block: Object) -> bool:
    try:
        asked = ipaddress.ip_address(address)
    except ValueError:
        return False
    return asked in ipaddress.ip_network(block["cidr"]) and not any(
        asked in ipaddress.ip_network(each) for each in block.get("except") or []
    )
