"""Drives the app by keys alone, on simulated clusters, and reads what is painted."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.events import Paste
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.stages import PATH
from state import StateFolder
from wizard.simulated.outside import SimulatedOutside

SIZES = ((80, 24), (120, 40))
PATIENCE = 90  # seconds: on a slow machine whose every core runs another test, a step of the screens can take many


class Driver:
    """One app under test."""

    def __init__(self, app: WizardApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait for it, or fail with what is painted."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited too long on {self.app.stage.STAGE}:\n{self.text}"
            await self.pilot.pause(0.02)
        await self.pilot.pause()

    async def ready(self) -> None:
        await self.until(lambda: self.app.stage.is_mounted and self.app.stage.ready())

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """As a paste, which is what a terminal makes of fast typing."""
        self.app.screen.post_message(Paste(text))
        await self.pilot.pause()

    async def to(self, stage: str) -> None:
        """Go on by keys until that stage, or one after it, is shown: the install goes on to the verification by itself."""
        for _ in range(12):
            here = self.app.stage
            if here.STAGE in PATH[PATH.index(stage) :] and here.STAGE in ("install", "verify"):
                return  # those are ready only when all work is done
            await self.ready()
            here = self.app.stage
            if here.STAGE in PATH[PATH.index(stage) :]:
                return
            if here.STAGE == "start":
                await self.press("enter")
            elif here.STAGE == "contexts" and len(self.app.draft.chosen) < 2:
                await self.press("space", "down", "space", "ctrl+n")
            else:
                await self.press("ctrl+n")
            await self.until(lambda here=here: self.app.stage is not here)  # type: ignore[misc]
        raise AssertionError(f"never came to {stage}")

    @property
    def stage(self) -> str:
        return self.app.stage.STAGE

    @property
    def text(self) -> str:
        """What is painted, as text."""
        screen = self.app.screen
        return "\n".join(strip.text for strip in screen._compositor.render_strips())


@asynccontextmanager
async def driving(
    folder: Path, size: tuple[int, int] = (80, 24), outside: Any = None, **arguments: Any
) -> AsyncIterator[Driver]:
    """The app on simulated clusters."""
    app = WizardApp(outside or SimulatedOutside(speed=0), StateFolder(folder), **arguments)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        await pilot.pause()
        yield driver
