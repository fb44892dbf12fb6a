"""What only a person can do: the exact text, what is waited for, hidden, left and resumed; and what went wrong in full."""

from __future__ import annotations

import asyncio
from functools import partialmethod
from pathlib import Path

import pytest

from screens.install import InstallScreen
from screens.manual import Manual
from screens.run import Run, RunView
from tests.screens.driving import SIZES, Driver, driving
from wizard.engine.events import PersonNeeded, Status, StepChanged, StepWaits
from wizard.engine.step import Job
from wizard.operations.apply import Apply
from wizard.simulated.outside import SimulatedOutside


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """At what a person did, and at what waits for one."""
    monkeypatch.setattr(Job, "person", partialmethod(Job.person, every=0.2))
    monkeypatch.setattr("screens.manual.LOOK", 0.05)


SERVICES = {0: "10.97.0.0/16", 1: "10.98.0.0/16"}


def routed() -> SimulatedOutside:
    return SimulatedOutside(speed=0, own_services=True)


def lay_route(outside: SimulatedOutside, here: int, there: int) -> None:
    """As a person does it on the node."""
    outside.machines[here].routes[SERVICES[there]] = outside.machines[there].node_address


def view_of(driver: Driver) -> RunView:
    assert driver.app.active_run is not None
    return driver.app.active_run.view


async def waiting(driver: Driver, count: int = 2) -> None:
    """Both clusters by way of routes, as far as the manual steps."""
    await driver.straight("networks")
    await driver.press("a", "tab", "enter", "down", "down", "down", "enter")
    await driver.straight("install")
    await driver.until(lambda: len(view_of(driver).wanted) == count, 60)
    await driver.until(lambda: isinstance(driver.app.screen, Manual))
    await driver.until(lambda: f"of {count}" in driver.text)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_manual_step_is_shown_copied_hidden_and_done(tmp_path: Path, size: tuple[int, int]) -> None:
    async def play() -> None:
        outside = routed()
        async with driving(tmp_path, size, outside) as driver:
            await waiting(driver)
            for _ in range(2):
                await driver.press("right")
                here = 0 if "You are needed in cluster1" in driver.text else 1
                command = f"sudo ip route add {SERVICES[1 - here]} via {outside.machines[1 - here].node_address}"
                assert command in driver.text
                assert "Waiting for" in driver.text and "Seen last:" in driver.text
                assert "Q leave and resume later" in driver.text
                await driver.press("c")
                assert command in driver.app.clipboard.splitlines()
                assert "Sent to the terminal's clipboard" in driver.text
            await driver.press("escape")
            await asyncio.sleep(0.3)
            assert driver.app.screen is driver.app.stage, "hidden, it stays hidden"
            assert "needs you" in driver.text and "M shows what to do" in driver.text
            await driver.press("m")
            assert isinstance(driver.app.screen, Manual)
            lay_route(outside, 0, 1)
            await driver.until(lambda: len(view_of(driver).wanted) == 1, 60)
            await driver.until(lambda: "You are needed in cluster2" in driver.text and "of 2" not in driver.text)
            lay_route(outside, 1, 0)
            await driver.until(lambda: driver.app.screen is driver.app.stage, 60)
            await driver.to("done")
            await driver.press("ctrl+n")
        assert driver.app.return_value == 0

    asyncio.run(play())


def test_a_manual_step_is_left_and_gone_on_with(tmp_path: Path) -> None:
    async def play() -> None:
        outside = routed()
        async with driving(tmp_path, outside=outside) as driver:
            await waiting(driver)
            await driver.press("q")
            assert "Stop the install and leave?" in driver.text
            await driver.press("n")
            assert isinstance(driver.app.screen, Manual)
            await driver.press("q", "y")
            await driver.until(lambda: driver.app.farewell)
        lay_route(outside, 0, 1)
        async with driving(tmp_path, outside=outside, resume="mesh1") as driver:
            await driver.until(lambda: isinstance(driver.app.screen, Manual), 60)
            assert "You are needed in cluster2" in driver.text
            lay_route(outside, 1, 0)
            await driver.until(lambda: view_of(driver).ended, 60)
            ended = view_of(driver).ended
            assert ended and ended.ok

    asyncio.run(play())


