"""Topology: how the control planes share the work, explained by the mesh drawing."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import RadioButton, RadioSet, Static

from screens.clusters import Clusters
from screens.clustertable import Column, role_of, said
from screens.filtering import Filter
from screens.form import FormScreen
from screens.lines import Lines, Piece
from screens.picture import Picture
from wizard.mesh.fields import mesh_field
from wizard.mesh.links import links_of
from wizard.messages import msg
from wizard.messages.catalogue import rendered
from wizard.messages.cells import padded, widest

EXPLAINED = {
    "api": (msg("API server"), msg("every istiod reads the others' services there (remote secret)")),
    "discovery": (msg("discovery"), msg("the proxies of a remote cluster ask its primary's istiod")),
    "gateway": (msg("gateway"), msg("calls from other networks enter there (mTLS)")),
    "pods": (msg("pods"), msg("on one network they reach each other directly")),
}
HINTS = {
    False: msg("Every cluster runs its own istiod and survives without the others."),
    True: msg("A primary's istiod serves its remotes. Space marks several clusters, / filters, Enter edits."),
}
ROOMY = 32  # rows from which on the whole picture has its place below the questions


class Choice(RadioButton):
    """Its mark is filled only where it is chosen: Textual's differs by colour alone."""

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]  # noqa: N802 - Textual's name for it
        """The sign between the brackets."""
        return "●" if self.value else " "


class TopologyScreen(FormScreen):
    """Who runs an istiod, who is served by whose, and what must therefore reach what."""

    STAGE = "topology"
    HEADING = msg("Topology: what will talk to what")
    ABOUT = msg(
        "Who runs an istiod, who is served by whose, and what must therefore reach what. The drawing shows it for the clusters "
        "chosen. With primary-remote, each cluster has a role: the first one is proposed as the primary of all others."
    )
    CSS_PATH = "topology.tcss"
    FIELD: ClassVar[str] = "topology"

    def body(self) -> ComposeResult:
        """The choices, the clusters' roles, the drawing, what its arrows mean."""
        field = mesh_field(self.FIELD)
        value = self.wizard.draft.mesh_value(self.FIELD)
        with RadioSet(id="topology", compact=True):
            for choice in field.choices:
                yield Choice(Content(rendered(choice.title)), value=choice.value == value, name=choice.value)
        yield Static("", classes="mistake", id="wrong", markup=False)
        columns = [
            Column(msg("Cluster"), 26, said("name")),
            Column(msg("Role"), 30, role_of),
            Column(msg("Network"), 0, said("network")),
        ]
        yield Clusters(
            self.wizard.draft, columns, ("role", "primary", "network"),
            titles={"primary": msg("Served by")}, ascii_only=self.wizard.ascii,
        )  # fmt: skip
        yield Picture(id="picture", ascii_only=self.wizard.ascii)
        yield Lines(id="legend", classes="-fit")

    def arrived(self) -> None:
        """Draw the choice as it stands."""
        self.query_one("#legend").can_focus = False
        super().arrived()
        self.tell_help(None)

    @on(RadioSet.Changed)
    def _chosen(self, event: RadioSet.Changed) -> None:
        event.stop()
        self.wizard.draft.answer(self.FIELD, event.pressed.name)
        self.judge()
        self.tell_help(None)

    @on(Filter.Typed)
    def _filtered(self, event: Filter.Typed) -> None:
        self.query_one("#picture", Picture).show_only(event.text)

    def on_resize(self) -> None:
        """The picture is as large as there is room."""
        super().on_resize()
        self._arrange()

    def _arrange(self) -> None:
        remote = self.wizard.draft.mesh_value(self.FIELD) == "primary-remote"
        self.query_one(Clusters).display = remote
        self.HINT = HINTS[remote]
        picture = self.query_one("#picture", Picture)
        picture.small = remote and self.size.height < ROOMY

    def judge(self) -> None:
        """Mistakes where they are, and the drawing anew."""
        super().judge()
        self._arrange()
        document = self.wizard.draft.document()
        self.query_one("#picture", Picture).draw(document)
        kinds = {link.kind for link in links_of(document)}
        width = widest(noun for noun, _ in EXPLAINED.values()) + 1
        self.query_one("#legend", Lines).show(
            [Piece(padded(noun, width), "title"), Piece(rendered(text), "muted")]
            for kind, (noun, text) in EXPLAINED.items()
            if kind in kinds
        )
        wrong = next((text for path, text in self.mistakes().items() if path in ("topology", "clusters")), "")
        place = self.query_one("#wrong", Static)
        place.update(Content(f"{'x' if self.wizard.ascii else '✗'} {rendered(wrong)}" if wrong else ""))
        place.display = bool(wrong)
