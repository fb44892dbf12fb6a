"""What is shown on a terminal that is too small."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class TooSmall(ModalScreen[None]):
    """Says how large the terminal is and how large it must be; goes by itself."""

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
        from screens.app import NEEDED, WizardApp

        width, height = self.app.size
        if width >= NEEDED[0] and height >= NEEDED[1]:
            if isinstance(self.app, WizardApp):
                self.app.no_longer_small()
            if self.is_current:
                self.dismiss(None)
            return
        sentence = (
            f"The terminal is {width}×{height}; the wizard needs {NEEDED[0]}×{NEEDED[1]}. Enlarge it, or press q."
        )
        self.query_one("#small", Static).update(Content(sentence))
