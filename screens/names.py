"""Names and network labels: one name for each cluster, from which everything else is derived."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from screens.fields import FieldRow
from screens.form import FormScreen
from wizard.text import one_line


class NamesScreen(FormScreen):
    """The mesh's name, and each cluster's name and network. No name is typed twice anywhere."""

    STAGE = "names"
    HEADING = "Names and network labels"
    HINT = "Each cluster's name is its clusterName, remote secret and meshNetworks registry."
    CSS_PATH = "names.tcss"

    def body(self) -> ComposeResult:
        """Questions about the mesh, then a table of the clusters."""
        with VerticalScroll(can_focus=False):
            yield Static("The mesh", classes="heading", markup=False)
            yield self.row("name")
            yield self.row("trustDomain")
            yield Static("Its clusters", classes="heading", markup=False)
            yield Static(f"{'Context':<24}{'Cluster name':<27}{'Network':<24}", classes="note columns", markup=False)
            for index, chosen in enumerate(self.wizard.draft.chosen, 1):
                yield FieldRow(
                    one_line(f"{index} {chosen[1]}", 60),
                    [self.cluster_control(chosen, "name"), self.cluster_control(chosen, "network")],
                    classes="pair",
                )
            yield Static(
                Content(
                    "Pods of one network reach each other directly. Clusters on different networks meet at their "
                    "east-west gateways; the label topology.istio.io/network says which is which."
                ),
                classes="note explained",
                markup=False,
            )
