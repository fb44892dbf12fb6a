"""Widgets that ask the declared questions: one row each, the mistake below it, the help text where the focus is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Select, Static

from wizard.mesh.fields import Field, Value
from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr
from wizard.text import one_line

if TYPE_CHECKING:
    from screens.candidates import ContextId


class Answer(Message):
    """A person answered. `path`: the mistake path of the question, such as `clusters[0].name`."""

    def __init__(self, control: Control, value: Value) -> None:
        super().__init__()
        self.field_control = control
        self.value = value


class FieldInput(Input):
    """A question answered by typing. `targets`: of a question about clusters, those that are meant."""

    def __init__(self, field: Field, path: str, value: Value, placeholder: str = "") -> None:
        """`path`: which answer in the document it is, dotted. `value`: the answer now. `placeholder`: shown
        while there is none.
        """
        self._placeholder = rendered(placeholder or _placeholder(field))
        super().__init__(field.render(value), compact=True, select_on_focus=False, placeholder=self._placeholder)
        self.field = field
        self.path = path
        self.targets: tuple[ContextId, ...] = ()

    def say_instead(self, text: str) -> None:
        """What to say where there is no answer; empty: as at first."""
        self.placeholder = rendered(text) or self._placeholder

    def fill(self, value: Value, instead: str = "") -> None:
        """Show this answer; what is typed already and means the same stays. `instead`: what to say where there is none."""
        self.say_instead(instead)
        if self.answer == value:
            return
        with self.prevent(Input.Changed):
            self.value = self.field.render(value)
        self.cursor_position = len(self.value)

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
    """A question answered by choosing. `targets`: of a question about clusters, those that are meant."""

    def __init__(self, field: Field, path: str, value: Value) -> None:
        options = [(Content(rendered(choice.title)), choice.value) for choice in field.choices]
        known = [choice.value for choice in field.choices]
        super().__init__(
            options,
            # One that changes whom it is about may have nothing to show for a moment.
            allow_blank=not path,
            value=str(value if value in known else field.default) if path else Select.NULL,
            compact=True,
        )
        self.field = field
        self.path = path
        self.targets: tuple[ContextId, ...] = ()
        self._known = known

    def offer(self, options: Sequence[tuple[str, str]]) -> None:
        """Other things to choose from: (title, value)."""
        known = [value for _, value in options]
        if known == self._known:
            return
        self._known = known
        with self.prevent(Select.Changed):
            self.set_options([(Content(one_line(rendered(title), 80)), value) for title, value in options])

    def fill(self, value: Value, instead: str = "") -> None:
        """Show this answer. `instead`: what to say where there is none."""
        self.prompt = rendered(instead) or tr("as proposed")
        with self.prevent(Select.Changed):
            self.value = str(value) if value in self._known else Select.NULL

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
        return msg("found on the cluster")
    return "" if field.required else msg("optional")


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
            yield Static(Content(rendered(self._label)), classes="row-label", markup=False)
            yield from self.controls
        yield Static("", classes="mistake", markup=False)

    def relabel(self, label: str) -> None:
        """Change the label."""
        self._label = label
        self.query_one(".row-label", Static).update(Content(rendered(label)))

    def show(self, mistakes: dict[str, str]) -> None:
        """Show those of these mistakes (path → sentence) that belong here."""
        mine = {control.path: mistakes[control.path] for control in self.controls if control.path in mistakes}
        if mine == self._mistakes:
            return
        self._mistakes = mine
        several = len(self.controls) > 1
        lines = [
            f"✗ {_wrong(mine[control.path], control.field.title if several else '')}"
            for control in self.controls
            if control.path in mine
        ]
        place = self.query_one(".mistake", Static)
        place.update(Content("\n".join(lines)))
        place.display = bool(lines)
        for control in self.controls:
            control.set_class(control.path in mine, "-wrong")


def _wrong(mistake: str, question: str) -> str:
    """`question`: where it is one of several on a row."""
    mistake = one_line(rendered(mistake))
    return tr("{question}: {mistake}", question=question, mistake=mistake) if question else mistake


def control_of(widget: Widget | None) -> Control | None:
    """The question that this widget, or one around it, asks."""
    while widget is not None:
        if isinstance(widget, FieldInput | FieldSelect):
            return widget
        widget = widget.parent if isinstance(widget.parent, Widget) else None
    return None
