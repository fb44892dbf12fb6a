"""Drives the app by keys alone, on simulated clusters, and reads what is painted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.events import Key, Paste
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.stages import PATH
from state import StateFolder
from tests.screens.textual_private import paint, painted, run_what_is_ready
from wizard.simulated.outside import SimulatedOutside

SIZES = ((80, 24), (120, 40))
PATIENCE = 90  # seconds: on a slow machine whose every core runs another test, a step of the screens can take many
LOOK = 0.01  # seconds between two looks at what comes from a thread
TYPED = {"space": " ", "slash": "/"}  # the characters of keys that have a name


class Driver:
    """One app under test."""

    def __init__(self, app: WizardApp, pilot: Pilot[int]) -> None:
        self.app = app
        self._pilot = pilot

    async def settle(self) -> None:
        """Until nothing of the app is ready to run, and what came of it is painted; threads and timers are not waited for.

        Textual's own pilot waits until the process uses little of the processor. That takes a second where a thread is at
        work, and on a busy machine it takes an app that waits for its turn for one that has ended its work.
        """
        while True:
            await run_what_is_ready()
            if not self.app.is_running:
                return
            await self.app.animator.wait_until_complete()
            if not paint(self.app.screen):
                return

    async def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait for it, or fail with what is painted."""
        end = time.monotonic() + seconds
        await self.settle()
        while not condition():
            assert time.monotonic() < end, f"waited too long on {self.app.stage.STAGE}:\n{self.text}"
            await asyncio.sleep(LOOK)
        await self.settle()

    async def ready(self) -> None:
        await self.until(lambda: self.app.stage.is_mounted and self.app.stage.ready())

    async def press(self, *keys: str) -> None:
        """Each when what the one before has caused is done."""
        for key in keys:
            self.app.post_message(Key(key, key if len(key) == 1 else TYPED.get(key)))
            await self.settle()

    async def resize(self, width: int, height: int) -> None:
        """The terminal has that size now."""
        await self._pilot.resize_terminal(width, height)
        await self.until(lambda: self.app.screen.size == (width, height))  # the app collects sizes for a moment

    async def type(self, text: str) -> None:
        """As a paste, which is what a terminal makes of fast typing."""
        self.app.screen.post_message(Paste(text))
        await self.settle()

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

    async def straight(self, stage: str) -> None:
        """To that stage past those before it, whose answers stay as they are or are proposed: for tests of that stage. The
        whole way is walked by those of test_path.py.
        """
        await self.to("contexts")
        if len(self.app.draft.chosen) < 2:
            await self.press("space", "down", "space")
        here = self.app.stage
        if PATH.index(here.STAGE) < PATH.index("review"):
            self.app.go(min(stage, "review", key=PATH.index))
            await self.until(lambda: self.app.stage is not here)
        await self.to(stage)

    async def to_verification(self) -> None:
        """From the install. It goes on by itself when it sees the verification at work; one that was over between two looks
        of the app waits for the key.
        """
        run = self.app.active_run
        assert run is not None
        await self.until(lambda: self.stage == "verify" or run.view.ended)
        if self.stage == "install":
            await self.press("ctrl+n")
        assert self.stage == "verify", self.text

    @property
    def stage(self) -> str:
        return self.app.stage.STAGE

    @property
    def text(self) -> str:
        """What is painted, as text."""
        return painted(self.app.screen)


@asynccontextmanager
async def driving(
    folder: Path, size: tuple[int, int] = (80, 24), outside: Any = None, **arguments: Any
) -> AsyncIterator[Driver]:
    """The app on simulated clusters."""
    app = WizardApp(outside or SimulatedOutside(speed=0), StateFolder(folder), **arguments)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        await driver.settle()
        yield driver
