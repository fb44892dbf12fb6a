"""One dead cluster of fifty: the others do not wait for it. Told by the order of events, not by the time they take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.conftest import Pages, setting
from wizard.clusters.port import Cluster
from wizard.engine.engine import Engine
from wizard.engine.events import FINAL, Event, Status, StepChanged
from wizard.engine.schedule import LANES_PER_CLUSTER
from wizard.engine.step import Plan
from wizard.errors import Unreachable
from wizard.steps import reach

DEAD = "cluster7"
PATIENCE = 200.0  # seconds; only a failing test takes them


class Silent:
    """A cluster that, from `died` on, lets everyone wait who asks it, until `released`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.died = threading.Event()
        self.released = threading.Event()
        self.in_vain = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cluster, name)
        return self._slow(found) if callable(found) else found

    def _slow(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*args: Any, **more: Any) -> Any:
            if not self.died.is_set():
                return call(*args, **more)
            self.in_vain |= not self.released.wait(PATIENCE)
            raise Unreachable(f"{DEAD}: the API server does not answer: it is silent", "Try again.")

        return ask


def without(plan: Plan, done: set[str]) -> set[str]:
    """The steps that build on nothing that is left to do in the dead cluster, however indirectly."""
    tainted = {step.id for step in plan.steps if step.cluster == DEAD and step.id not in done}
    while (
        grown := {
            step.id for step in plan.steps if step.id not in tainted and not tainted.isdisjoint(step.needs + step.joins)
        }
        - done
    ):
        tainted |= grown
    return {step.id for step in plan.steps} - tainted


@pytest.mark.promise(29)
def test_one_dead_cluster_of_fifty_holds_up_nobody() -> None:
    """It dies when there is a root: for that all are asked, so that there are never two."""
    made = setting(50)
    silent = Silent(made.world.clusters[DEAD])
    world = replace(made.world, clusters={**made.world.clusters, DEAD: silent})  # type: ignore[dict-item]
    done: set[str] = set()
    others: set[str] = set()
    last: dict[str, Status] = {}

    def hear(event: Event) -> None:
        if not isinstance(event, StepChanged):
            return
        last[event.step] = event.status
        if event.status is Status.DONE:
            done.add(event.step)
        if event.step == "root-ca" and event.status is Status.DONE:
            others.update(without(made.plan, done))
            silent.died.set()
        if silent.died.is_set() and event.status in FINAL and others <= done:
            silent.released.set()

    outcome = Engine(made.plan, world, Pages(), hear, mesh=made.mesh.name).run()
    assert not silent.in_vain, f"never done: {sorted(others - done)[:10]}"
    assert others <= done
    assert not outcome.ok
    ends = {"install", "istiod", "sample", "mesh-networks"}
    assert {f"cluster{number}/{end}" for number in range(1, 51) for end in ends if number != 7} <= others
    assert "cluster1/remote-secret/cluster2" in others
    assert [id for id, status in last.items() if status is Status.FAILED and not id.startswith(f"{DEAD}/")] == []


@pytest.mark.promise(29)
def test_whoever_reads_a_dead_cluster_goes_on_without_its_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "AUTHORITY_SECONDS", 0.05)
    made = setting(2)
    silent = Silent(made.world.clusters["cluster2"])
    world = replace(made.world, clusters={**made.world.clusters, "cluster2": silent})  # type: ignore[dict-item]
    step = reach.ReachApi(made.mesh, made.mesh.clusters[0])
    assert step.credential(made.mesh.clusters[1], world) is not None
    silent.died.set()
    assert step.credential(made.mesh.clusters[1], world) is None, "it is silent"
    silent.released.set()
    assert step.credential(made.mesh.clusters[1], world) is None, "it refuses"


@pytest.mark.promise(29)
def test_a_dead_cluster_takes_its_own_lanes_only() -> None:
    """As many of its steps as there are lanes hang; everyone else's go on."""
    from tests.unit.test_engine import Toy, engine_of, in_thread, until

    released = threading.Event()
    dead = [Toy(f"dead/{number}", cluster="dead") for number in range(200)]
    for step in dead:
        step.work = lambda job: released.wait(PATIENCE) and None
    alive = [Toy(f"c{cluster}/{number}", cluster=f"c{cluster}") for cluster in range(49) for number in range(10)]
    thread, outcomes = in_thread(engine_of(*dead, *alive)[0])
    until(lambda: all(step.made for step in alive))
    assert sum("apply" in step.log for step in dead) == LANES_PER_CLUSTER
    released.set()
    thread.join()
    assert outcomes[0].ok
