"""Meshes over simulated clusters, without delays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from wizard.engine.engine import Engine
from wizard.engine.events import Event
from wizard.engine.outcome import Outcome
from wizard.engine.step import Plan, Probe
from wizard.mesh.model import Cluster, Mesh
from wizard.plan import plan_of
from wizard.resolve import check_istioctl, resolve
from wizard.simulated.machine import Machine
from wizard.simulated.outside import SimulatedOutside
from wizard.world import World


class Pages:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None:
        self.lines.append(("begin", step))

    def end(self, step: str, status: str, detail: str = "") -> None:
        self.lines.append((status, step))


@dataclass
class Setting:
    """A mesh in a simulated universe."""

    outside: SimulatedOutside
    mesh: Mesh
    world: World

    @property
    def plan(self) -> Plan:
        return plan_of(self.mesh)

    def probe(self, step: str) -> Probe:
        return self.plan.step(step).probe(self.world)

    def run(self, listener: Callable[[Event], None] = lambda event: None) -> Outcome:
        return Engine(self.plan, self.world, Pages(), listener, mesh=self.mesh.name).run()

    def undo(self) -> Outcome:
        return Engine(self.plan, self.world, Pages(), lambda event: None, mesh=self.mesh.name).undo()

    def machine(self, number: int) -> Machine:
        return self.outside.machines[number - 1]


def setting(count: int = 2) -> Setting:
    """A settled mesh over that many fresh clusters."""
    outside = SimulatedOutside(clusters=count, speed=0)
    clusters = tuple(
        Cluster(name=f"cluster{index}", context=entry.context, network=f"network{index}")
        for index, entry in enumerate(outside.contexts(), 1)
    )
    mesh = Mesh(name="mesh1", clusters=clusters)
    world = outside.world(mesh)
    mesh = replace(mesh, istio=replace(mesh.istio, version=check_istioctl(mesh, world)))
    return Setting(outside, resolve(mesh, world), world)


@pytest.fixture
def two() -> Iterator[Setting]:
    """Two clusters, nothing installed."""
    yield setting(2)


@pytest.fixture
def finished() -> Iterator[Setting]:
    """Two clusters with a finished mesh."""
    made = setting(2)
    outcome = made.run()
    assert outcome.ok, outcome.what
    yield made
