"""How the screens look, held against pictures: colours, borders, what is cut off. `make goldens` renews them.

Up to the review it is the demo itself. Of the install one moment is played from events, so that no picture has a time in it
that depends on the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

import screens.run
from screens.run import Run
from screens.running import RunScreen
from tests.screens.driving import SIZES, Driver, driving
from tests.screens.goldens import KEPT, Album
from wizard import kinds
from wizard.answered import Answered
from wizard.engine.events import Event, RunEnded, RunStarted, Status, StepChanged, StepSaid, StepWaits
from wizard.engine.step import Step
from wizard.operations.apply import Apply

STAGES = ("start", "contexts", "topology", "names", "networks", "review", "install", "verify")
COLOURLESS = ("contexts", "names", "install", "verify")  # at 80×24: signs must tell what only colours tell elsewhere
DONE, WORKS = "preflight namespace root-ca cacerts reach-api", "install istiod"  # kinds, at the moment of the picture
SECONDS = 12.0  # how long everything took


class Clock:
    """The time, as the picture of the run sees it."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No other clock is read by what is painted of a run."""
    made = Clock()
    monkeypatch.setattr(screens.run, "time", made)
    return made


def changed(step: Step, status: Status, detail: str = "", seconds: float = 0.0) -> StepChanged:
    return StepChanged(**step.named(), title=step.title, status=status, detail=detail, seconds=seconds)


def in_the_middle(steps: tuple[Step, ...]) -> Iterator[Event]:
    """The first steps are done, the second cluster is ahead of the first, and one step waits."""
    yield RunStarted(mesh="mesh1", operation="apply", steps=tuple(step.id for step in steps), simulated=True)
    for step in steps:
        yield changed(step, Status.WAITING)
    for number, step in enumerate(steps):
        kind = str(step.kind)
        if kind in DONE.split() or (step.cluster == "cluster2" and kind == "istiod"):
            yield changed(step, Status.DONE, "as it should be", 0.3 * number)
        elif kind in WORKS.split():
            yield changed(step, Status.RUNNING)
    at = next(step for step in steps if step.id == "cluster1/install").named()
    yield StepSaid(**at, text="✔ Istiod installed", output=True)
    yield StepWaits(**at, what="the gateway", seen="1 of 2 Pods is ready", elapsed=4, deadline=300)


def to_the_end(steps: tuple[Step, ...]) -> Iterator[Event]:
    """All is done, and every cluster has heard every other."""
    for step in steps:
        yield changed(step, Status.DONE, "as it should be", 2.0)
    for step in steps:
        if step.kind == kinds.VERIFY:
            yield Answered(**step.named(), counts={"v1": 11, "v2": 9}, missing=(), errors=0, last="")
    yield RunEnded(ok=True, exit_code=0, what="all steps are done", remedy="", seconds=SECONDS)


async def at_work(driver: Driver, clock: Clock) -> None:
    """From the review to the moment in the middle."""
    assert driver.app.prepared is not None
    run = driver.app.active_run = Run(Apply(driver.app.prepared))
    for event in in_the_middle(run.prepared.plan.steps):
        run.emit(event)
    run.drain()
    clock.now += SECONDS
    await shown(driver, "install")


async def verified(driver: Driver) -> None:
    run = driver.app.active_run
    assert run is not None
    for event in to_the_end(run.prepared.plan.steps):
        run.emit(event)
    run.drain()
    await shown(driver, "verify")


async def shown(driver: Driver, stage: str) -> None:
    driver.app.go(stage)
    await driver.until(lambda: driver.stage == stage and driver.app.stage.stands)
    screen = driver.app.stage
    assert isinstance(screen, RunScreen)
    screen.show_run(True)  # by itself it paints only at every fourth look what the first focus has hidden


async def walk(driver: Driver, clock: Clock, album: Album, wanted: tuple[str, ...], name: str) -> None:
    """Through all stages; a picture of each that is wanted."""
    for stage in STAGES:
        if stage == "install":
            await at_work(driver, clock)
        elif stage == "verify":
            await verified(driver)
        else:
            if stage != "start":
                await driver.to(stage)
            await driver.ready()
        if stage in wanted:
            for each in driver.app.screen.query(Input):
                each.cursor_blink = False
            await driver.settle()
            album.take(name.format(stage), driver.app)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "{}x{}".format(*size))
def test_the_screens_look_as_they_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, size: tuple[int, int]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    asyncio.run(pictured(tmp_path, clock, size, STAGES, pictures(size)))


def test_they_look_as_they_did_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    asyncio.run(pictured(tmp_path, clock, SIZES[0], COLOURLESS, pictures(SIZES[0], "-no-color")))


def pictures(size: tuple[int, int], rest: str = "") -> str:
    return f"{{}}-{size[0]}x{size[1]}{rest}"


async def pictured(folder: Path, clock: Clock, size: tuple[int, int], wanted: tuple[str, ...], name: str) -> None:
    album = Album()
    async with driving(folder, size) as driver:
        await walk(driver, clock, album, wanted, name)
    album.check()


def test_no_picture_is_kept_that_nobody_looks_at() -> None:
    taken = {pictures(size).format(stage) for size in SIZES for stage in STAGES}
    taken |= {pictures(SIZES[0], "-no-color").format(stage) for stage in COLOURLESS}
    assert {file.stem for file in KEPT.glob("*")} == taken
