"""The running install: failures and what a person can do about them, leaving and coming back, resuming."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from screens.filtering import Filter
from screens.run import Run
from screens.steplist import StepList
from state import StateFolder
from tests.screens.driving import Driver, driving
from tests.unit.conftest import setting
from wizard.engine.events import RunEnded, Status, StepChanged
from wizard.errors import Failed
from wizard.operations.apply import Apply
from wizard.operations.prepared import prepare
from wizard.simulated.outside import SimulatedOutside

INSTALL = "cluster1/install"


def broken() -> SimulatedOutside:
    outside = SimulatedOutside(speed=0)
    outside.istioctl.fail_at = {"Pilot": "the image \x1b[2Jcould not be [/b]pulled"}
    return outside


def run_of(driver: Driver) -> Run:
    assert driver.app.active_run is not None
    return driver.app.active_run


async def failed(driver: Driver) -> None:
    """Install, until both installs have failed and nothing is at work."""
    await driver.straight("install")
    view = run_of(driver).view
    await driver.until(lambda: len(view.broken) == 2 and not view.active)
    await driver.until(lambda: "needs you" in driver.text)


def test_a_failure_is_explained_and_retried(tmp_path: Path) -> None:
    async def play() -> None:
        outside = broken()
        async with driving(tmp_path, outside=outside) as driver:
            await failed(driver)
            assert "could not be [/b]pulled" in " ".join(driver.text.split())
            assert "\x1b" not in driver.text
            await driver.press("ctrl+n")
            assert driver.stage == "install"
            outside.istioctl.fail_at = {}
            for step in list(run_of(driver).view.broken):
                driver.app.stage.query_one(StepList).show_step(step.id)
                await driver.press("r")
            await driver.to("done")
            await driver.press("ctrl+n")
        assert driver.app.return_value == 0

    asyncio.run(play())


def test_what_comes_by_itself_takes_nothing_from_who_types(tmp_path: Path) -> None:
    async def play() -> None:
        outside = broken()
        async with driving(tmp_path, outside=outside) as driver:
            await failed(driver)
            run = run_of(driver)
            assert run.engine is not None
            await driver.press("slash")
            await driver.type("cluster")
            outside.istioctl.fail_at = {}
            for step in list(run.view.broken):
                run.engine.controls.retry(step.id)
            await driver.until(lambda: run.view.ended)
            await driver.until(lambda: "All steps are done" in driver.text)
            await driver.type("2")
            assert driver.stage == "install"
            assert driver.app.screen.query_one(Filter).value == "cluster2"
            await driver.press("enter", "ctrl+n")
            assert driver.stage == "verify"
            await driver.press("slash")
            driver.app.stage.tell_end(run.view)  # type: ignore[attr-defined]  # as where it ends just now
            await driver.settle()
            await driver.type("cluster2")
            await driver.until(lambda: "cluster2 hears" in driver.text and "cluster1 hears" not in driver.text, 20)

    asyncio.run(play())


def test_skipping_needs_consent(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=broken()) as driver:
            await failed(driver)
            view = run_of(driver).view
            await driver.press("s")
            assert "Skip this step?" in driver.text
            await driver.press("n")
            assert len(view.broken) == 2
            await driver.press("s", "y")
            await driver.until(lambda: any(step.status is Status.SKIPPED for step in view.steps.values()))
            await driver.press("a", "y")
            await driver.until(lambda: view.ended)

    asyncio.run(play())


def test_abort_asks_and_a_new_run_goes_on(tmp_path: Path) -> None:
    async def play() -> None:
        outside = broken()
        async with driving(tmp_path, outside=outside) as driver:
            await failed(driver)
            await driver.press("a")
            assert "Abort the install?" in driver.text
            await driver.press("escape")
            assert run_of(driver).alive
            await driver.press("a", "y")
            await driver.until(lambda: not run_of(driver).alive)
            outside.istioctl.fail_at = {}
            await driver.press("r")
            await driver.to("done")
            await driver.press("ctrl+n")
        assert driver.app.return_value == 0

    asyncio.run(play())


def test_quitting_asks_and_tells_how_to_resume(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=broken()) as driver:
            await failed(driver)
            await driver.press("ctrl+c")
            assert "Stop the install and leave?" in driver.text
            await driver.press("n")
            assert run_of(driver).alive
            await driver.press("q", "y")
            await driver.until(lambda: driver.app.farewell)
        assert driver.app.return_value == 1
        assert "pulled" in driver.app.farewell

    asyncio.run(play())


def test_leaving_the_screen_does_not_stop_the_work(tmp_path: Path) -> None:
    async def play() -> None:
        outside = SimulatedOutside(speed=0.3)
        async with driving(tmp_path, outside=outside) as driver:
            await driver.straight("review")
            await driver.press("ctrl+n")
            await driver.until(lambda: driver.stage == "install" and run_of(driver).view.active)
            await driver.press("escape")
            assert driver.stage == "start"
            await driver.until(lambda: "mesh1 is running" in driver.text)
            before = run_of(driver).view.passed
            await driver.until(lambda: run_of(driver).view.passed > before)
            await driver.press("ctrl+r")
            await driver.until(lambda: driver.stage in ("install", "verify"))
            await driver.to("done")

    asyncio.run(play())


def test_pause_starts_nothing_further(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=SimulatedOutside(speed=0.3)) as driver:
            await driver.straight("review")
            await driver.press("ctrl+n")
            await driver.until(lambda: driver.stage == "install" and run_of(driver).view.active)
            await driver.press("p")
            view = run_of(driver).view
            await driver.until(lambda: view.paused and not view.active)
            assert "paused" in driver.text
            passed = view.passed
            await asyncio.sleep(0.3)
            assert view.passed == passed < len(view.steps)
            await driver.press("p")
            await driver.to("done")

    asyncio.run(play())


def test_an_unfinished_mesh_is_offered_and_resumed(tmp_path: Path) -> None:
    async def play() -> None:
        outside = broken()
        async with driving(tmp_path, outside=outside) as driver:
            await failed(driver)
            await driver.press("q", "y")
            await driver.until(lambda: driver.app.farewell)
        outside.istioctl.fail_at = {}
        async with driving(tmp_path, outside=outside) as driver:
            await driver.until(lambda: "Resume mesh1" in driver.text)
            await driver.press("down", "i")
            assert "Mesh mesh1" in driver.text and "failed" in driver.text
            await driver.press("escape", "enter")
            await driver.until(lambda: driver.app.active_run)
            await driver.to("done")
            await driver.press("ctrl+n")
        assert driver.app.return_value == 0

    asyncio.run(play())


def test_resume_goes_straight_to_the_install(tmp_path: Path) -> None:
    async def play() -> None:
        outside = broken()
        async with driving(tmp_path, outside=outside) as driver:
            await failed(driver)
            await driver.press("q", "y")
            await driver.until(lambda: driver.app.farewell)
        outside.istioctl.fail_at = {}
        async with driving(tmp_path, outside=outside, resume="mesh1") as driver:
            await driver.until(lambda: driver.app.active_run)
            await driver.until(lambda: driver.stage in ("install", "verify"))
            await driver.until(lambda: run_of(driver).view.ended)

    asyncio.run(play())


def test_resuming_what_is_not_there_says_so(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, resume="nothing") as driver:
            await driver.until(lambda: "no mesh 'nothing'" in driver.app.stage.sentence)
            await driver.press("q")
        assert driver.app.return_value == 2
        assert "no mesh 'nothing'" in driver.app.farewell

    asyncio.run(play())


def test_trouble_at_the_review_blocks_the_install(tmp_path: Path) -> None:
    async def play() -> None:
        outside = SimulatedOutside(speed=0)
        async with driving(tmp_path, outside=outside) as driver:
            await driver.straight("networks")
            outside.machines[1].unreachable = True
            await driver.press("ctrl+n")
            await driver.ready()
            await driver.press("ctrl+n")
            assert driver.stage == "review"
            assert "✗" in driver.app.stage.sentence
            outside.machines[1].unreachable = False
            await driver.press("r")
            await driver.to("done")

    asyncio.run(play())


def test_the_engine_is_never_waited_for_on_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that hang leave the keys working."""

    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.straight("networks")
            free = threading.Event()

            def hangs(*_: object) -> NoReturn:
                free.wait(60)
                raise Failed("it hung", "Try again.")

            monkeypatch.setattr("wizard.operations.prepared.prepare", hangs)
            await driver.press("ctrl+n")
            for key, tab in (("2", "steps"), ("3", "commands"), ("1", "drawing")):
                await driver.press(key)
                assert driver.app.screen.query_one("TabbedContent").active == tab  # type: ignore[attr-defined]
            assert "Comparing every step" in driver.text
            free.set()
            await driver.until(lambda: "it hung Try again." in driver.app.stage.sentence)

    asyncio.run(play())


