"""Foreign text cannot crash, colour, reorder or flood the screens; small terminals cannot either."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from screens.lines import Lines, Piece, wrapped
from screens.run import Run
from tests.screens.driving import SIZES, driving
from wizard.answered import Answered
from wizard.engine.events import RunEnded, RunStarted, Status, StepChanged, StepSaid, StepWaits
from wizard.operations.apply import Apply
from wizard.outside import ContextEntry, ContextFacts
from wizard.simulated.outside import SimulatedOutside

EVIL = "\x1b[2J\x1b]52;c;aGk=\x07[/b][red]$x\u202eabc\u2066\x9b31m\ud800 [link=x]"
HUGE = EVIL + "A" * 1_000_000
UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


class Hostile(SimulatedOutside):
    def contexts(self, kubeconfigs: object = ()) -> list[ContextEntry]:
        return [replace(entry, user=EVIL, credentials=HUGE) for entry in super().contexts()]

    def facts(self, entry: ContextEntry) -> ContextFacts:
        found = super().facts(entry)
        return replace(found, problem=HUGE, version=EVIL, istio=HUGE, missing_rights=(EVIL, HUGE))


@pytest.mark.promise(37)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_hostile_facts(tmp_path: Path, size: tuple[int, int]) -> None:
    async def play() -> None:
        async with driving(tmp_path, size, outside=Hostile(speed=0)) as driver:
            await driver.to("contexts")
            assert not UNSAFE.search(driver.text)
            assert "[/b]" in driver.text
            await driver.to("names")

    asyncio.run(play())


@pytest.mark.promise(37)
def test_hostile_events(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.straight("review")
            assert driver.app.prepared is not None
            run = driver.app.active_run = Run(Apply(driver.app.prepared))
            step = "cluster1/install"
            for event in (
                RunStarted(mesh="m", operation="apply", steps=(step,), simulated=True),
                StepChanged(step=step, cluster="cluster1", title=HUGE, status=Status.RUNNING, detail=HUGE),
                StepSaid(step=step, cluster="cluster1", text=HUGE),
                StepWaits(step=step, cluster="cluster1", what=EVIL, seen=HUGE, elapsed=1, deadline=2),
                Answered(
                    step=step, cluster="cluster1", counts={EVIL: 3, "v2": 1}, missing=(HUGE,), errors=1, last=EVIL
                ),
                StepChanged(step=step, cluster="cluster1", title=EVIL, status=Status.FAILED, detail=HUGE, remedy=HUGE),
            ):
                run.emit(event)
            for stage in ("install", "verify"):
                driver.app.go(stage)
                await driver.until(lambda stage=stage: driver.stage == stage)  # type: ignore[misc]
                await asyncio.sleep(0.2)
                assert not UNSAFE.search(driver.text)
            run.emit(RunEnded(ok=False, exit_code=1, what=HUGE, remedy=EVIL, seconds=1))
            await driver.until(lambda: run.view.ended)
            assert not UNSAFE.search(driver.text)

    asyncio.run(play())


@pytest.mark.promise(35)
@pytest.mark.parametrize("size", [(20, 5), (79, 24), (80, 23), (1, 1)])
def test_too_small_says_so_and_recovers(tmp_path: Path, size: tuple[int, int]) -> None:
    async def play() -> None:
        async with driving(tmp_path, size) as driver:
            if size[0] >= 20:
                flat = " ".join(driver.text.split())
                assert f"{size[0]}×{size[1]}" in flat
                assert "80×24" in flat
            await driver.resize(80, 24)
            await driver.until(lambda: "New mesh" in driver.text)
            await driver.straight("names")
            await driver.resize(*size)
            await asyncio.sleep(0.1)
            await driver.resize(100, 30)
            await driver.until(lambda: "Mesh name" in driver.text)

    asyncio.run(play())


def test_fifty_clusters_fit(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=SimulatedOutside(clusters=50, speed=0)) as driver:
            await driver.to("contexts")
            for candidate in driver.app.draft.candidates:
                driver.app.draft.toggle(candidate) if candidate not in driver.app.draft.chosen else None
            await driver.to("topology")
            assert "cluster50" in driver.text or "1234567890" in driver.text

    asyncio.run(play())


@pytest.mark.parametrize("width", [1, 5, 20, 76])
def test_wrapping_loses_nothing_and_keeps_its_width(width: int) -> None:
    from rich.cells import cell_len

    line = [Piece("  some words and "), Piece("网络" * 20, "ok"), Piece(" x" * 40), Piece("y" * 200)]
    parts = list(wrapped(line, width))
    joined = "".join("".join(text for text, _ in part).replace(" ", "") for part in parts)
    assert joined == "".join(text for text, _ in line).replace(" ", "")
    if width > 4:
        assert max(cell_len("".join(text for text, _ in part)) for part in parts) <= width


def test_lines_keep_only_the_last(tmp_path: Path) -> None:
    lines = Lines(most=10)
    lines.add([[Piece(str(number))] for number in range(25)])
    assert lines.text.splitlines() == [str(number) for number in range(15, 25)]
