"""What the steps work in: the clusters, istioctl and the mesh's root, real or simulated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from wizard.clusters.port import Cluster
from wizard.engine.step import Conflict
from wizard.istio.port import Istioctl


class RootStore(ABC):
    """Where the mesh's root certificate and key are kept between runs."""

    place: str  # for messages

    @abstractmethod
    def load(self) -> tuple[bytes, bytes] | None:
        """(certificate PEM, key PEM), or None if there is none. Trouble where there is one that cannot be read or trusted."""

    @abstractmethod
    def obstacle(self) -> Conflict | None:
        """Why `save` would refuse although `load` gives nothing."""

    @abstractmethod
    def save(self, certificate: bytes, key: bytes) -> None:
        """Keep it durably and privately; returns when it is safe. Never overwrites another root, nor a part of one."""


@dataclass(frozen=True)
class World:
    """The outside, as the steps see it: real or simulated."""

    clusters: Mapping[str, Cluster]
    istioctl: Istioctl
    roots: RootStore
    simulated: bool = False

    def cluster(self, name: str | None) -> Cluster:
        """The cluster of that name. KeyError if the step has none, which is a mistake in the step."""
        return self.clusters[name or ""]
