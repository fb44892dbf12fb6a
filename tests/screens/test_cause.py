"""A broken arrow carries its cause; Enter tells all of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.screens.driving import SIZES, driving
from wizard.checks.finding import Finding
from wizard.checks.standing import overdue
from wizard.checks.standing.diagnosis import Diagnosis, sorted_out
from wizard.checks.standing.view import View
from wizard.clusters.port import Cluster
from wizard.probes.traffic import Heard
from wizard.simulated.outside import SimulatedOutside

GONE = Finding(
    "error", "Secret istio-remote-secret-b is gone from a", "Make it anew.", check="api-server", cluster="cluster1",
    layer="discovery", object="Secret istio-remote-secret-b", short="no remote secret", step="cluster1/remote-secret/cluster2",
    evidence=("asked for it in istio-system",), commands=("kubectl --context=x get secret y",),
    breaks=(("cluster1", "cluster2"),),
)  # fmt: skip


@pytest.fixture
def cause_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def diagnose(view: View) -> Diagnosis:
        return sorted_out(view, [GONE])

    def deaf(cluster: Cluster, namespace: str, requests: int) -> Heard:
        return Heard(Counter(v1=4) if cluster.name == "cluster1" else Counter(v1=4, v2=4))

    monkeypatch.setattr("wizard.steps.verify.ask", deaf)
    monkeypatch.setattr(overdue, "diagnose", diagnose)
    monkeypatch.setattr("wizard.steps.verify.OVERDUE_SECONDS", 0.0)
    for name in ("EVERY_SECONDS", "CERTAIN_SECONDS"):
        monkeypatch.setattr(overdue, name, 0.0)


@pytest.mark.parametrize("size", SIZES)
def test_the_arrow_carries_the_cause_and_enter_tells_all_of_it(
    tmp_path: Path, size: tuple[int, int], cause_is_known: None
) -> None:
    async def drive() -> None:
        async with driving(tmp_path, size) as driver:
            await driver.straight("install")
            run = driver.app.active_run
            assert run is not None
            await driver.to_verification()
            await driver.until(lambda: run.view.broken)
            await driver.until(lambda: "no remote secret" in driver.text)
            await driver.until(lambda: "Secret istio-remote-secret-b is gone from a" in " ".join(driver.text.split()))
            await driver.press("enter")
            await driver.until(lambda: "asked for it in istio-system" in " ".join(driver.text.split()))
            told = " ".join(driver.text.split())
            assert "kubectl --context=x get secret y" in told
            assert "cluster1/remote-secret/cluster2" in told

    asyncio.run(drive())


def test_the_start_screen_finds_out_why_a_recorded_mesh_does_not_answer(tmp_path: Path) -> None:
    async def drive() -> None:
        outside = SimulatedOutside(speed=0)
        async with driving(tmp_path, outside=outside) as driver:
            await driver.straight("done")
        outside.machines[1].unreachable = True
        async with driving(tmp_path, outside=outside) as driver:
            await driver.until(lambda: "Check mesh1 again" in driver.text)
            await driver.press("w")
            await driver.until(lambda: "Why does mesh1 not answer?" in driver.text)
            told = " ".join(driver.text.split())
            assert "What is told first is the cause" in told
            assert "192.0.2.12:6443" in told

    asyncio.run(drive())


def test_of_meshes_of_others_it_says_how(tmp_path: Path) -> None:
    async def drive() -> None:
        async with driving(tmp_path) as driver:
            await driver.until(lambda: "Why no answer?" in driver.text)
            await driver.press("down", "enter")
            await driver.until(lambda: "meshwizard diagnose --context A --context B" in driver.text)

    asyncio.run(drive())
