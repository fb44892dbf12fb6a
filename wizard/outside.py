"""Where contexts, clusters and istioctl come from: this machine (`real.py`) or the demo (`simulated`).

Front ends ask an `Outside` what there is to choose from; a session asks it for the `World` that a mesh's steps work in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wizard.engine.step import World
from wizard.mesh.model import Mesh


@dataclass(frozen=True)
class ContextEntry:
    """One context as its kubeconfig tells it, without asking the cluster. Texts are printable."""

    context: str
    kubeconfig: Path
    server: str
    user: str
    credentials: str  # what kind: "client certificate", "token", "runs COMMAND", ...
    current: bool = False


@dataclass(frozen=True)
class ContextFacts:
    """What a live look at one context found. Texts are printable."""

    reachable: bool
    problem: str = ""  # why not reachable or not usable, with what to do
    uid: str = ""  # of kube-system: two contexts with the same are one cluster
    version: str = ""
    nodes: int = 0
    ready_nodes: int = 0
    addresses: tuple[str, ...] = ()  # InternalIPs of ready nodes
    missing_rights: tuple[str, ...] = ()
    istio: str = ""  # empty: none found
    clock_offset: float | None = None  # seconds that the cluster is ahead of this machine, within a second or so
    node_ports: frozenset[int] = frozenset()  # in use, by Services other than our gateway


@dataclass(frozen=True)
class IstioctlFound:
    path: str
    version: str = ""
    problem: str = ""  # why it cannot be used


class Outside(Protocol):
    """All calls may block for seconds: call them from a thread. They raise only Trouble."""

    simulated: bool

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        """The contexts of these files, or of those that kubectl would use ($KUBECONFIG, ~/.kube/config)."""
        ...

    def facts(self, entry: ContextEntry) -> ContextFacts:
        """A live look at one context, within ten seconds or so. Never raises: what fails is told in `problem`."""
        ...

    def istioctls(self) -> list[IstioctlFound]:
        """Every istioctl on the PATH, and the one given by the person, which comes first."""
        ...

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        """The world in which this mesh's steps work. Connects lazily: building it asks no cluster."""
        ...
