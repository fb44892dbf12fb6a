"""What must reach what in a mesh, and how far each of these links is.

`Board` turns what an engine reports into the states of the links.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from wizard.mesh.model import DEFAULT_NODE_PORT, Cluster, Gateway, Mesh
from wizard.mesh.rules import exposure_of, gateway_addresses, is_remote, primary_of, value_at
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
    remote: bool  # is served by another's istiod
    primary: str  # of a remote: whose; empty where nobody said so yet
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


def members_of(of: Mesh | Mapping[str, Any]) -> list[Member]:
    """The clusters of a mesh, or of a mesh document however unfinished it is."""
    mesh = of if isinstance(of, Mesh) else _lenient(of)
    return [
        Member(
            one_line(cluster.name, 80),
            one_line(cluster.network or "no network", 80),
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
                text(entry, "name") or f"cluster {index}",
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


GUARDS: Mapping[LinkKind, tuple[str, ...]] = {
    "api": ("reach-api", "reach-peers"), "discovery": ("reach-discovery",),
    "gateway": ("reach-gateways",), "pods": ("reach-gateways",),
}  # fmt: skip


class Board:
    """The states of all links, kept up to date from step ids and statuses as an engine reports them."""

    def __init__(self, of: Mesh | Mapping[str, Any]) -> None:
        self._members = {member.name: member for member in members_of(of)}
        self._status: dict[str, str] = {}
        self._detail: dict[str, str] = {}
        self._touching: dict[str, list[LinkId]] = {name: [] for name in self._members}  # cluster → its links
        self._served: dict[str, list[str]] = {name: [] for name in self._members}  # primary → its remotes
        self._links: dict[LinkId, LinkState] = {}
        for link in links_between(list(self._members.values())):
            self._links[link] = LinkState.WAITING
            self._touching[link.source].append(link)
            self._touching[link.target].append(link)
        for member in self._members.values():
            self._served.get(member.primary, []).append(member.name)
        self._stale: set[str] = set()  # clusters whose links are to be looked at again
        self.counts: dict[str, dict[str, int]] = {}

    def step(self, step: str, status: str, detail: str = "") -> None:
        """The step of that id took this status (the engine's words). `detail`: what it said, which may name peers."""
        self._status[step], self._detail[step] = str(status), detail
        cluster = step.partition("/")[0]
        if cluster in self._touching:
            self._stale.update((cluster, *self._served[cluster]))

    def answered(self, cluster: str, counts: Mapping[str, int]) -> None:
        """What this cluster has heard so far, by version."""
        self.counts[cluster] = dict(counts)
        if cluster in self._touching:
            self._stale.add(cluster)

    @property
    def links(self) -> States:
        """Every link's state now."""
        if self._stale:
            for link in {link for cluster in self._stale for link in self._touching[cluster]}:
                self._links[link] = self._state(link)
            self._stale.clear()
        return dict(self._links)

    def _state(self, link: LinkId) -> LinkState:
        if self._refused(link):
            return LinkState.BROKEN
        source, target = link.source, link.target
        match link.kind:
            case "api":
                return self._combined(f"{source}/remote-secret/{target}")
            case "discovery":
                asked = (
                    f"{source}/route/{target}",
                    f"{source}/reach-discovery",
                    f"{source}/install",
                    f"{source}/istiod",
                )
                return self._combined(*asked)
            case "gateway":
                made = self._combined(
                    f"{target}/install",
                    f"{self._control_plane(target)}/expose-services",
                    f"{target}/gateway-address",
                    f"{source}/route/{target}",
                    f"{self._control_plane(source)}/mesh-networks",
                )
            case "pods":
                made = self._combined(f"{source}/install", f"{target}/install")
        return self._proven(link, made)

    def _proven(self, link: LinkId, made: LinkState) -> LinkState:
        """What is made counts as reached only once traffic came through."""
        verify = self._combined(f"{link.source}/verify")
        heard = self.counts.get(link.source, {}).get(self._members[link.target].version, 0)
        if heard or verify is LinkState.OK:
            return LinkState.OK
        if LinkState.BROKEN in (verify, made):
            return LinkState.BROKEN
        if verify is LinkState.SKIPPED:
            return LinkState.SKIPPED
        if made in (LinkState.OK, LinkState.SKIPPED):
            return LinkState.WORKING if verify is LinkState.WORKING else LinkState.READY
        return made

    def _refused(self, link: LinkId) -> bool:
        """Whether a probe from inside the source has found this link closed. Where its words name peers, those and no
        others are.
        """
        guards = [f"{link.source}/{guard}" for guard in GUARDS[link.kind]]
        for detail in [self._detail[each] for each in guards if _of_status(self._status.get(each)) is LinkState.BROKEN]:
            named = [name for name, member in self._members.items() if name != link.source and _names(detail, member)]
            if link.target in named or not named:
                return True
        return False

    def _control_plane(self, name: str) -> str:
        return self._members[name].primary or name

    def _combined(self, *steps: str) -> LinkState:
        """How far these steps are, those that the plan does not have left out."""
        states = {_of_status(status) for step in steps if (status := self._status.get(step)) is not None}
        if LinkState.BROKEN in states:
            return LinkState.BROKEN
        if not states or states == {LinkState.WAITING}:
            return LinkState.WAITING
        if states <= {LinkState.OK, LinkState.SKIPPED}:
            return LinkState.SKIPPED if LinkState.SKIPPED in states else LinkState.OK
        return LinkState.WORKING


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


def _names(text: str, member: Member) -> bool:
    """Whether the text speaks of this cluster: by its name as a whole word, or by one of its addresses."""
    places: Iterable[str] = (member.name, member.api, f"{member.address}:{member.port}" if member.address else "")
    return any(place and re.search(rf"(?<![\w.-]){re.escape(place)}(?![\w-])", text) for place in places)
