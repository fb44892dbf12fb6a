"""What kind of lab is wanted. Labs of equal shapes are interchangeable; those of different ones never stand in for each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.lab import versions
from tests.lab.proc import LabError

MAX_CLUSTERS = 20
SERVICES = ("same", "distinct")


def _istio() -> str:
    return os.environ.get("MESHWIZARD_LAB_ISTIO") or versions.ISTIO_DEFAULT


@dataclass(frozen=True)
class Shape:
    """How many clusters, which Istio, and how they lie to each other.

    `networks` has a number per cluster; clusters with the same number share a network: their pod ranges differ and are
    routed. A cluster whose number nobody else has is alone, and so is every cluster where `networks` is empty.
    `services`: all clusters have the same range of Service addresses, or each its own. Raises LabError for what cannot be.
    """

    clusters: int = 2
    istio: str = field(default_factory=_istio)
    networks: tuple[int, ...] = ()
    services: str = "same"

    def __post_init__(self) -> None:
        if not 1 <= self.clusters <= MAX_CLUSTERS:
            raise LabError(f"a lab has 1 to {MAX_CLUSTERS} clusters")
        if self.networks and len(self.networks) != self.clusters:
            raise LabError(f"{self.clusters} clusters need as many network numbers, not {len(self.networks)}")
        if self.services not in SERVICES:
            raise LabError(f"the clusters' ranges of Services are {' or '.join(SERVICES)}, not {self.services}")

    def sharing(self, index: int) -> tuple[int, ...]:
        """The other clusters, counted from 1, on the network of cluster number `index`."""
        if not self.networks:
            return ()
        own = self.networks[index - 1]
        return tuple(i for i, network in enumerate(self.networks, 1) if network == own and i != index)

    def __str__(self) -> str:
        text = f"{self.clusters} clusters and Istio {self.istio}"
        if self.networks:
            text += f", networks {','.join(map(str, self.networks))}"
        return text if self.services == "same" else f"{text}, {self.services} ranges of Services"

    def record(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> Shape:
        """The shape that `record` wrote."""
        return cls(**{**record, "networks": tuple(record["networks"])})
