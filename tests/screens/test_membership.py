"""A recorded mesh is taken up again in the screens: a cluster joins it, and leaves it by consent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from screens.dialogs import Confirm
from state import StateFolder
from tests.screens.driving import SIZES, Driver, driving
from wizard.clusters.kinds import NAMESPACE, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.operations.apply import Apply
from wizard.operations.prepared import prepare
from wizard.operations.recorded import saved_mesh
from wizard.operations.working import working
from wizard.simulated.outside import SimulatedOutside


def installed(outside: SimulatedOutside, folder: Path, count: int) -> None:
    clusters = tuple(
        Cluster(f"cluster{number}", entry.context, f"network{number}", kubeconfig=entry.kubeconfig)
        for number, entry in enumerate(outside.contexts()[:count], 1)
    )
    session = prepare(Mesh("mesh1", clusters), outside, StateFolder(folder))
    with working(Apply(session), lambda event: None) as engine:
        assert engine.run().ok


async def edited(driver: Driver) -> None:
    """The recorded mesh, taken up for editing."""
    await driver.ready()
    await driver.press("down", "e")
    await driver.until(lambda: driver.stage == "contexts")
    await driver.ready()


async def third(driver: Driver) -> None:
    """Take the third context in or out, and go on to the review."""
    await driver.press("down", "down", "space", "ctrl+n")
    await driver.until(lambda: driver.stage == "topology")
    await driver.straight("review")
    await driver.ready()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_cluster_joins(tmp_path: Path, size: tuple[int, int]) -> None:
    outside = SimulatedOutside(clusters=3, speed=0)
    installed(outside, tmp_path, 2)

    async def play() -> None:
        async with driving(tmp_path, size, outside) as driver:
            await edited(driver)
            assert len(driver.app.draft.chosen) == 2
            await third(driver)
            await driver.press("ctrl+n")
            await driver.until(lambda: driver.app.active_run and not driver.app.running, 60)

    asyncio.run(play())
    mesh, state = saved_mesh(StateFolder(tmp_path), "mesh1")
    assert state.finished
    assert len(mesh.clusters) == 3
    assert outside.machines[2].found(Ref(NAMESPACE, SYSTEM_NAMESPACE)) is not None


@pytest.mark.parametrize("agreed", [True, False])
def test_a_cluster_leaves_by_consent(tmp_path: Path, agreed: bool) -> None:
    outside = SimulatedOutside(clusters=3, speed=0)
    installed(outside, tmp_path, 3)

    async def play() -> None:
        async with driving(tmp_path, (80, 24), outside) as driver:
            await edited(driver)
            await third(driver)
            await driver.press("ctrl+n")
            await driver.until(lambda: isinstance(driver.app.screen, Confirm))
            assert "cluster3" in driver.text
            await driver.press("y" if agreed else "n")
            if agreed:
                await driver.until(lambda: driver.app.active_run and not driver.app.running, 60)
            else:
                await driver.until(lambda: not isinstance(driver.app.screen, Confirm))
                assert driver.stage == "review"

    asyncio.run(play())
    mesh, state = saved_mesh(StateFolder(tmp_path), "mesh1")
    assert state.finished
    assert len(mesh.clusters) == (2 if agreed else 3)
    assert (outside.machines[2].found(Ref(NAMESPACE, SYSTEM_NAMESPACE)) is None) is agreed
