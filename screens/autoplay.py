"""Plays the wizard through by itself, with the keys a person would press and short pauses to look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from textual.screen import Screen
from textual.timer import Timer

from screens.base import WizardScreen
from screens.host import Host

LOOK = 0.1  # seconds between two looks at whether a screen is ready
GIVE_UP = 120.0  # seconds on one screen
FEW = 4  # contexts, up to which each is chosen for itself


class Stage(Host, Protocol):
    """The app, as its player sees it."""

    @property
    def stage(self) -> WizardScreen:
        """The wizard screen that is shown."""

    @property
    def screen(self) -> Screen[object]:
        """What is shown, which may be a dialog over it."""

    def set_interval(self, interval: float, callback: Callable[[], None]) -> Timer:
        """Call it again and again."""

    def simulate_key(self, key: str) -> None:
        """Press that key."""

    def stop_and_leave(self) -> None:
        """End the run, then leave."""


class Player:
    """Presses keys on the current screen, waits until it is ready, goes on; leaves the app after the last."""

    def __init__(self, app: Stage, pause: float) -> None:
        self._app = app
        self._pause = pause
        self._keys: Iterator[str] = iter(())
        self._stage: object = None
        self._rest = pause
        self._spent = 0.0

    def start(self) -> None:
        """Begin; everything happens on a timer of the app."""
        self._app.set_interval(LOOK, self._look)

    def _look(self) -> None:
        stage = self._app.stage
        if stage is not self._stage:
            self._stage, self._rest, self._spent = stage, self._pause, 0.0
            self._keys = iter(self._script(stage.STAGE))
        self._spent += LOOK
        if self._spent > GIVE_UP:
            self._app.finish()
            return
        if not stage.stands or not stage.ready() or self._app.screen is not stage:
            return
        if stage.STAGE in ("install", "verify") and self._failed():
            self._app.stop_and_leave()
            return
        self._rest -= LOOK
        if self._rest > 0:
            return
        key = self._choosing(stage) or next(self._keys, None)
        if key is None:  # a key that came while a screen was still being built is lost: press the last one again
            key = self._script(stage.STAGE)[-1]
        self._rest = self._pause / 2
        if key == "…":  # a longer look
            self._rest = self._pause * 1.5
            return
        self._app.simulate_key(key)

    def _failed(self) -> bool:
        view = self._app.active_run.view if self._app.active_run else None
        return bool(view and view.ended and not view.ended.ok)

    def _choosing(self, stage: WizardScreen) -> str:
        """The key that comes next until every context is chosen: judged by what is chosen, so that a lost key is no harm."""
        from screens.contexts import ContextsScreen

        if not isinstance(stage, ContextsScreen):
            return ""
        rows, chosen = list(self._app.draft.candidates), self._app.draft.chosen
        missing = [index for index, row in enumerate(rows) if row not in chosen]
        if not missing or stage.highlighted is None:
            return ""
        if len(missing) > FEW:
            return "a"
        here = rows.index(stage.highlighted.id)
        return "space" if here in missing else "down" if missing[-1] > here else "up"

    def _script(self, stage: str) -> list[str]:
        match stage:
            case "start":
                return ["enter"]
            case "topology":
                return ["…", "ctrl+n"]
            case "review":
                return ["2", "3", "1", "ctrl+n"]
            case "done":
                return ["…", "ctrl+n"]
            case _:
                return ["ctrl+n"]
