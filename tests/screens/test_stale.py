"""What was reviewed is what is installed: where the clusters changed since, the person looks again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.screens.driving import driving
from wizard.clusters.kinds import NAMESPACE, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.simulated.outside import SimulatedOutside

SYSTEM = Ref(NAMESPACE, SYSTEM_NAMESPACE)
NETWORK = "topology.istio.io/network"


@pytest.mark.promise(22)
def test_a_review_that_went_stale_is_looked_at_again(tmp_path: Path) -> None:
    async def play() -> None:
        outside = SimulatedOutside(speed=0)
        theirs = {"apiVersion": "v1", "kind": "Namespace",
                  "metadata": {"name": SYSTEM_NAMESPACE, "labels": {NETWORK: "theirs"}}}  # fmt: skip
        async with driving(tmp_path, (120, 40), outside=outside) as driver:
            await driver.straight("review")
            await driver.ready()
            outside.machines[1].apply_as("somebody", theirs)
            await driver.press("ctrl+n")
            run = driver.app.active_run
            assert run is not None
            await driver.until(lambda: run.view.ended)
            await driver.until(lambda: "R looks again" in driver.text)
            assert run.view.ended is not None
            assert "cluster2: Namespace and network label: in conflict since" in run.view.ended.what
            assert run.view.ended.exit_code == 3
            assert outside.machines[0].found(SYSTEM) is None  # nor was the other cluster touched
            outside.machines[1].store.remove(SYSTEM)
            await driver.press("r")
            await driver.until(lambda: driver.stage == "review")
            await driver.to("done")
            await driver.press("ctrl+n")
        assert driver.app.return_value == 0

    asyncio.run(play())
