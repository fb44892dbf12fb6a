"""Addresses that are tried from inside a cluster, and what to do where they are closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from wizard.clusters.nodes import node_addresses
from wizard.clusters.port import Cluster
from wizard.errors import Failed
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import counted, joined, msg
from wizard.probes.curlpod import Answer, probe_labels
from wizard.probes.policies import limiting
from wizard.text import listing, one_line

PATIENCE = 3.0  # seconds for which an address may stay closed
_SHOWN = 6  # node addresses that a remedy lists


@dataclass(frozen=True)
class Target:
    """One address to try, of that `peer`. `what`: what is there. `refused`: whether a refusal will do, since nobody may listen
    yet but the path is open. `patience`: for how many seconds it may be closed, `opening`: and refuse. `remedy`: what to do
    where it is closed, None: open the port.
    """

    peer: str
    what: str
    url: str
    refused: bool = False
    patience: float = PATIENCE
    opening: float = PATIENCE
    remedy: str | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Its host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 443

    def open(self, answer: Answer) -> bool:
        """Whether it can be used."""
        return answer.answered or (self.refused and (answer.connected or answer.refused))

    def may_open(self, answer: Answer, elapsed: float) -> bool:
        """Whether it is worth trying again after that many seconds."""
        return elapsed < (max(self.opening, self.patience) if answer.refused else self.patience)


def remedy_for(closed: Mapping[Target, Answer], cluster: Cluster) -> str:
    """What to do about addresses that answered so, tried from inside this cluster."""
    lines = list(dict.fromkeys(target.remedy for target in closed if target.remedy))
    if not all(answer.connected or answer.refused for answer in closed.values()):
        limits = limiting(cluster, SYSTEM_NAMESPACE, probe_labels(""))
        lines += [limits] if limits else []
    ports: dict[str, list[str]] = {}
    for target, answer in closed.items():
        host, port = target.place
        if answer.unresolved:
            resolve = msg(
                "Let Pods of {cluster} resolve {host}, or give an IP address in its place.",
                cluster=cluster.name, host=host,
            )  # fmt: skip
            lines.append(resolve)
        elif target.remedy is None:
            ports.setdefault(host, []).append(str(port))
    if ports:
        where = listing(
            msg("{host} port {ports}", host=host, ports=listing(dict.fromkeys(each))) for host, each in ports.items()
        )
        nodes = _nodes(cluster)
        lines.append(
            msg("Open, in firewalls and security groups, TCP from {nodes} to {places}.", nodes=nodes, places=where)
        )
    if any(answer.refused for answer in closed.values()):
        lines.append(
            msg("A refusal may also mean that nothing listens there: see that it runs, and under that address.")
        )
    return joined(dict.fromkeys(lines))


def _nodes(cluster: Cluster) -> str:
    try:
        addresses = [one_line(address) for address in node_addresses(cluster)]
    except Failed:
        addresses = []
    if not addresses:
        return msg("the nodes of {cluster}", cluster=cluster.name)
    told, more = ", ".join(addresses[:_SHOWN]), len(addresses) - _SHOWN
    if more > 0:
        told = counted("{addresses} and {count} more", "{addresses} and {count} more", more, addresses=told)
    return msg("the nodes of {cluster} ({addresses})", cluster=cluster.name, addresses=told)
