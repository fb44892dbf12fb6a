"""Clusters named by flags, as the beginning of a mesh document."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.errors import BadInput, Mistake
from wizard.mesh.document import Document
from wizard.messages import msg
from wizard.outside import ContextEntry, Outside
from wizard.paths import expanded
from wizard.text import listing, one_line


def chosen_clusters(outside: Outside, contexts: Sequence[str], kubeconfigs: Sequence[str]) -> list[Document]:
    """A cluster for each of these contexts, or for every context of the kubeconfigs where none is named. Raises
    BadInput naming every context that is not there or cannot be used.
    """
    entries = outside.contexts([expanded(name) for name in kubeconfigs])
    if not contexts:
        return proposals(entries)
    by_name: dict[str, ContextEntry] = {}
    for entry in entries:
        by_name.setdefault(entry.context, entry)
    missing = [name for name in contexts if name not in by_name]
    if missing:
        known = listing(map(one_line, by_name)) or msg("none")
        raise BadInput(
            msg("these contexts are not there; nothing was touched"),
            msg("There are: {contexts}.", contexts=known),
            (
                *(Mistake("--context", repr(one_line(name))) for name in missing),
                *(Mistake(one_line(entry.context), entry.problem) for entry in entries if entry.problem),
            ),
        )
    named = [by_name[name] for name in dict.fromkeys(contexts)]
    unusable = tuple(Mistake(one_line(entry.context), entry.problem) for entry in named if entry.problem)
    if unusable:
        raise BadInput(
            msg("these contexts cannot be used; nothing was touched"), msg("Correct their kubeconfigs."), unusable
        )
    agree(outside, named)
    return proposals(named)


def agree(outside: Outside, entries: Sequence[ContextEntry]) -> None:
    """The person chose these contexts: what they run for credentials may run."""
    waiting = [entry for entry in entries if entry.plugin]
    if waiting:
        outside.agree(waiting)


def proposals(entries: Sequence[ContextEntry]) -> list[Document]:
    """A cluster for each context, with a name and a network of its own."""
    return [
        {
            "name": f"cluster{number}",
            **({"kubeconfig": str(entry.kubeconfig)} if entry.kubeconfig else {}),
            "context": entry.context,
            "network": f"network{number}",
        }
        for number, entry in enumerate(entries, 1)
    ]
