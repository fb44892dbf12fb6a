"""Where contexts, clusters and istioctl come from: this machine (`real.py`) or the demo (`simulated`).

Front ends ask an `Outside` what there is to choose from; `prepare` asks it for the `World` that a mesh's steps work in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from wizard.clusters.contexts import ContextEntry, ContextFacts
from wizard.clusters.port import Cluster
from wizard.errors import Mistake
from wizard.mesh.model import Mesh
from wizard.world import World


@dataclass(frozen=True)
class IstioctlFound:
    """An istioctl on this machine. `version`: empty where it could not be asked."""

    path: str
    version: str = ""
    problem: str = ""  # why it cannot be used


class Outside(Protocol):
    """All calls may block for seconds: call them from a thread. They raise only Trouble."""

    simulated: bool

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        """The contexts of these files, or of those that kubectl would use ($KUBECONFIG, ~/.kube/config). Those with a `plugin`
        are not to be looked at before the person agreed to that.
        """
        ...

    def facts(self, entry: ContextEntry) -> ContextFacts:
        """A live look at one context, within ten seconds or so. Never raises: what fails is told in `problem`."""
        ...

    def agree(self, entries: Sequence[ContextEntry]) -> None:
        """The person chose these contexts, or agreed to what they run for credentials (see `ContextEntry.plugin`)."""
        ...

    def mistakes(self, mesh: Mesh, *, looking: bool = False) -> tuple[Mistake, ...]:
        """What speaks against this mesh's contexts without asking any cluster: one that is not in its kubeconfig, and unless they
        are only to be looked at, one that kubectl would not use.
        """
        ...

    def istioctls(self) -> list[IstioctlFound]:
        """Every istioctl on the PATH, and the one given by the person, which comes first."""
        ...

    def cluster(self, name: str, context: str) -> Cluster:
        """A door to the cluster of a context of the person's kubeconfigs, under a name for messages. Connects lazily. Raises
        BadInput where there is no such context.
        """
        ...

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        """The world in which this mesh's steps work. Connects lazily: building it asks no cluster. Raises
        `wizard.clusters.consents.Unconsented` where a kubeconfig that is not the person's own runs what nobody agreed to.
        """
        ...


__all__ = ["ContextEntry", "ContextFacts", "IstioctlFound", "Outside"]
