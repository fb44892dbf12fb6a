"""Whatever clusters and istioctl say in the midst of an install: no screen lets it through raw, and none breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screens.driving import Driver, driving
from tests.screens.test_hostile import UNSAFE
from tests.screens.textual_private import styles_parsed_once
from tests.unit.hostile import Hostile, owned, waiting
from wizard.engine.step import Job
from wizard.errors import Failed

pytestmark = pytest.mark.core


@pytest.fixture(autouse=True, scope="module")
def _styles_are_parsed_once() -> Iterator[None]:
    with styles_parsed_once():
        yield


def harmless(driver: Driver) -> None:
    found = UNSAFE.search(driver.text)
    assert not found, (driver.stage, ascii(driver.text[max(0, found.start() - 200) : found.end() + 50]))


@pytest.mark.promise(37)
@pytest.mark.parametrize("how", ["words", "owned", "pods wait", "conflicts", "istioctl"])
def test_a_whole_install_in_a_hostile_town(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Job.wait
    monkeypatch.setattr(
        Job,
        "wait",
        lambda self, what, look, *, seconds, **more: whole(
            self, what, look, seconds=5 if how == "words" else 1, **more
        ),
    )
    town = Hostile()
    town.spoil = {"owned": owned, "pods wait": waiting}.get(how, town.spoil)
    town.conflicts = how == "conflicts"
    town.fails = {"install": Failed} if how == "istioctl" else {}

    async def play() -> None:
        async with driving(tmp_path, outside=town) as driver:
            for stage in ("contexts", "names", "topology", "review"):
                await driver.to(stage)
                harmless(driver)
                await driver.press("f1")
                harmless(driver)
                await driver.press("escape")
            app = driver.app
            await driver.until(lambda: app.prepared is not None)
            await asyncio.sleep(0.3)
            harmless(driver)
            await driver.press("ctrl+n")
            await asyncio.sleep(0.2)
            run = app.active_run
            if run is None:
                harmless(driver)  # it was refused at the review
                assert how != "words"
                return
            await driver.until(lambda: run.view.ended or (run.view.broken and not run.view.active), seconds=200)
            for stage in ("install", "verify"):
                app.go(stage)
                await driver.until(lambda stage=stage: driver.stage == stage)  # type: ignore[misc]
                for step in [*run.view.broken, *run.view.steps.values()][:4]:
                    getattr(app.stage, "show_note", print)(step)
                    await driver.settle()
                    harmless(driver)
                await driver.press("f1")
                harmless(driver)
                await driver.press("escape")
            app.finish()
        assert how != "words" or driver.app.return_value == 0

    asyncio.run(play())
