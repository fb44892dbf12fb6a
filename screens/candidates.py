"""The contexts that there are to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
