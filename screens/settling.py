"""What every cluster of a draft gets: what was typed, or else what is proposed from the other answers and from what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from screens.candidates import Candidate, ContextId
from wizard.clusters.contexts import ContextFacts
from wizard.clusters.nodeports import preferred
from wizard.mesh.document import Document, put
from wizard.mesh.fields import CLUSTER_FIELDS, Value, cluster_field
from wizard.mesh.model import DEFAULT_NODE_PORT, NODE_PORTS
from wizard.mesh.rules import exposure_of, is_remote, serves_remotes
from wizard.proposal import propose_exposure, worth_asking


class Answers(Protocol):
    """What was answered so far, as far as it matters here."""

    chosen: list[ContextId]
    typed: dict[ContextId, dict[str, Value]]
    candidates: dict[ContextId, Candidate]
    serving: dict[ContextId, ContextId]

    def mesh_value(self, key: str) -> Value: ...


@dataclass
class Row:
    """One cluster: its entry in the mesh document, what is proposed for it, and why its exposure is."""

    typed: Mapping[str, Value]
    entry: Document = field(default_factory=dict)
    proposed: dict[str, Value] = field(default_factory=dict)
    reason: str = ""

    def settle(self, key: str, proposal: Value) -> None:
        """What was typed, even where it was emptied, or else the proposal."""
        self.proposed[key] = proposal
        put(self.entry, key, self.typed.get(key, proposal))


def settled(draft: Answers) -> dict[ContextId, Row]:
    """Every chosen cluster, in the order of choosing: the first is cluster 1."""
    rows = {chosen: Row(draft.typed.get(chosen, {})) for chosen in draft.chosen}
    with_remotes = draft.mesh_value("topology") == "primary-remote"
    for index, (chosen, row) in enumerate(rows.items()):
        row.settle("name", f"cluster{index + 1}")
        put(row.entry, "kubeconfig", chosen[0] or None)
        put(row.entry, "context", chosen[1])
        row.settle("network", f"network{index + 1}")
        row.settle("role", "remote" if with_remotes and index else "primary")
        if not with_remotes:
            row.entry["role"] = "primary"  # what was chosen for primary-remote waits there
        row.settle("apiServer", _fitting("apiServer", draft.candidates[chosen].entry.server))
        for key in ("sample", "overlays"):
            row.settle(key, None)
    _primaries(rows, draft.serving)
    _gateways(rows, draft)
    for row in rows.values():
        row.entry = {key: row.entry[key] for key in _ORDER if key in row.entry}
    return rows


_ORDER = tuple(dict.fromkeys(field.key.split(".")[0] for field in CLUSTER_FIELDS))


def _primaries(rows: Mapping[ContextId, Row], serving: Mapping[ContextId, ContextId]) -> None:
    """Each remote is served by the one chosen for it, else by a primary on its own network, else by the first."""
    primaries = [row.entry for row in rows.values() if not is_remote(row.entry)]
    on_network: dict[object, Value] = {}
    for entry in primaries:
        on_network.setdefault(entry.get("network"), entry.get("name"))
    for chosen, row in rows.items():
        if not is_remote(row.entry):
            continue
        first = primaries[0].get("name") if primaries else None
        row.settle("primary", on_network.get(row.entry.get("network"), first))
        server = rows.get(serving[chosen]) if chosen in serving else None
        if server and not is_remote(server.entry):
            put(row.entry, "primary", server.entry.get("name"))


def _gateways(rows: Mapping[ContextId, Row], draft: Answers) -> None:
    clusters = [row.entry for row in rows.values()]
    document = {"topology": draft.mesh_value("topology"), "clusters": clusters}
    facts = [draft.candidates[chosen].facts for chosen in rows]
    port = _free_port(facts)
    had = Counter(address for each in facts if each for address in set(each.addresses))
    shared = {address for address, count in had.items() if count > 1}
    for row in rows.values():
        if worth_asking("discoveryAddress", row.entry, document):
            row.settle("discoveryAddress", None)
    for chosen, row in rows.items():
        if not worth_asking("gateway.exposure", row.entry, document):
            continue
        candidate = draft.candidates[chosen]
        exposure, row.reason = propose_exposure(candidate.facts, serves_remotes(row.entry, clusters))
        row.settle("gateway.exposure", exposure)
        row.settle("gateway.annotations", None)
        row.settle("gateway.addresses", None)
        if worth_asking("gateway.address", row.entry, document):
            row.settle("gateway.address", _address(exposure_of(row.entry, clusters), candidate, shared))
        for key, proposal in (("gateway.port", port), ("gateway.node", None), ("serviceCidr", None)):
            if worth_asking(key, row.entry, document):
                row.settle(key, proposal)


def _free_port(facts: Iterable[ContextFacts | None]) -> int:
    """The NodePort to propose: the usual one, or the next that no chosen cluster uses."""
    taken = {port for each in facts if each for port in each.node_ports}
    return next((port for port in preferred(NODE_PORTS) if port not in taken), DEFAULT_NODE_PORT)


def _address(exposure: str, candidate: Candidate, shared: Collection[str]) -> Value:
    """A node's, where that is what the exposure needs; others are found later. One that nodes of several clusters have leads
    no cluster to another.
    """
    facts = candidate.facts
    if exposure not in ("node-port", "external-ips") or not facts or not facts.addresses:
        return None
    return _fitting(
        "gateway.address", next((each for each in facts.addresses if each not in shared), facts.addresses[0])
    )


def _fitting(key: str, value: str) -> Value:
    return value if cluster_field(key).mistake(value) is None else None
