"""Is the gateway's NodePort free, and one that the API server gives?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.nodeports import node_ports, preferred, spelled, used_node_ports
from wizard.clusters.port import Cluster
from wizard.mesh import model
from wizard.messages import msg


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    if member.gateway.exposure != "node-port":
        return
    taken = node_ports(looked.services).get(member.gateway.port or 0)
    if taken:
        yield Found(
            msg("NodePort {port} is taken by {service}", port=member.gateway.port, service=taken),
            msg("Choose another in gateway.port, or leave it out so that a free one is found."),
            person=True,
        )


def out_of_range(member: model.Cluster, cluster: Cluster, ports: range) -> Iterable[Found]:
    """Whether the API server has the NodePort that is wanted. `ports`: those that it gives."""
    wanted = member.gateway.port
    if wanted is None or wanted in ports:
        return
    taken = used_node_ports(cluster)
    free = next((port for port in preferred(ports) if port not in taken), None)
    yield Found(
        msg(
            "NodePort {port} is none of those that the API server of {cluster} gives, {ports}",
            port=wanted,
            cluster=member.name,
            ports=spelled(ports),
        ),
        msg("Set gateway.port of {cluster} to one of them, such as {port}.", cluster=member.name, port=free)
        if free
        else msg("Set gateway.port of {cluster} to one of them.", cluster=member.name),
        person=True,
    )


CHECK = Check("gateway-port", "gateway", "error", find, at_gateways=True)
