"""One line that says which rows to show. `/` opens it; Enter keeps it, Escape takes it away."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from wizard.messages import msg
from wizard.messages.catalogue import tr


class Filter(Input):
    """Hidden while nothing is filtered."""

    DEFAULT_CSS = "Filter { display: none; background: $surface; } Filter.-open { display: block; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave(True)", msg("All"), show=False),
        Binding("down", "leave(False)", msg("Rows"), show=False),
    ]

    class Typed(Message):
        """Show what has this in it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The rows are to have the focus again."""

    def __init__(self) -> None:
        super().__init__("", compact=True, select_on_focus=False, placeholder=tr("filter: part of a name"))

    def open(self) -> None:
        """Show it and type."""
        self.add_class("-open")
        self.focus()

    def clear(self) -> None:
        """Show all again."""
        self.value = ""
        self.remove_class("-open")

    def on_input_changed(self, event: Input.Changed) -> None:
        """As it is typed."""
        event.stop()
        self.post_message(self.Typed(self.value.strip()))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Back to the rows."""
        event.stop()
        self.action_leave(not self.value.strip())

    def action_leave(self, all_rows: bool) -> None:
        """Back to the rows, filtered or all."""
        if all_rows:
            self.clear()
        self.post_message(self.Left())
