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
from wizard.text import one_line

if TYPE_CHECKING:
    from textual.timer import Timer

KEYS = (
    "gateway.exposure", "gateway.address", "gateway.addresses", "gateway.port", "gateway.node", "serviceCidr",
    "discoveryAddress", "apiServer",
)  # fmt: skip
SETTLED = 0.2  # seconds without a change after which the YAML is made: with fifty clusters it takes longer than a key


class NetworksScreen(FormScreen):
    """The addresses at which the clusters reach each other. What was found is filled in; what is empty is found later. Each
    gateway's exposure is proposed with the reason; remotes need one that keeps istiod's ports.
    """

    STAGE = "networks"
    HEADING = "Networks: who is reached where"
    HINT = "Correct what the other clusters cannot reach. Space marks several clusters, / filters, Enter edits."
    CSS_PATH = "networks.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._later: Timer | None = None

    def body(self) -> ComposeResult:
        """The table above, the YAML below."""
        columns = [
            Column("Cluster", 0, said("name")),
            Column("Network", 15, said("network")),
            Column("Exposure", 17, said("gateway.exposure")),
            Column("Gateway", 24, _place),
        ]
        titles = {"apiServer": "API server for peers", "discoveryAddress": "istiod is reached at"}
        yield Clusters(self.wizard.draft, columns, KEYS, titles=titles, share=0.22, ascii_only=self.wizard.ascii)
        yield Static("The meshNetworks that istiod gets:", classes="heading", markup=False)
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
            return [
                [Piece(f"{'x' if self.wizard.ascii else '✗'} {one_line(mistake)}", "broken")]
                for mistake in bad.mistakes
            ]
        from wizard import yamltext

        networks = mesh_networks(mesh)
        for network in networks.values():  # None: found when the clusters are connected
            for gateway in network.get("gateways", []):
                gateway.update({key: "(found later)" for key, value in gateway.items() if value is None})
        text = yamltext.dump({"meshNetworks": networks})
        lines = [_coloured(line) for line in text.splitlines()]
        learnt = [
            cluster.name for cluster in mesh.clusters if cluster.gateway.labelled and mesh.has_gateway(cluster.name)
        ]
        if learnt:
            names = one_line(", ".join(learnt), 200)
            lines.append([Piece(f"# istiod learns the load balancer's address of {names} from its Service", "muted")])
        return lines


def _place(row: Row) -> str:
    """Where the gateway is reached."""
    exposure = value_at(row.entry, "gateway.exposure")
    if not exposure:
        return "none needed"
    addresses = gateway_addresses(row.entry)
    if exposure == "load-balancer" and not addresses:
        return "what it gives"
    port = (value_at(row.entry, "gateway.port") or DEFAULT_NODE_PORT) if exposure == "node-port" else GATEWAY_TLS_PORT
    more = f" and {len(addresses) - 1} more" if len(addresses) > 1 else ""
    return f"{addresses[0] if addresses else '(found later)'}:{port}{more}"


def _coloured(line: str) -> Line:
    found = re.fullmatch(r"( *(?:- )?)([^:]+:)(.*)", line)
    if not found:
        return [Piece(line)]
    return [Piece(found[1]), Piece(found[2], "box"), Piece(found[3], "count")]
