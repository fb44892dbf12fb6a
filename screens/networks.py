"""meshNetworks: where each cluster is reached from outside, as a table to edit and as the YAML it means."""

from __future__ import annotations

import re

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from screens.draft import ContextId
from screens.fields import FieldRow
from screens.form import FormScreen
from screens.lines import Line, Lines, Piece
from wizard.errors import BadInput
from wizard.text import one_line

KEYS = ("apiServer", "gateway.address", "gateway.port")


class NetworksScreen(FormScreen):
    """The addresses at which the clusters reach each other. Found values are filled in; empty ones are found later."""

    STAGE = "networks"
    HEADING = "Networks: who is reached where"
    HINT = "Addresses and free NodePorts were found on the clusters; correct what the other clusters cannot reach."
    CSS_PATH = "networks.tcss"

    def body(self) -> ComposeResult:
        """The table above, the YAML below."""
        with VerticalScroll(id="table", can_focus=False):
            heads = f"{'Cluster':<15}{'API server for peers':<31}{'Gateway address':<17}{'NodePort':<8}"
            yield Static(heads, classes="note columns", markup=False)
            for chosen in self.wizard.draft.chosen:
                yield FieldRow(
                    one_line(self._titled(chosen), 60), [self.cluster_control(chosen, key, "found") for key in KEYS],
                    classes="place",
                )  # fmt: skip
        yield Static("The meshNetworks that istiod gets:", classes="heading", markup=False)
        yield Lines(id="yaml", sideways=True)

    def _titled(self, chosen: ContextId) -> str:
        return str(self.wizard.draft.cluster_value(chosen, "name") or chosen[1])

    def judge(self) -> None:
        """Mistakes at their fields, and the YAML anew."""
        super().judge()
        self.query_one("#yaml", Lines).show(self._yaml())

    def _yaml(self) -> list[Line]:
        from wizard.istio.operator import mesh_networks
        from wizard.mesh.document import mesh_from

        try:
            mesh = mesh_from(self.wizard.draft.document())
        except BadInput as bad:
            return [
                [Piece(f"{'x' if self.wizard.ascii else '✗'} {one_line(mistake)}", "broken")]
                for mistake in bad.mistakes
            ]
        import yaml

        networks = mesh_networks(mesh)
        for network in networks.values():  # None: found when the clusters are connected
            for gateway in network.get("gateways", []):
                gateway.update({key: "(found later)" for key, value in gateway.items() if value is None})
        text = yaml.safe_dump({"meshNetworks": networks}, sort_keys=False)
        return [_coloured(line) for line in text.splitlines()]


def _coloured(line: str) -> Line:
    found = re.fullmatch(r"( *(?:- )?)([^:]+:)(.*)", line)
    if not found:
        return [Piece(line)]
    return [Piece(found[1]), Piece(found[2], "box"), Piece(found[3], "count")]
