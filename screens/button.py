"""A button of one line. Textual's own brings 250 lines of styles for its variants, which every start would wait for."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from wizard.messages import msg
from wizard.messages.catalogue import rendered


class Button(Static, can_focus=True):
    """Enter, space or a click presses it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "press", msg("Press"), show=False)]
    DEFAULT_CSS = """
    Button { width: auto; height: 1; padding: 0 1; text-align: center; background: $panel; pointer: pointer; }
    Button:hover { text-style: bold; }
    Button:focus { text-style: bold reverse; }
    """

    class Pressed(Message):
        """It was pressed."""

        def __init__(self, button: Button) -> None:
            super().__init__()
            self.button = button

        @property
        def control(self) -> Button:
            """Which one, for selectors of handlers."""
            return self.button

    def __init__(self, label: str, *, id: str) -> None:
        super().__init__(Content(rendered(label)), id=id, markup=False)

    def action_press(self) -> None:
        """Tell it."""
        self.post_message(self.Pressed(self))

    def on_click(self) -> None:
        """Pressed by the mouse."""
        self.action_press()
