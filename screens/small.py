"""What is shown on a terminal that is too small."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from wizard.messages.catalogue import tr

NEEDED = Size(80, 24)


def too_small(size: Size) -> bool:
    """Whether the screens do not fit."""
    return size.width < NEEDED.width or size.height < NEEDED.height


class TooSmall(ModalScreen[None]):
    """Says how large the terminal is and how large it must be; goes by itself."""

    DEFAULT_CSS = """
    TooSmall { background: $background; align: left top; }
    TooSmall #small { width: 1fr; height: auto; }
    """

    def compose(self) -> ComposeResult:
        """The sentence."""
        yield Static("", id="small", markup=False)

    def on_mount(self) -> None:
        """Say it."""
        self._judge()

    def on_resize(self) -> None:
        """Say it again, or go."""
        self._judge()

    def _judge(self) -> None:
        size = self.app.size
        if not too_small(size):
            if self.is_current:
                self.dismiss(None)
            return
        sentence = tr(
            "The terminal is {width}×{height}; the wizard needs {needed_width}×{needed_height}. Enlarge it, or press q.",
            width=size.width,
            height=size.height,
            needed_width=NEEDED.width,
            needed_height=NEEDED.height,
        )
        self.query_one("#small", Static).update(Content(sentence))
