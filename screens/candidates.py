"""The contexts that there are to choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.clusters.contexts import ENVIRONMENT

if TYPE_CHECKING:
    from wizard.outside import ContextEntry, ContextFacts

ContextId = tuple[str, str]  # kubeconfig, context


@dataclass
class Candidate:
    """A context that can be chosen, and what a look at its cluster found."""

    entry: ContextEntry
    facts: ContextFacts | None = None
    looked_since: float | None = None  # monotonic; None: nobody is looking at the moment

    @property
    def id(self) -> ContextId:
        """What tells it from the others."""
        return id_of(self.entry)

    @property
    def held_back(self) -> bool:
        """Whether it is not looked at yet, because of what it runs for credentials."""
        return self.entry.plugin is not None and self.facts is None and self.looked_since is None


def id_of(entry: ContextEntry) -> ContextId:
    """The identity of a context: contexts of the same name in two files are two."""
    return str(entry.kubeconfig or ""), entry.context


def twin(mine: Candidate, others: Iterable[Candidate]) -> str | None:
    """That one of these others is the same cluster, in a sentence; None where none is known to be."""
    for theirs in others:
        if mine.facts and theirs.facts and mine.facts.uid and mine.facts.uid == theirs.facts.uid:
            names = f"{_named(theirs.entry)} and {_named(mine.entry)}"
            return f"{names} are the same cluster (the same kube-system UID); a mesh needs each cluster once"
    return None


def unfit(
    candidates: Mapping[ContextId, Candidate], chosen: Sequence[ContextId]
) -> tuple[str, ContextId | None] | None:
    """Why the chosen contexts do not make a mesh yet, and which one is to blame; None if they do."""
    if len(chosen) < 2:
        have = "one is" if chosen else "none is"
        return f"A mesh needs at least two clusters; {have} chosen. Space chooses.", None
    for index, each in enumerate(chosen):
        candidate = candidates[each]
        name, facts = candidate.entry.context, candidate.facts
        if candidate.held_back:
            return f"{name} runs {candidate.entry.plugin} for credentials: R asks it, space leaves it out.", each
        if facts is None:
            return f"{name} has not answered yet; wait a moment, or leave it out with space.", each
        if not facts.reachable:
            return f"{name}: {facts.problem or 'not reachable'}. R tries again, space leaves it out.", each
        same = twin(candidate, (candidates[other] for other in chosen[:index]))
        if same:
            return f"{same}.", each
    return None


def _named(entry: ContextEntry) -> str:
    return f"{entry.context} ({entry.kubeconfig.name if entry.kubeconfig else ENVIRONMENT})"
