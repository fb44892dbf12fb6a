"""Widgets that ask the declared questions: one row each, the mistake below it, the help text where the focus is."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from wizard.mesh.fields import Field, Value
from wizard.text import one_line


class Answer(Message):
    """A person answered. `path`: the mistake path of the question, such as `clusters[0].name`."""

    def __init__(self, control: Control, value: Value) -> None:
        super().__init__()
        self.field_control = control
        self.value = value


class FieldInput(Input):
    """A question answered by typing."""

    def __init__(self, field: Field, path: str, value: Value, placeholder: str = "") -> None:
        super().__init__(
            field.render(value), compact=True, select_on_focus=False, placeholder=placeholder or _placeholder(field)
        )
        self.field = field
        self.path = path

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell it as an answer."""
        event.stop()
        self.post_message(Answer(self, self.answer))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on to the next question."""
        event.stop()
        self.screen.focus_next()

    @property
    def answer(self) -> Value:
        """What was typed, as the mesh file holds it."""
        return self.field.parse(self.value)


class FieldSelect(Select[str]):
    """A question answered by choosing."""

    def __init__(self, field: Field, path: str, value: Value) -> None:
        options = [(Content(choice.title), choice.value) for choice in field.choices]
        known = {choice.value for choice in field.choices}
        chosen = str(value) if value in known else str(field.default)
        super().__init__(options, allow_blank=False, value=chosen, compact=True)
        self.field = field
        self.path = path

    def on_select_changed(self, event: Select.Changed) -> None:
        """Tell it as an answer."""
        event.stop()
        self.post_message(Answer(self, self.answer))

    @property
    def answer(self) -> Value:
        """The value chosen."""
        return None if self.value is Select.NULL else str(self.value)


Control = FieldInput | FieldSelect


def control_for(field: Field, path: str, value: Value, placeholder: str = "") -> Control:
    """The widget that asks this question."""
    if field.kind == "choice":
        return FieldSelect(field, path, value)
    return FieldInput(field, path, value, placeholder)


def _placeholder(field: Field) -> str:
    if field.found:
        return "found on the cluster"
    return "" if field.required else "optional"


class FieldRow(Vertical):
    """A label and the controls of one row; below them what is wrong with the answers, if anything is."""

    def __init__(self, label: str, controls: Sequence[Control], *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._label = label
        self.controls = list(controls)
        self._mistakes: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """One line, and one more only where there is a mistake."""
        with Horizontal(classes="row"):
            yield Static(Content(self._label), classes="row-label", markup=False)
            yield from self.controls
        yield Static("", classes="mistake", markup=False)

    def relabel(self, label: str) -> None:
        """Change the label."""
        self._label = label
        self.query_one(".row-label", Static).update(Content(label))

    def show(self, mistakes: dict[str, str]) -> None:
        """Show those of these mistakes (path → sentence) that belong here."""
        mine = {control.path: mistakes[control.path] for control in self.controls if control.path in mistakes}
        if mine == self._mistakes:
            return
        self._mistakes = mine
        several = len(self.controls) > 1
        lines = [
            f"✗ {control.field.title + ': ' if several else ''}{one_line(mine[control.path])}"
            for control in self.controls
            if control.path in mine
        ]
        place = self.query_one(".mistake", Static)
        place.update(Content("\n".join(lines)))
        place.display = bool(lines)
        for control in self.controls:
            control.set_class(control.path in mine, "-wrong")


def control_of(widget: Widget | None) -> Control | None:
    """The question that this widget, or one around it, asks."""
    while widget is not None:
        if isinstance(widget, FieldInput | FieldSelect):
            return widget
        widget = widget.parent if isinstance(widget.parent, Widget) else None
    return None
