"""In another language no screen says plain English: whatever people read is a message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from screens.stages import PATH
from tests.mangle import Mangled, plain_english
from tests.screens.driving import SIZES, Driver, driving
from tests.screens.goldens import svg_of, text_of
from tests.screens.test_goldens import Clock, at_work, clock, verified
from wizard.messages.catalogue import English, use

__all__ = ["clock"]
EVENTS = (
    "as it should be",
    "the gateway",
    "1 of 2 Pods is ready",
    "Istiod installed",
    "all steps are done",
)  # as the clusters'


@pytest.fixture(autouse=True)
def mangled() -> Iterator[None]:
    use(Mangled())
    yield
    use(English())


def english(driver: Driver) -> list[str]:
    """What in the picture is plain English."""
    text = "\n".join(text_of(svg_of(driver.app)))
    return [f"{driver.app.stage.STAGE}: {found}" for found in plain_english(text, EVENTS)]


def test_no_screen_and_no_help_says_english(tmp_path: Path, clock: Clock) -> None:
    found: list[str] = []

    async def walk() -> None:
        async with driving(tmp_path, SIZES[1]) as driver:
            for stage in ("start", *PATH):
                if stage == "install":
                    await at_work(driver, clock)
                elif stage == "verify":
                    await verified(driver)
                elif stage == "done":
                    await driver.press("ctrl+n")
                    await driver.until(lambda: driver.stage == "done")
                elif stage != "start":
                    await driver.to(stage)
                    await driver.ready()
                await driver.settle()
                found.extend(english(driver))
                await driver.press("f1")
                found.extend(english(driver))
                await driver.press("escape")
                await driver.settle()
                if stage == "review":
                    await driver.press("2")  # the steps; the third tab has commands, which are in no language
                    found.extend(english(driver))
                    await driver.press("1")
                if stage == "install":
                    await driver.press("q")
                    found.extend(english(driver))
                    await driver.press("escape")
                    await driver.settle()

    asyncio.run(walk())
    assert not found, "\n".join(found)
