"""The mesh that stands in the clusters of some contexts, for commands that are told no file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.console import settings as doors
from wizard.console.settings import Settings
from wizard.paths import expanded

if TYPE_CHECKING:
    from wizard.clusters.port import Cluster
    from wizard.mesh.model import Mesh


@dataclass(frozen=True)
class Standing:
    """As `wizard.inference.inferring.Inferred`, with the doors to its clusters, to be closed."""

    mesh: Mesh
    clusters: Mapping[str, Cluster]
    unexpressed: tuple[str, ...]
    mute: str

    def close(self) -> None:
        """Give up all connections."""
        _close(self.clusters.values())


def inferred(
    settings: Settings, contexts: Sequence[str], kubeconfigs: Sequence[str], *, lenient: bool = False
) -> Standing:
    """The mesh that stands in these clusters, looked at only. What the contexts run for credentials may run: the person chose
    them. `lenient`: as `infer` says; raises what it raises, and BadInput where a context is not there or cannot be used.
    """
    from wizard.console.background import reading
    from wizard.console.choosing import chosen_clusters
    from wizard.console.report import TRAIL
    from wizard.inference.inferring import Named, infer

    settings.kubeconfigs = tuple(expanded(name) for name in kubeconfigs)
    outside = doors.outside_of(settings)
    chosen = chosen_clusters(outside, contexts, kubeconfigs)
    members = [
        Named(
            each["context"],
            Path(each["kubeconfig"]) if each.get("kubeconfig") else None,
            outside.cluster(each["context"], each["context"]),
        )
        for each in chosen
    ]
    try:
        found = reading(lambda: infer(members, lenient=lenient))
    finally:
        _close(each.cluster for each in members)
    TRAIL.of(found.mesh)
    clusters = {each.name: outside.cluster(each.name, each.context) for each in found.mesh.clusters}
    return Standing(found.mesh, clusters, found.unexpressed, found.mute)


def _close(clusters: Iterable[Cluster]) -> None:
    for cluster in clusters:
        cluster.close()
