"""Small questions over a screen: yes or no, one line of text, help."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from screens.button import Button
from wizard.mesh.fields import Field
from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr

COPIED = msg("Sent to the terminal's clipboard (OSC 52).   Esc: close")


class Confirm(ModalScreen[bool]):
    """Asks before something that cannot be taken back. Escape means no."""

    CSS_PATH = "dialog.tcss"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", msg("No"), show=False),
        Binding("y", "answer(True)", msg("Yes"), show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, explanation: str, yes: str, no: str = msg("No")) -> None:
        """`yes`, `no`: what the two buttons say, as verbs."""
        super().__init__()
        self._texts = tuple(map(rendered, (question, explanation, yes, no)))

    def compose(self) -> ComposeResult:
        """The question, what it means, and two answers."""
        question, explanation, yes, no = self._texts
        with Vertical(classes="dialog"):
            yield Static(Content(question), classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(Content(explanation), markup=False)
            with Horizontal(classes="dialog-buttons"):
                yield Button(f"{no} (n)", id="no")
                yield Button(f"{yes} (y)", id="yes")

    def on_mount(self) -> None:
        """The harmless answer has the focus."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer by key."""
        self.dismiss(yes)


class Ask(ModalScreen[str | None]):
    """Asks for one line of text. Escape gives None."""

    AUTO_FOCUS = "Input"
    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", msg("Cancel"), show=False)]

    def __init__(self, title: str, explanation: str, value: str, check: Callable[[str], str | None]) -> None:
        """`check`: the sentence of what is wrong with the text, or None."""
        super().__init__()
        self._title, self._explanation, self._value, self._check = title, explanation, value, check

    def compose(self) -> ComposeResult:
        """Title, explanation, the line."""
        with Vertical(classes="dialog"):
            yield Static(Content(rendered(self._title)), classes="dialog-title", markup=False)
            yield Static(Content(rendered(self._explanation)), markup=False)
            yield Input(self._value, compact=True, select_on_focus=False)
            yield Static("", classes="mistake", markup=False)
            yield Static(Content(tr("Enter: accept   Esc: cancel")), classes="dialog-keys", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Accept it, or say what is wrong."""
        event.stop()
        wrong = self._check(event.value.strip()) if event.value.strip() else msg("type something, or press Esc")
        if wrong is None:
            self.dismiss(event.value.strip())
            return
        place = self.query_one(".mistake", Static)
        place.update(Content(f"✗ {rendered(wrong)}"))
        place.display = True

    def action_cancel(self) -> None:
        """Never mind."""
        self.dismiss(None)


class Help(ModalScreen[None]):
    """A text to read, and to copy."""

    AUTO_FOCUS = ".dialog-body"
    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,enter,question_mark,q", "close", msg("Close"), show=False),
        Binding("c", "copy", msg("Copy"), show=False),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self._text = rendered(title), rendered(text)

    def compose(self) -> ComposeResult:
        """Title and text."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._title), classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-body"):
                yield Static(Content(self._text), markup=False)
            yield Static(Content(tr("Esc: close   C: copy")), classes="dialog-keys", markup=False)

    def action_close(self) -> None:
        """Close it."""
        self.dismiss(None)

    def action_copy(self) -> None:
        """What is selected with the mouse, or all of it."""
        self.app.copy_to_clipboard(self.get_selected_text() or self._text)
        self.query_one(".dialog-keys", Static).update(Content(rendered(COPIED)))


def help_on(field: Field) -> tuple[str, str]:
    """Title and text of the help on a question."""
    parts = [rendered(field.help), ""]
    for choice in field.choices:
        parts.append(f"• {rendered(choice.title)}")
    if field.choices:
        parts.append("")
    default = field.render(field.default)
    if default:
        parts.append(tr("Default: {value}", value=default))
    else:
        parts.append(tr("Default: found on the cluster") if field.found else tr("Default: none"))
    if field.scope == "cluster":
        parts.append(tr("In the mesh file: {key}, in each cluster's entry", key=field.key))
    else:
        parts.append(tr("In the mesh file: {key}, at the top", key=field.key))
    if field.scope == "mesh":
        parts.append(tr("On the command line: {flag}", flag=field.flag))
    return field.title, "\n".join(parts)
