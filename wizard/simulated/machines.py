"""The machines of one universe and the tools that work on them, made when the first of them is asked for something."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.errors import BadInput
from wizard.mesh.model import Mesh
from wizard.messages import msg
from wizard.simulated import controllers
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.istioctl import SimulatedIstioctl
from wizard.simulated.machine import Machine, Universe
from wizard.simulated.pace import Pace
from wizard.simulated.population import populate
from wizard.simulated.rootstore import MemoryRoots
from wizard.simulated.shell import Shell
from wizard.simulated.traffic import Traffic
from wizard.world import World


class Machines:
    """What stands behind a `SimulatedOutside`, whose parameters these are."""

    def __init__(
        self,
        clusters: int,
        pace: Pace,
        seed: int,
        istio: str,
        path: str,
        flat: bool | Sequence[int],
        own_services: bool,
        person: float | None,
    ) -> None:
        universe = Universe(person=person)
        shared = (flat,) * clusters if isinstance(flat, bool) else tuple(flat)
        for index in range(1, clusters + 1):
            group = shared[index - 1]
            machine = Machine(
                index, pace, seed, controllers.run, universe,
                pod_network=None if group is False else group,
                pod_cidr="10.244.0.0/24" if group is False else f"10.244.{index}.0/24",
                service_cidr=f"10.{96 + index}.0.0/16" if own_services else "10.96.0.0/16",
            )  # fmt: skip
            populate(machine)
        self.machines = universe.machines
        self.istioctl = SimulatedIstioctl(self.machine, istio, path)
        self._shell = Shell(Traffic(self.machines))
        self._roots: dict[str, MemoryRoots] = {}

    def machine(self, context: str) -> Machine:
        """The machine behind a context. BadInput where there is none."""
        for machine in self.machines:
            if machine.context == context:
                return machine
        known = ", ".join(machine.context for machine in self.machines)
        raise BadInput(
            msg("there is no context {context} in the simulation", context=repr(context)),
            msg("There are: {contexts}.", contexts=known),
        )

    def cluster(self, name: str, context: str) -> SimulatedCluster:
        """A door to the cluster behind a context, under the mesh's name for it."""
        return SimulatedCluster(name, self.machine(context), self._shell)

    def roots(self, mesh: str) -> MemoryRoots:
        """Where the root of the mesh of that name is kept."""
        return self._roots.setdefault(mesh, MemoryRoots())

    def world(self, mesh: Mesh) -> World:
        """The world in which this mesh's steps work."""
        return World(
            clusters={cluster.name: self.cluster(cluster.name, cluster.context) for cluster in mesh.clusters},
            istioctl=self.istioctl,
            roots=self.roots(mesh.name),
            simulated=True,
        )
