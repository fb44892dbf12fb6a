"""Whatever the tests of the screens use of Textual's inside, read in Textual 8.2.8. No other test reaches into it.

What there is in public, Textual's pilot, waits until the process uses little of the processor: a second at each key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen


async def run_what_is_ready() -> None:
    """Until nothing that is ready to run is left in this loop; asyncio tells nobody but itself."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    while ready:
        await asyncio.sleep(0)


def paint(screen: Screen[Any]) -> bool:
    """Paint what waits for the screen's next turn, some sixtieth of a second away. False: nothing does."""
    if not screen._update_timer._active.is_set():
        return False
    screen._on_timer_update()
    return True


def painted(screen: Screen[Any]) -> str:
    """What is painted, as text. A screenshot, which is public, costs twenty times as much."""
    return "\n".join(strip.text for strip in screen._compositor.render_strips())


@contextmanager
def styles_parsed_once() -> Iterator[None]:
    """Textual parses all styles anew for each screen that comes with some: for a hundred apps, a third of their time."""
    parse = Stylesheet._parse_rules
    parsed: dict[object, list[RuleSet]] = {}

    def once(self: Stylesheet, *arguments: Any, **named: Any) -> list[RuleSet]:
        key = (tuple(self._variables.items()), arguments, tuple(named.items()))
        if key not in parsed:
            parsed[key] = parse(self, *arguments, **named)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", once)
        yield
