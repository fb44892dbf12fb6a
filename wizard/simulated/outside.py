"""The demo's outside: contexts, clusters and istioctl that exist only in memory. Implements `wizard.outside.Outside`.

What only a run needs is loaded when the first cluster is asked for something: the demo paints before.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.clusters.contexts import SIMULATED_KUBECONFIG, ContextEntry, ContextFacts
from wizard.messages import msg
from wizard.simulated.names import context_of, server_of
from wizard.simulated.pace import Pace

if TYPE_CHECKING:
    from wizard.errors import Mistake
    from wizard.mesh.model import Mesh
    from wizard.outside import IstioctlFound
    from wizard.simulated.cluster import SimulatedCluster
    from wizard.simulated.istioctl import SimulatedIstioctl
    from wizard.simulated.machine import Machine
    from wizard.simulated.machines import Machines
    from wizard.simulated.rootstore import MemoryRoots
    from wizard.world import World

ISTIOCTL = "(simulated) istioctl"


class SimulatedOutside:
    """One universe of clusters: every `world` works in the same. `machines` has the knobs that break them, `istioctl`
    those that break an install; `speed` scales all delays.
    """

    simulated = True

    def __init__(
        self, clusters: int = 2, speed: float = 1.0, *, seed: int = 1, istio: str = "1.29.1",
        flat: bool | Sequence[int] = False, own_services: bool = False, person: float | None = None,
    ) -> None:  # fmt: skip
        """`flat`: the pods of all machines, or of those with the same number, share a network. `own_services`: every
        machine has another range of Service addresses; else all have kubeadm's. `person`: after how many seconds somebody
        lays a route on a node that a connection was in need of; None: nobody does.
        """
        self.pace = Pace(speed)
        self._count = clusters
        self._seed = seed
        self._istio = istio
        self._flat = flat
        self._own_services = own_services
        self._person = person
        self._making = threading.Lock()
        self._made: Machines | None = None

    @property
    def machines(self) -> list[Machine]:
        """The machines, first to last."""
        return self._machines_made.machines

    @property
    def istioctl(self) -> SimulatedIstioctl:
        """The istioctl that all worlds share."""
        return self._machines_made.istioctl

    def machine(self, context: str) -> Machine:
        """The machine behind a context. BadInput where there is none."""
        return self._machines_made.machine(context)

    def cluster(self, name: str, context: str) -> SimulatedCluster:
        """A door to the cluster behind a context, under the mesh's name for it."""
        return self._machines_made.cluster(name, context)

    def roots(self, mesh: str) -> MemoryRoots:
        """Where the root of the mesh of that name is kept."""
        return self._machines_made.roots(mesh)

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        return [
            ContextEntry(
                context_of(index), SIMULATED_KUBECONFIG, server_of(index), f"kubernetes-admin{index}",
                msg("client certificate"), current=index == 1,
            )
            for index in range(1, self._count + 1)
        ]  # fmt: skip

    def facts(self, entry: ContextEntry) -> ContextFacts:
        from wizard.facts import facts_of

        return facts_of(self.cluster(entry.context, entry.context))

    def agree(self, entries: Sequence[ContextEntry]) -> None: ...

    def mistakes(self, mesh: Mesh, *, looking: bool = False) -> tuple[Mistake, ...]:
        return ()

    def istioctls(self) -> list[IstioctlFound]:
        from wizard.outside import IstioctlFound

        return [IstioctlFound(ISTIOCTL, self._istio)]

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        return self._machines_made.world(mesh)

    @property
    def _machines_made(self) -> Machines:
        with self._making:
            if self._made is None:
                from wizard.simulated.machines import Machines

                self._made = Machines(
                    self._count,
                    self.pace,
                    self._seed,
                    self._istio,
                    ISTIOCTL,
                    self._flat,
                    self._own_services,
                    self._person,
                )
            return self._made