def test_pressing_on_too_early_is_no_mistake(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=SimulatedOutside(speed=0.3)) as driver:
            await driver.straight("install")
            await driver.until(lambda: run_of(driver).view.active)
            await driver.press("ctrl+n")
            assert driver.app.stage.sentence == "… The verification begins by itself, when every cluster is ready."
            assert not driver.app.stage.query_one("#sentence").has_class("-wrong")

    asyncio.run(play())


def test_an_install_that_was_over_at_the_first_look_waits_for_the_key(tmp_path: Path) -> None:
    """What came between two looks of the app is seen at once: the verification was never seen at work."""

    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.straight("review")
            assert driver.app.prepared is not None
            run = driver.app.active_run = Run(Apply(driver.app.prepared))
            driver.app.go("install")
            await driver.until(lambda: driver.stage == "install" and driver.app.stage.stands)
            for step, kind in ((INSTALL, "install"), ("cluster1/verify", "verify")):
                for status in (Status.PROBING, Status.DONE):
                    run.emit(StepChanged(step=step, kind=kind, cluster="cluster1", title=step, status=status))
            run.emit(RunEnded(ok=True, exit_code=0, what="all done", remedy="", seconds=1))
            await driver.until(lambda: run.view.ended)
            assert driver.stage == "install"
            assert driver.app.stage.sentence == "All steps are done. Ctrl+N goes on."
            assert driver.app.focused is driver.app.stage.query_one("#next")
            await driver.to_verification()

    asyncio.run(play())


@pytest.mark.promise(32, 33)
def test_a_stop_before_the_run_has_an_engine_is_not_lost(tmp_path: Path) -> None:
    made = setting(2)
    opening, go_on = threading.Event(), threading.Event()

    class Slow(Apply):
        def check(self) -> None:
            opening.set()
            go_on.wait(20)

    run = Run(Slow(prepare(made.mesh, made.outside, StateFolder(tmp_path))))
    run.start()
    assert opening.wait(20)
    run.give_up()
    go_on.set()
    run.join(20)
    run.drain()
    assert run.view.ended is not None
    assert (run.view.ended.ok, run.view.ended.exit_code) == (False, 130)
    assert made.outside.istioctl.installs == 0
