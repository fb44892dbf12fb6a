"""Lines with a cursor that the keys and the mouse move, for lists whose lines are made when they are painted."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Region

from screens.lines import Lines


class CursorLines(Lines):
    """Whoever has the rows says `count` and `line_at`. `cursor` is the row that it is on: 0 also where there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]
    MARGIN: ClassVar[int] = 0  # rows above and below the cursor that stay in view with it

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor: int = 0

    def action_move(self, by: int) -> None:
        """Move the cursor by so many rows, as far as there are any."""
        self.cursor = max(0, min(self.count() - 1, self.cursor + by))
        self.reveal()

    def reveal(self) -> None:
        """Scroll to the cursor, and paint."""
        region = Region(0, max(0, self.cursor - self.MARGIN), 1, 1 + 2 * self.MARGIN)
        self.scroll_to_region(region, animate=False, force=True)
        self.refresh()
