"""What must reach what in a mesh, and how far each of these links is.

`Board` turns what an engine reports into the states of the links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from wizard.mesh.model import DEFAULT_NODE_PORT, Mesh
from wizard.mesh.rules import value_at
from wizard.text import one_line

LinkKind = Literal["api", "gateway", "discovery"]


class LinkId(NamedTuple):
    """One thing that must be reached: `source`'s istiod reads `target`'s API server (api), `source`'s pods reach
    `target`'s gateway (gateway), `source`'s proxies ask `target`'s istiod (discovery).
    """

    kind: LinkKind
    source: str
    target: str


class LinkState(StrEnum):
    WAITING = "waiting"
    WORKING = "working"
    READY = "set up"  # made, and not yet proven by traffic
    OK = "ok"
    BROKEN = "broken"
    SKIPPED = "skipped"


States = Mapping[LinkId, LinkState]
Counts = Mapping[str, Mapping[str, int]]  # cluster → version → answers heard there


@dataclass(frozen=True)
class Member:
    """A cluster as the drawing names it. All texts are printable."""

    name: str
    network: str
    version: str
    primary: str  # empty: runs its own istiod
    api: str
    address: str
    port: str

    @property
    def gateway(self) -> tuple[str, str]:
        """The gateway's place, long and short."""
        return (
            f"gateway {self.address}:{self.port}" if self.address else f"gateway :{self.port}",
            f"gateway :{self.port}",
        )


def links_of(of: Mesh | Mapping[str, Any]) -> tuple[LinkId, ...]:
    """Everything that must reach something in this mesh or mesh document."""
    return links_between(members_of(of))


class Board:
    """The states of all arrows, kept up to date from step ids and statuses as an engine reports them."""

    def __init__(self, of: Mesh | Mapping[str, Any]) -> None:
        members = members_of(of)
        self._versions = {member.name: member.version for member in members}
        self._all = links_between(members)
        self._status: dict[str, str] = {}
        self._links: dict[LinkId, LinkState] | None = None
        self.counts: dict[str, dict[str, int]] = {}

    def step(self, step: str, status: str) -> None:
        """The step of that id took this status (the engine's words)."""
        self._status[step] = str(status)
        self._links = None

    def answered(self, cluster: str, counts: Mapping[str, int]) -> None:
        """What this cluster has heard so far, by version."""
        self.counts[cluster] = dict(counts)
        self._links = None

    @property
    def links(self) -> States:
        """Every arrow's state now."""
        if self._links is None:
            self._links = {link: self._state(link) for link in self._all}
        return self._links

    def _state(self, link: LinkId) -> LinkState:
        if link.kind == "api":
            return _of_status(self._status.get(f"{link.source}/remote-secret/{link.target}"))
        if link.kind == "discovery":
            return _of_status(self._status.get(f"{link.source}/install"))
        verify = _of_status(self._status.get(f"{link.source}/verify"))
        heard = self.counts.get(link.source, {}).get(self._versions[link.target], 0)
        if heard or verify is LinkState.OK:
            return LinkState.OK
        made = [_of_status(self._status.get(f"{link.target}/{part}")) for part in ("install", "expose-services")]
        if LinkState.BROKEN in (verify, *made):
            return LinkState.BROKEN
        if verify is LinkState.SKIPPED:
            return LinkState.SKIPPED
        if all(state in (LinkState.OK, LinkState.SKIPPED) for state in made):
            return LinkState.WORKING if verify is LinkState.WORKING else LinkState.READY
        return LinkState.WAITING if all(state is LinkState.WAITING for state in made) else LinkState.WORKING


def _of_status(status: str | None) -> LinkState:
    match status:
        case "done":
            return LinkState.OK
        case "skipped":
            return LinkState.SKIPPED
        case "failed" | "conflict":
            return LinkState.BROKEN
        case "probing" | "running" | "undoing":
            return LinkState.WORKING
        case _:
            return LinkState.WAITING


def members_of(of: Mesh | Mapping[str, Any]) -> list[Member]:
    members = []
    if isinstance(of, Mesh):
        for cluster in of.clusters:
            gateway = cluster.gateway
            members.append(
                (cluster.name, cluster.network, cluster.primary, cluster.api_server, gateway.address, gateway.port)
            )
    else:
        keys = ("name", "network", "primary", "apiServer", "gateway.address", "gateway.port")
        for entry in of.get("clusters") or []:
            members.append(tuple(value_at(entry, key) for key in keys))
    return [
        Member(
            one_line(name or f"cluster {index}", 80),
            one_line(network or "no network", 80),
            f"v{index}",
            one_line(primary or "", 80),
            one_line(api or "", 80).removeprefix("https://").rstrip("/"),
            one_line(address or "", 80),
            one_line(port or DEFAULT_NODE_PORT, 20),
        )
        for index, (name, network, primary, api, address, port) in enumerate(members, 1)
    ]


def links_between(members: Sequence[Member]) -> tuple[LinkId, ...]:
    links = []
    for source in members:
        for target in members:
            if source is target:
                continue
            if source.primary:
                if source.primary == target.name:
                    links.append(LinkId("discovery", source.name, target.name))
            else:
                links.append(LinkId("api", source.name, target.name))
            links.append(LinkId("gateway", source.name, target.name))
    return tuple(links)
