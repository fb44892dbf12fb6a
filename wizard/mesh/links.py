"""What must reach what in a mesh, and the words for how far each of these links is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from wizard.mesh.model import DEFAULT_NODE_PORT, Cluster, Gateway, Mesh
from wizard.mesh.rules import exposure_of, gateway_addresses, is_remote, primary_of, value_at
from wizard.messages import msg
from wizard.text import one_line

LinkKind = Literal["api", "discovery", "gateway", "pods"]


class LinkId(NamedTuple):
    """One thing that must be reached: `source`'s istiod reads `target`'s API server (api), `source`'s proxies ask
    `target`'s istiod (discovery), `source`'s pods reach those of `target` through its gateway (gateway) or, on one
    network, directly (pods).
    """

    kind: LinkKind
    source: str
    target: str


class LinkState(StrEnum):
    """How far a link between two clusters is. The drawing has its own words for them."""

    WAITING = "waiting"
    WORKING = "working"
    READY = "set up"  # made, and not yet proven by traffic
    OK = "ok"
    BROKEN = "broken"
    SKIPPED = "skipped"


States = Mapping[LinkId, LinkState]
Counts = Mapping[str, Mapping[str, int]]  # cluster → version → answers heard there
Causes = Mapping[LinkId, str]  # why a link is broken, in a few words


@dataclass(frozen=True)
class Member:
    """A cluster as the drawing names it. All texts are printable."""

    name: str
    network: str
    version: str
    remote: bool  # is served by another's istiod
    primary: str  # of a remote: whose; empty where nobody said so yet
    api: str
    address: str
    port: str

    @property
    def gateway(self) -> tuple[str, str]:
        """The gateway's place, long and short."""
        short = msg("gateway :{port}", port=self.port)
        if not self.address:
            return short, short
        return msg("gateway {address}:{port}", address=self.address, port=self.port), short


def links_of(of: Mesh | Mapping[str, Any]) -> tuple[LinkId, ...]:
    """Everything that must reach something in this mesh or mesh document."""
    return links_between(members_of(of))


def members_of(of: Mesh | Mapping[str, Any]) -> list[Member]:
    """The clusters of a mesh, or of a mesh document however unfinished it is."""
    mesh = of if isinstance(of, Mesh) else _lenient(of)
    return [
        Member(
            one_line(cluster.name, 80),
            one_line(cluster.network or msg("no network"), 80),
            one_line(mesh.sample_version(cluster.name), 20),
            cluster.role == "remote",
            one_line(cluster.primary or "", 80),
            one_line(cluster.api_server or "", 80).removeprefix("https://").rstrip("/"),
            one_line(cluster.gateway.address or "", 80),
            one_line(cluster.gateway.tls_port or DEFAULT_NODE_PORT, 20),
        )
        for cluster in mesh.clusters
    ]


def _lenient(document: Mapping[str, Any]) -> Mesh:
    """A mesh of what this document tells of its clusters, right or wrong."""
    entries = [entry for entry in document.get("clusters") or [] if isinstance(entry, Mapping)]

    def text(entry: Mapping[str, Any], key: str) -> str:
        value = value_at(entry, key)
        return "" if value is None else str(value)

    return Mesh(
        "",
        tuple(
            Cluster(
                text(entry, "name") or msg("cluster {number}", number=index),
                "",
                text(entry, "network"),
                role="remote" if is_remote(entry) else "primary",
                primary=primary_of(entry, entries),
                api_server=text(entry, "apiServer"),
                gateway=Gateway(
                    exposure_of(entry, entries),
                    next(iter(gateway_addresses(entry)), None),
                    value_at(entry, "gateway.port"),
                ),
                sample=text(entry, "sample") or None,
            )
            for index, entry in enumerate(entries, 1)
        ),
    )


def links_between(members: Sequence[Member]) -> tuple[LinkId, ...]:
    """For each pair in turn: first what its control plane needs, then what its pods need."""
    links = []
    for source in members:
        for target in members:
            if source is target:
                continue
            if not source.remote:
                links.append(LinkId("api", source.name, target.name))
            elif source.primary == target.name:
                links.append(LinkId("discovery", source.name, target.name))
            links.append(LinkId("pods" if source.network == target.network else "gateway", source.name, target.name))
    return tuple(links)
