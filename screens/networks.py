"""meshNetworks: where each cluster is reached from outside, as a table to edit and as the YAML it means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.widgets import Static

from screens.clusters import Clusters
from screens.clustertable import Column, said
from screens.form import FormScreen
from screens.lines import Line, Lines, Piece
from screens.settling import Row
from wizard.errors import BadInput
from wizard.mesh.model import DEFAULT_NODE_PORT, GATEWAY_TLS_PORT
from wizard.mesh.rules import gateway_addresses, value_at
from wizard.messages import counted, msg
from wizard.messages.catalogue import rendered, tr
from wizard.text import one_line

if TYPE_CHECKING:
    from textual.timer import Timer

KEYS = (
    "gateway.exposure", "gateway.address", "gateway.addresses", "gateway.port", "gateway.node", "serviceCidr",
    "discoveryAddress", "apiServer",
)  # fmt: skip
LATER = msg("(found later)")
SETTLED = 0.2  # seconds without a change after which the YAML is made: with fifty clusters it takes longer than a key


class NetworksScreen(FormScreen):
    """The addresses at which the clusters reach each other."""

    STAGE = "networks"
    HEADING = msg("Networks: who is reached where")
    HINT = msg("Correct what the other clusters cannot reach. Space marks several clusters, / filters, Enter edits.")
    ABOUT = msg(
        "The addresses at which the clusters reach each other. What was found is filled in; what is empty is found later. Each "
        "gateway's exposure is proposed with the reason; remotes need one that keeps istiod's ports."
    )
    CSS_PATH = "networks.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._later: Timer | None = None

    def body(self) -> ComposeResult:
        """The table above, the YAML below."""
        columns = [
            Column(msg("Cluster"), 0, said("name")),
            Column(msg("Network"), 15, said("network")),
            Column(msg("Exposure"), 17, said("gateway.exposure")),
            Column(msg("Gateway"), 24, _place),
        ]
        titles = {"apiServer": msg("API server for peers"), "discoveryAddress": msg("istiod is reached at")}
        yield Clusters(self.wizard.draft, columns, KEYS, titles=titles, share=0.22, ascii_only=self.wizard.ascii)
        yield Static(tr("The meshNetworks that istiod gets:"), classes="heading", markup=False)
        yield Lines(id="yaml", sideways=True)

    def arrived(self) -> None:
        """With the YAML at once."""
        super().arrived()
        self._show_yaml()

    def judge(self) -> None:
        """Mistakes at their fields; the YAML when there is a pause."""
        super().judge()
        if self._later:
            self._later.stop()
        self._later = self.set_timer(SETTLED, self._show_yaml)

    def _show_yaml(self) -> None:
        self.query_one("#yaml", Lines).show(self._yaml())

    def _yaml(self) -> list[Line]:
        from wizard.istio.operator import mesh_networks
        from wizard.mesh.document import mesh_from

        try:
            mesh = mesh_from(self.wizard.draft.document())
        except BadInput as bad:
            sign = "x" if self.wizard.ascii else "✗"
            return [[Piece(f"{sign} {rendered(one_line(mistake.told))}", "broken")] for mistake in bad.mistakes]
        from wizard import yamltext

        networks = mesh_networks(mesh)
        for network in networks.values():  # None: found when the clusters are connected
            for gateway in network.get("gateways", []):
                gateway.update({key: rendered(LATER) for key, value in gateway.items() if value is None})
        text = yamltext.dump({"meshNetworks": networks})
        lines = [_coloured(line) for line in text.splitlines()]
        learnt = [
            cluster.name for cluster in mesh.clusters if cluster.gateway.labelled and mesh.has_gateway(cluster.name)
        ]
        if learnt:
            names = one_line(", ".join(learnt), 200)
            told = tr("istiod learns the load balancer's address of {clusters} from its Service", clusters=names)
            lines.append([Piece(f"# {told}", "muted")])
        return lines


def _place(row: Row) -> str:
    """Where the gateway is reached."""
    exposure = value_at(row.entry, "gateway.exposure")
    if not exposure:
        return msg("none needed")
    addresses = gateway_addresses(row.entry)
    if exposure == "load-balancer" and not addresses:
        return msg("what it gives")
    port = (value_at(row.entry, "gateway.port") or DEFAULT_NODE_PORT) if exposure == "node-port" else GATEWAY_TLS_PORT
    place = msg("{address}:{port}", address=addresses[0] if addresses else LATER, port=port)
    more = len(addresses) - 1
    return counted("{place} and {count} more", "{place} and {count} more", more, place=place) if more > 0 else place


def _coloured(line: str) -> Line:
    found = re.fullmatch(r"( *(?:- )?)([^:]+:)(.*)", line)
    if not found:
        return [Piece(line)]
    return [Piece(found[1]), Piece(found[2], "box"), Piece(found[3], "count")]
