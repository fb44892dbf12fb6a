"""Is the gateway's address one that leads to it?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.kinds import Object
from wizard.clusters.nodes import addresses_to_rely_on, all_addresses, is_ready
from wizard.clusters.services import addresses_of, is_gateway, name_of
from wizard.clusters.typed import kubectl
from wizard.mesh import model
from wizard.mesh.addresses import canonical
from wizard.messages import msg
from wizard.text import listing, one_line


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    if member.gateway.exposure in ("node-port", "external-ips"):
        yield from warn_of_node(looked, msg("gateway address"), member.gateway.addresses)
    elif member.gateway.exposure == "cluster-ip-route":
        yield from _of_a_service(member, looked.services)


def _of_a_service(member: model.Cluster, services: Sequence[Object]) -> Iterable[Found]:
    for service in services:
        if not is_gateway(service) and member.gateway.address in addresses_of(service):
            yield Found(
                msg(
                    "Service address {address} is taken by {service}",
                    address=str(member.gateway.address),
                    service=name_of(service),
                ),
                msg("Choose another in gateway.address, or leave it out so that a free one is found."),
                person=True,
            )


def warn_of_node(looked: Looked, what: str, addresses: Sequence[str]) -> Iterable[Found]:
    """Warn of addresses that are no node's, or those of a node that is not Ready. Of a cluster whose nodes tell none, nothing."""
    member, nodes = looked.member, looked.nodes
    of_any, answering = all_addresses(nodes), addresses_to_rely_on(nodes)
    for address in addresses if answering else ():
        if canonical(address) not in of_any:
            yield Found(
                msg(
                    "{what} {address} is no node's address ({addresses})",
                    what=what,
                    address=address,
                    addresses=listing(map(one_line, answering)),
                ),
                msg("That is right only where something forwards it to a node."),
                severity="warning",
            )
        elif canonical(address) not in all_addresses(node for node in nodes if is_ready(node)):
            yield Found(
                msg("{what} {address} is that of a node that is not Ready", what=what, address=address),
                msg(
                    "Look at it: {command}. Or choose another, such as {address}.",
                    command=f"{kubectl(member)} get nodes -o wide",
                    address=one_line(answering[0]),
                ),
                severity="warning",
            )


CHECK = Check("gateway-address", "gateway", "error", find, at_gateways=True)
