"""How far each link of a mesh is, from what becomes of the steps that make it, try it and prove it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from wizard import kinds
from wizard.engine.events import Status
from wizard.mesh.links import Causes, LinkId, LinkKind, LinkState, States, links_between, members_of
from wizard.mesh.model import Mesh

# The guards that find a link closed before anything is built on it.
_GUARDS: Mapping[LinkKind, tuple[str, ...]] = {
    "api": (kinds.REACH_API, kinds.REACH_PEERS), "discovery": (kinds.REACH_DISCOVERY,),
    "gateway": (kinds.REACH_GATEWAYS,), "pods": (kinds.REACH_GATEWAYS,),
}  # fmt: skip
_STATES: Mapping[str, LinkState] = {
    Status.DONE: LinkState.OK, Status.SKIPPED: LinkState.SKIPPED,
    Status.FAILED: LinkState.BROKEN, Status.CONFLICT: LinkState.BROKEN,
    Status.PROBING: LinkState.WORKING, Status.RUNNING: LinkState.WORKING, Status.UNDOING: LinkState.WORKING,
}  # fmt: skip


class _Step(NamedTuple):
    """What a step is about, whatever it is called."""

    kind: str
    cluster: str | None
    peer: str | None = None


class Board:
    """The states of all links, kept up to date from kinds and statuses of steps as an engine reports them."""

    def __init__(self, of: Mesh | Mapping[str, Any]) -> None:
        self._members = {member.name: member for member in members_of(of)}
        self._steps: dict[_Step, LinkState] = {}
        self._failed: dict[_Step, tuple[str, ...]] = {}
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
        self._causes: dict[LinkId, str] = {}

    def step(
        self, kind: str, cluster: str | None, peer: str | None, status: str, failed_peers: tuple[str, ...] = ()
    ) -> None:
        """The step of that kind, in that cluster and for that peer, took this status (the engine's words). `failed_peers`: the
        clusters that a failure befell; empty: all with which it has to do.
        """
        step = _Step(kind, cluster, peer)
        self._steps[step], self._failed[step] = _STATES.get(status, LinkState.WAITING), failed_peers
        if cluster in self._touching:
            self._stale.update((cluster, *self._served[cluster]))

    def answered(self, cluster: str, counts: Mapping[str, int]) -> None:
        """What this cluster has heard so far, by version."""
        self.counts[cluster] = dict(counts)
        if cluster in self._touching:
            self._stale.add(cluster)

    def explained(self, cluster: str, peers: Iterable[str], cause: str) -> None:
        """Why this cluster does not hear these, in a few words."""
        for link in self._touching.get(cluster, ()):
            if link.source == cluster and link.target in peers and link.kind in ("gateway", "pods"):
                self._causes[link] = cause

    @property
    def causes(self) -> Causes:
        """Why links are broken, of those where that is known."""
        return {link: cause for link, cause in self._causes.items() if self.links[link] is LinkState.BROKEN}

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
                return self._combined(_Step(kinds.REMOTE_SECRET, source, target))
            case "discovery":
                return self._combined(
                    _Step(kinds.ROUTE, source, target),
                    _Step(kinds.REACH_DISCOVERY, source),
                    _Step(kinds.INSTALL, source),
                    _Step(kinds.ISTIOD, source),
                )
            case "gateway":
                made = self._combined(
                    _Step(kinds.INSTALL, target),
                    _Step(kinds.EXPOSE_SERVICES, self._control_plane(target)),
                    _Step(kinds.GATEWAY_ADDRESS, target),
                    _Step(kinds.ROUTE, source, target),
                    _Step(kinds.MESH_NETWORKS, self._control_plane(source)),
                )
            case "pods":
                made = self._combined(_Step(kinds.INSTALL, source), _Step(kinds.INSTALL, target))
        return self._proven(link, made)

    def _proven(self, link: LinkId, made: LinkState) -> LinkState:
        """What is made counts as reached only once traffic came through."""
        verify = self._combined(_Step(kinds.VERIFY, link.source))
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
        """Whether a probe from inside the source has found this link closed."""
        for guard in (_Step(kind, link.source) for kind in _GUARDS[link.kind]):
            befell = self._failed.get(guard)
            if self._steps.get(guard) is LinkState.BROKEN and (not befell or link.target in befell):
                return True
        return False

    def _control_plane(self, name: str) -> str:
        return self._members[name].primary or name

    def _combined(self, *steps: _Step) -> LinkState:
        """How far these steps are, those that the plan does not have left out."""
        states = {self._steps[step] for step in steps if step in self._steps}
        if LinkState.BROKEN in states:
            return LinkState.BROKEN
        if not states or states == {LinkState.WAITING}:
            return LinkState.WAITING
        if states <= {LinkState.OK, LinkState.SKIPPED}:
            return LinkState.SKIPPED if LinkState.SKIPPED in states else LinkState.OK
        return LinkState.WORKING
