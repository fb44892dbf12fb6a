"""What a network plugin does with NetworkPolicies, as far as TCP connections out of and into a Pod go."""

from __future__ import annotations

import ipaddress

from wizard.clusters.kinds import NAMESPACE, NETWORK_POLICY, Object, Ref
from wizard.clusters.selectors import selects
from wizard.simulated.machine import Machine
from wizard.simulated.pods import containers


def lets_out(machine: Machine, pod: Object, address: str, port: int, to: Object | None = None) -> bool:
    """Whether this Pod may open a connection there: where any policy isolates it, one of those must allow it. `to`: the Pod of
    this cluster that has the address.
    """
    rules = _rules(machine, pod, "egress")
    return rules is None or any(
        _about(rule, port, to) and _among(machine, rule.get("to"), pod, address, to) for rule in rules
    )


def lets_in(machine: Machine, pod: Object, port: int, address: str, by: Object | None = None) -> bool:
    """Whether a connection to this Pod's port comes in from the address. `by`: the Pod of this cluster that has it."""
    rules = _rules(machine, pod, "ingress")
    return rules is None or any(
        _about(rule, port, pod) and _among(machine, rule.get("from"), pod, address, by) for rule in rules
    )


def _rules(machine: Machine, pod: Object, direction: str) -> list[Object] | None:
    """What is allowed; None where no policy isolates the Pod, and all is."""
    labels = pod["metadata"].get("labels") or {}
    rules: list[Object] | None = None
    for record in machine.store.all(NETWORK_POLICY, pod["metadata"]["namespace"]):
        spec = record.manifest["spec"]
        # A policy that does not say is always about what comes in.
        usual = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        types = spec.get("policyTypes") or usual
        if direction.capitalize() in types and selects(spec.get("podSelector"), labels):
            rules = [*(rules or []), *(spec.get(direction) or [])]
    return rules


def _about(rule: Object, port: int, pod: Object | None) -> bool:
    """`pod`: whose port it is, where a rule may name it."""
    return not rule.get("ports") or any(
        each.get("protocol", "TCP") == "TCP" and _port(each, port, pod) for each in rule["ports"]
    )


def _port(told: Object, port: int, pod: Object | None) -> bool:
    wanted = told.get("port", port)
    if isinstance(wanted, int):
        return wanted <= port <= int(told.get("endPort", wanted))
    named = [each for container in containers(pod) for each in container.get("ports") or []] if pod else []
    return any(each.get("name") == wanted and each.get("containerPort") == port for each in named)


def _among(machine: Machine, peers: list[Object] | None, owner: Object, address: str, pod: Object | None) -> bool:
    return not peers or any(_is(machine, peer, owner["metadata"]["namespace"], address, pod) for peer in peers)


def _is(machine: Machine, peer: Object, namespace: str, address: str, pod: Object | None) -> bool:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        return within(address, block["cidr"]) and not any(within(address, each) for each in block.get("except") or [])
    if pod is None:
        return False
    place = pod["metadata"]["namespace"]
    if "namespaceSelector" in peer:
        record = machine.store.find(Ref(NAMESPACE, place))
        labels = (record.manifest["metadata"].get("labels") or {}) if record else {}
        if not selects(peer["namespaceSelector"], labels):
            return False
    elif place != namespace:
        return False
    return selects(peer.get("podSelector"), pod["metadata"].get("labels") or {})


def within(address: str, block: str) -> bool:
    """Whether an address lies in a range, or is this one."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False
