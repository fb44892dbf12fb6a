"""The contexts that there are to choose from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.clusters.contexts import ENVIRONMENT
from wizard.messages import msg

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
            return msg(
                "{context} and {other} are the same cluster (the same kube-system UID); a mesh needs each cluster once",
                context=_named(theirs.entry),
                other=_named(mine.entry),
            )
    return None


def unfit(
    candidates: Mapping[ContextId, Candidate], chosen: Sequence[ContextId]
) -> tuple[str, ContextId | None] | None:
    """Why the chosen contexts do not make a mesh yet, and which one is to blame; None if they do."""
    if len(chosen) < 2:
        if chosen:
            return msg("A mesh needs at least two clusters; one is chosen. Space chooses."), None
        return msg("A mesh needs at least two clusters; none is chosen. Space chooses."), None
    for index, each in enumerate(chosen):
        candidate = candidates[each]
        name, facts = candidate.entry.context, candidate.facts
        if candidate.held_back:
            asked = msg(
                "{context} runs {command} for credentials: R asks it, space leaves it out.",
                context=name,
                command=str(candidate.entry.plugin),
            )
            return asked, each
        if facts is None:
            return msg("{context} has not answered yet; wait a moment, or leave it out with space.", context=name), each
        if not facts.reachable:
            problem = facts.problem or msg("not reachable")
            return msg("{context}: {problem}. R tries again, space leaves it out.", context=name, problem=problem), each
        same = twin(candidate, (candidates[other] for other in chosen[:index]))
        if same:
            return msg("{sentence}.", sentence=same), each
    return None


def _named(entry: ContextEntry) -> str:
    place = entry.kubeconfig.name if entry.kubeconfig else ENVIRONMENT
    return msg("{context} ({kubeconfig})", context=entry.context, kubeconfig=place)
