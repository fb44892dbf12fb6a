"""What the person has answered so far. One object for all screens, so that going back and forth loses nothing.

Typed answers are kept per context, also of contexts that are not chosen at the moment; what was not typed is suggested
afresh from what the clusters told.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from screens.candidates import Candidate, ContextId, id_of, twin
from screens.settling import Row, settled
from wizard.errors import Mistake
from wizard.mesh.document import Document, mistakes_in, put
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS, Value, cluster_field, mesh_field
from wizard.mesh.model import API_VERSION
from wizard.mesh.rules import value_at
from wizard.paths import expanded
from wizard.proposal import DEPENDENT, worth_asking

if TYPE_CHECKING:
    from wizard.outside import ContextEntry, ContextFacts, IstioctlFound


class Draft:
    """A mesh document in the making."""

    def __init__(self, document: Mapping[str, Any] | None = None, istioctl: str | None = None) -> None:
        self.mesh: Document = {}
        self.candidates: dict[ContextId, Candidate] = {}
        self.chosen: list[ContextId] = []  # in the order of choosing: the first is cluster 1
        self.typed: dict[ContextId, dict[str, Value]] = {}
        self.istioctl = istioctl
        self.istioctls: list[IstioctlFound] | None = None
        self.answered = False  # whether a person answered anything that a start anew would not know
        self.serving: dict[ContextId, ContextId] = {}  # remote → the primary chosen for it
        self._given: list[Mapping[str, Any]] = []
        self._rows: dict[ContextId, Row] | None = None
        self._mistakes: tuple[Mistake, ...] | None = None
        if document:
            self.fill(document)

    def fill(self, document: Mapping[str, Any]) -> None:
        """Take over the answers of a mesh document in the place of all others; its clusters are chosen as soon as their
        contexts are known.
        """
        self.mesh, self.chosen, self.typed, self.serving = {}, [], {}, {}
        for field in MESH_FIELDS:
            value = value_at(document, field.key)
            if value is not None:
                put(self.mesh, field.key, value)
        self._given = [entry for entry in document.get("clusters") or [] if isinstance(entry, Mapping)]
        if document.get("topology") == "primary-remote":  # there, a cluster without a role is a primary
            self._given = [{"role": "primary", **entry} for entry in self._given]
        self._choose_given()

    def offer(self, entries: Iterable[ContextEntry]) -> list[Candidate]:
        """Add contexts that were found; those known already stay as they are. Gives the new ones."""
        new = []
        for entry in entries:
            if id_of(entry) not in self.candidates:
                candidate = Candidate(entry)
                self.candidates[candidate.id] = candidate
                new.append(candidate)
        self._choose_given()
        return new

    @property
    def missing(self) -> list[tuple[str, str]]:
        """(kubeconfig, context) of clusters of the document whose contexts are not known."""
        return [(str(given.get("kubeconfig") or ""), str(given.get("context") or "")) for given in self._given]

    def _choose_given(self) -> None:
        for given in list(self._given):
            for candidate in self.candidates.values():
                entry, kubeconfig = candidate.entry, given.get("kubeconfig")
                same_file = not kubeconfig or expanded(str(kubeconfig)) == entry.kubeconfig
                if entry.context == given.get("context") and same_file and candidate.id not in self.chosen:
                    self.chosen.append(candidate.id)
                    self.typed[candidate.id] = {
                        field.key: value_at(given, field.key)
                        for field in CLUSTER_FIELDS
                        if field.key not in ("context", "kubeconfig") and value_at(given, field.key) is not None
                    }
                    self._given.remove(given)
                    break
        self.forget()
        for chosen in self.chosen:  # whoever was named as a primary may be known only now
            name = self.typed.get(chosen, {}).get("primary")
            if name is not None:
                self._serve(chosen, name)
        self.forget()

    # -- choosing

    def looked(self, candidate: Candidate, facts: ContextFacts | None, since: float | None = None) -> None:
        """A look at this candidate begins (`since`, no facts yet) or has found this."""
        candidate.facts, candidate.looked_since = facts, since
        self.forget()

    def toggle(self, chosen: ContextId) -> str | None:
        """Choose a context, or no longer. The sentence of why not, or None."""
        self.forget()
        if chosen in self.chosen:
            self.chosen.remove(chosen)
            return None
        same = twin(self.candidates[chosen], (self.candidates[other] for other in self.chosen))
        if same:
            return same
        self.chosen.append(chosen)
        return None

    # -- answers

    def mesh_value(self, key: str) -> Value:
        """The answer to a question about the whole mesh; its default where none was given."""
        found: Value = value_at(self.mesh, key)
        return mesh_field(key).default if found is None else found

    def answer(self, key: str, value: Value) -> None:
        """Record an answer about the whole mesh."""
        self.answered |= value != self.mesh_value(key)
        put(self.mesh, key, value)
        self.forget()

    @property
    def rows(self) -> dict[ContextId, Row]:
        """Every chosen cluster as it stands now."""
        if self._rows is None:
            self._rows = settled(self)
        return self._rows

    def forget(self) -> None:
        """Something changed that proposals depend on."""
        self._rows = None
        self._mistakes = None

    def cluster_value(self, chosen: ContextId, key: str) -> Value:
        """The answer about one cluster: what was typed, or else what is proposed. An emptied field stays empty."""
        value: Value = value_at(self.rows[chosen].entry, key)
        return value

    def answer_cluster(self, chosen: ContextId, key: str, value: Value) -> None:
        """Record an answer about one cluster."""
        self.answer_clusters((chosen,), key, value)

    def answer_clusters(self, targets: Iterable[ContextId], key: str, value: Value) -> None:
        """Record the same answer about each of these clusters."""
        rows = self.rows
        for chosen in targets:
            self.answered |= value != value_at(rows[chosen].entry, key)
            typed = self.typed.setdefault(chosen, {})
            if key == "gateway.exposure" and value != value_at(rows[chosen].entry, key):
                for other in DEPENDENT:  # an address of one kind says nothing about another
                    typed.pop(other, None)
            if key == "primary":
                self._serve(chosen, value)
            elif value == rows[chosen].proposed.get(key) or (value is None and cluster_field(key).kind == "choice"):
                typed.pop(key, None)  # follows the proposal, also when that changes
            else:
                typed[key] = value
        self.forget()

    def _serve(self, chosen: ContextId, name: Value) -> None:
        """Kept as the cluster itself, because its name may be typed anew."""
        self.serving.pop(chosen, None)
        self.typed[chosen].pop("primary", None)
        server = next((other for other, row in self.rows.items() if row.entry.get("name") == name), None)
        if name and server is None:
            self.typed[chosen]["primary"] = name
        elif server and name != self.rows[chosen].proposed.get("primary"):
            self.serving[chosen] = server

    def asks(self, chosen: ContextId, key: str) -> bool:
        """Whether that question makes sense for this cluster as things stand."""
        outline = {"topology": self.mesh_value("topology"), "clusters": [row.entry for row in self.rows.values()]}
        return worth_asking(key, self.rows[chosen].entry, outline)

    # -- the document

    def document(self) -> Document:
        """The mesh document as it stands, mistakes included. Not to be changed."""
        document: Document = {"apiVersion": API_VERSION, "kind": "Mesh"}
        for field in MESH_FIELDS:
            put(document, field.key, self.mesh_value(field.key))
        document["clusters"] = [row.entry for row in self.rows.values()]
        return document

    def wanted(self) -> Document:
        """The document without the NodePorts that nobody typed: which ones a cluster gives is found when it is looked at."""
        document = copy.deepcopy(self.document())
        for chosen, entry in zip(self.chosen, document["clusters"], strict=True):
            if "gateway.port" not in self.typed.get(chosen, {}):
                put(entry, "gateway.port", None)
        return document

    def mistakes(self) -> tuple[Mistake, ...]:
        """Everything wrong with the document as it stands."""
        if self._mistakes is None:
            self._mistakes = tuple(
                mistake
                for mistake in mistakes_in(self.document())
                if not (
                    mistake.path == "clusters" and len(self.chosen) < 2
                )  # said by `candidates.unfit`, in better words
            )
        return self._mistakes

    def path_of(self, chosen: ContextId, key: str) -> str:
        """The path that a mistake about this field carries."""
        return f"clusters[{self.chosen.index(chosen)}].{key}"


def stage_of(path: str) -> str:
    """The screen on which a mistake with this path is corrected."""
    key = re.sub(r"^clusters\[\d+\]\.?", "", path)
    if path == "clusters":
        return "topology"
    if path.startswith("clusters"):
        stages = {"name": "names", "network": "names", "context": "contexts", "": "contexts"}
        return stages.get(key, "topology" if key in ("role", "primary") else "networks")
    if key in ("name", "trustDomain"):
        return "names"
    return "topology" if key == "topology" else "istio"
