"""The demo's outside: contexts, clusters and istioctl that exist only in memory. Implements `wizard.outside.Outside`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from wizard.engine.step import RootStore, World
from wizard.errors import BadInput, Mistake, NeedsPerson
from wizard.facts import facts_of
from wizard.mesh.model import Mesh
from wizard.outside import ContextEntry, ContextFacts, IstioctlFound
from wizard.simulated import controllers
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.istioctl import SimulatedIstioctl
from wizard.simulated.machine import Machine, Universe
from wizard.simulated.mesh import Traffic
from wizard.simulated.pace import Pace
from wizard.simulated.shell import Shell

KUBECONFIG = Path("(simulated)") / "kubeconfig"


class MemoryRoots(RootStore):
    """The mesh's root certificate, in memory."""

    place = "memory (simulated)"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[bytes, bytes] | None = None

    def load(self) -> tuple[bytes, bytes] | None:
        with self._lock:
            return self._kept

    def save(self, certificate: bytes, key: bytes) -> None:
        with self._lock:
            if self._kept is not None:
                raise NeedsPerson(f"{self.place} holds a root certificate already", "Start a new demo.")
            self._kept = (certificate, key)


class SimulatedOutside:
    """One universe of clusters: every `world` works in the same. `machines` has the knobs that break them, `istioctl`
    those that break an install; `speed` scales all delays.
    """

    simulated = True

    def __init__(
        self, clusters: int = 2, speed: float = 1.0, *, seed: int = 1, istio: str = "1.29.1",
        flat: bool | Sequence[int] = False, own_services: bool = False,
    ) -> None:  # fmt: skip
        """`flat`: the pods of all machines, or of those with the same number, share a network. `own_services`: every
        machine has another range of Service addresses; else all have kubeadm's.
        """
        self.pace = Pace(speed)
        universe = Universe()
        shared = (flat,) * clusters if isinstance(flat, bool) else tuple(flat)
        for index in range(1, clusters + 1):
            group = shared[index - 1]
            Machine(
                index, self.pace, seed, controllers.run, universe,
                pod_network=None if group is False else group,
                pod_cidr="10.244.0.0/24" if group is False else f"10.244.{index}.0/24",
                service_cidr=f"10.{96 + index}.0.0/16" if own_services else "10.96.0.0/16",
            )  # fmt: skip
        self.machines = universe.machines
        self.istioctl = SimulatedIstioctl(self.machine, istio)
        self._shell = Shell(Traffic(self.machines))
        self._roots: dict[str, MemoryRoots] = {}

    def machine(self, context: str) -> Machine:
        """The machine behind a context. BadInput where there is none."""
        for machine in self.machines:
            if machine.context == context:
                return machine
        known = ", ".join(machine.context for machine in self.machines)
        raise BadInput(f"there is no context {context!r} in the simulation", f"There are: {known}.")

    def cluster(self, name: str, context: str) -> SimulatedCluster:
        """A door to the cluster behind a context, under the mesh's name for it."""
        return SimulatedCluster(name, self.machine(context), self._shell)

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        return [
            ContextEntry(
                machine.context, KUBECONFIG, machine.server, f"kubernetes-admin{machine.index}", "client certificate",
                current=machine is self.machines[0],
            )
            for machine in self.machines
        ]  # fmt: skip

    def facts(self, entry: ContextEntry) -> ContextFacts:
        return facts_of(self.cluster(entry.context, entry.context))

    def mistakes(self, mesh: Mesh) -> tuple[Mistake, ...]:
        return ()

    def istioctls(self) -> list[IstioctlFound]:
        return [IstioctlFound(self.istioctl.path, self.istioctl.version())]

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        return World(
            clusters={cluster.name: self.cluster(cluster.name, cluster.context) for cluster in mesh.clusters},
            istioctl=self.istioctl,
            roots=self._roots.setdefault(mesh.name, MemoryRoots()),
            simulated=True,
        )
