"""What the steps may ask of istioctl. Answered by the user's own binary (`istioctl.py`) and by the simulated one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from wizard.clusters.kinds import Object
from wizard.mesh.model import Cluster


class Istioctl(Protocol):
    """One istioctl binary. Raises Failed with istioctl's own last words, made printable. Thread-safe."""

    path: str

    def version(self) -> str:
        """Its version, such as 1.29.1. Asks no cluster."""
        ...

    def install(
        self,
        cluster: Cluster,
        operator: str,
        overlays: Sequence[Path],
        *,
        say: Callable[[str], None],
        cancelled: Callable[[], bool],
        seconds: float,
    ) -> None:
        """`istioctl install`: overlays first, then our IstioOperator (YAML) over them. Every line of progress goes to
        `say` as it comes. Returns when all components are ready; ends the child when `cancelled` says so or after
        that many seconds.
        """
        ...

    def manifest(self, operator: str, overlays: Sequence[Path]) -> list[Object]:
        """`istioctl manifest generate`: the objects that `install` would apply, without the definitions of kinds and without
        the labels and webhooks that only an install adds. Asks no cluster.
        """
        ...

    def remote_secret(self, cluster: Cluster, *, server: str) -> Object:
        """`istioctl create-remote-secret`: makes the reader's token in `cluster` if it has none and gives the Secret
        that lets an istiod elsewhere read it at `server`. Holds a credential: never logged, never stored.
        """
        ...
