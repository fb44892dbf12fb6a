"""Topology: how the control planes share the work, explained by the mesh drawing."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import RadioButton, RadioSet, Static

from screens.base import Refusal, WizardScreen
from screens.lines import Lines, Piece
from screens.picture import Picture
from wizard.mesh.fields import mesh_field

EXPLAINED = (
    ("API server", "every istiod reads the others' services there (remote secret)"),
    ("gateway", "calls from other networks enter there (mTLS, a NodePort)"),
    ("discovery", "the proxies of a remote cluster ask the primary's istiod"),
)


class Choice(RadioButton):
    """Its mark is filled only where it is chosen: Textual's differs by colour alone."""

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]  # noqa: N802 - Textual's name for it
        """The sign between the brackets."""
        return "●" if self.value else " "


class TopologyScreen(WizardScreen):
    """Who runs an istiod, and what must therefore reach what. The drawing shows it for the clusters chosen."""

    STAGE = "topology"
    HEADING = "Topology: what will talk to what"
    CSS_PATH = "topology.tcss"
    FIELD: ClassVar[str] = "topology"

    def body(self) -> ComposeResult:
        """The choices, the drawing, what its arrows mean."""
        field = mesh_field(self.FIELD)
        value = self.wizard.draft.mesh_value(self.FIELD)
        with RadioSet(id="topology", compact=True):
            for choice in field.choices:
                yield Choice(Content(choice.title), value=choice.value == value, name=choice.value)
        yield Static("", classes="mistake", markup=False)
        yield Picture(id="picture", ascii_only=self.wizard.ascii)
        yield Lines(id="legend", classes="-fit")

    def arrived(self) -> None:
        """Draw the choice as it stands."""
        self.HINT = mesh_field(self.FIELD).help
        self.tell_help(None)
        self._draw()

    @on(RadioSet.Changed)
    def _chosen(self, event: RadioSet.Changed) -> None:
        event.stop()
        self.wizard.draft.answer(self.FIELD, event.pressed.name)
        self._draw()

    def _draw(self) -> None:
        document = self.wizard.draft.document()
        entries = document["clusters"]
        remote = document.get(self.FIELD) == "primary-remote"
        if remote:  # as it would be with the first cluster as the primary
            entries = [entries[0], *({**entry, "primary": entries[0]["name"]} for entry in entries[1:])]
        self.query_one("#picture", Picture).draw({"clusters": entries})
        self.query_one("#legend", Lines).show(
            [Piece(f"{noun:<11}", "title"), Piece(text, "muted")] for noun, text in EXPLAINED[: 3 if remote else 2]
        )
        wrong = mesh_field(self.FIELD).mistake(document.get(self.FIELD))
        place = self.query_one(".mistake", Static)
        place.update(Content(f"✗ {wrong}" if wrong else ""))
        place.display = bool(wrong)
        if not wrong:
            self.say("")

    def refuse(self) -> Refusal | None:
        """Only what this release can build."""
        wrong = mesh_field(self.FIELD).mistake(self.wizard.draft.mesh_value(self.FIELD))
        return (f"Topology: {wrong}", self.query_one("#topology")) if wrong else None
