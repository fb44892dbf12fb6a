"""Names and network labels: one name for each cluster, from which everything else is derived."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.widgets import Static

from screens.clusters import Clusters
from screens.clustertable import Column, role_of, said
from screens.filtering import Filter
from screens.form import FormScreen
from screens.picture import Picture
from wizard.messages import msg
from wizard.messages.catalogue import tr


class NamesScreen(FormScreen):
    """The mesh's name, and each cluster's name and network."""

    STAGE = "names"
    HEADING = msg("Names and network labels")
    HINT = msg("Clusters with the same network label are on one network. Space marks several, / filters, Enter edits.")
    ABOUT = msg(
        "The mesh's name, and each cluster's name and network. No name is typed twice anywhere. Pods of one network reach each "
        "other directly; clusters on different networks meet at their east-west gateways."
    )
    CSS_PATH = "names.tcss"

    def body(self) -> ComposeResult:
        """Questions about the mesh, then its clusters."""
        yield Static(tr("The mesh"), classes="heading", markup=False)
        yield self.row("name")
        yield self.row("trustDomain")
        yield Static(tr("Its clusters"), classes="heading", markup=False)
        columns = [
            Column(msg("Cluster"), 20, said("name")),
            Column(msg("Network"), 18, said("network")),
            Column(msg("Role"), 0, role_of),
        ]
        yield Clusters(self.wizard.draft, columns, ("name", "network"), ascii_only=self.wizard.ascii)
        yield Picture(id="picture", ascii_only=self.wizard.ascii, small=True)

    @on(Filter.Typed)
    def _filtered(self, event: Filter.Typed) -> None:
        self.query_one("#picture", Picture).show_only(event.text)

    def on_resize(self) -> None:
        """The whole picture where there is room for it."""
        super().on_resize()
        self.query_one("#picture", Picture).small = self.size.height < 32

    def judge(self) -> None:
        """Mistakes where they are, and the drawing anew."""
        super().judge()
        self.query_one("#picture", Picture).draw(self.wizard.draft.document())