def test_another_screen_says_that_somebody_is_needed(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=routed()) as driver:
            await waiting(driver)
            await driver.press("escape", "escape")
            assert driver.stage == "start"
            await driver.until(lambda: "is running needs you" in driver.text)
            await driver.press("ctrl+r")
            await driver.until(lambda: isinstance(driver.app.screen, Manual))
            await driver.press("q", "y")
            await driver.until(lambda: driver.app.farewell)

    asyncio.run(play())


STEP = "cluster1/install"
REMEDY = "\n".join(f"{number}. remedy line {number} [/b]" for number in range(1, 40))


async def with_events(driver: Driver, *events: StepChanged | StepWaits | PersonNeeded) -> Run:
    """The install screen over a run of just these events."""
    await driver.straight("review")
    assert driver.app.prepared is not None
    run = driver.app.active_run = Run(Apply(driver.app.prepared))
    for event in events:
        run.emit(event)
    driver.app.go("install")
    await driver.until(lambda: driver.stage == "install" and run.view.steps)
    await asyncio.sleep(0.3)
    return run


def change(status: Status, detail: str = "", remedy: str = "", step: str = STEP) -> StepChanged:
    cluster = step.partition("/")[0]
    return StepChanged(step=step, cluster=cluster, title="Istio", status=status, detail=detail, remedy=remedy)


def test_a_conflict_tells_its_whole_remedy(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await with_events(driver, change(Status.CONFLICT, "somebody else's", REMEDY))
            assert "1. remedy line 1 [/b]" in driver.text and "3. remedy line 3" in driver.text
            await driver.press("enter")
            assert "cluster1: Istio" in driver.text and "somebody else's" in driver.text
            await driver.press("c")
            assert "39. remedy line 39 [/b]" in driver.app.clipboard.splitlines()
            await driver.press("end")
            await driver.until(lambda: "39. remedy line 39" in driver.text)
            await driver.press("escape", "space")
            await driver.until(lambda: "+ cluster1" in driver.text)

    asyncio.run(play())


def test_a_wait_without_an_end_says_only_how_long(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            wait = StepWaits(step=STEP, cluster="cluster1", what="a wonder", seen="none", elapsed=61, deadline=0)
            run = await with_events(driver, change(Status.RUNNING), wait)
            assert "a wonder: none (1 min 0" in " ".join(driver.text.split())
            assert " of 0 s" not in driver.text
            assert not run.view.wanted

    asyncio.run(play())


def test_hostile_instructions_are_harmless(tmp_path: Path) -> None:
    async def play() -> None:
        evil = "\x1b[2J\x1b]52;c;aGk=\x07[/b][red]$x\u202eabc \ud800" + "A" * 200_000
        needed = PersonNeeded(step=STEP, cluster="cluster1", what=evil, instructions=f"{evil}\nlast")
        async with driving(tmp_path) as driver:
            run = await with_events(driver, change(Status.RUNNING), needed)
            assert isinstance(driver.app.screen, Manual)
            assert "\x1b" not in driver.text and "\u202e" not in driver.text and "[/b]" in driver.text
            await driver.press("c")
            assert "\x1b" not in driver.app.clipboard
            run.emit(change(Status.RUNNING))
            run.emit(change(Status.FAILED, "given up"))
            await driver.until(lambda: driver.app.screen is driver.app.stage)

    asyncio.run(play())


def test_news_while_the_screens_are_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal vanishes: a screen has lost its widgets, and the timer of the app's run still ticks."""
    ticked: list[int] = []

    async def play() -> None:
        async with driving(tmp_path) as driver:

            def tick(screen: InstallScreen) -> None:
                driver.app.show_news()
                screen.show_run(True)
                ticked.append(len(screen.query("#state")))

            run = await with_events(driver, change(Status.RUNNING))
            monkeypatch.setattr(InstallScreen, "on_unmount", tick, raising=False)
            run.emit(change(Status.FAILED, "given up"))

    asyncio.run(play())
    assert ticked == [0]


def test_lanes_are_filtered(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, (120, 40)) as driver:
            steps = [change(Status.RUNNING, step=f"cluster{number}/install") for number in range(1, 21)]
            await with_events(driver, *steps)
            await driver.press("slash")
            await driver.type("cluster2")
            assert "cluster20" in driver.text and "+ cluster3" not in driver.text
            await driver.press("escape")
            assert driver.stage == "install"
            assert "+ cluster3" in driver.text

    asyncio.run(play())
