"""The first questions: which kubeconfigs, and which of their contexts make the mesh, told with what they look like now."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wizard.console.background import reading
from wizard.console.choosing import chosen_clusters, proposals
from wizard.console.output import Output, columns
from wizard.errors import BadInput
from wizard.mesh.document import Document
from wizard.outside import ContextEntry, ContextFacts, Outside
from wizard.paths import expanded
from wizard.plain.asking import Asker, Option
from wizard.text import listing, one_line


def clusters(
    asker: Asker, out: Output, outside: Outside, contexts: Sequence[str], kubeconfigs: Sequence[str]
) -> tuple[list[Document], list[ContextFacts | None]]:
    """The clusters of a new document, those named by flags, otherwise those that the person chooses; and what a look at each
    has found, None where nobody looked.
    """
    if contexts:
        named = chosen_clusters(outside, contexts, kubeconfigs)
        return named, [None] * len(named)
    while True:
        paths = [expanded(name) for name in kubeconfigs] or _kubeconfigs(asker)
        try:
            entries = outside.contexts(paths)
        except BadInput as mistake:
            if kubeconfigs:
                raise
            out.trouble(mistake)
            continue
        out.line(f"Looking at {len(entries)} contexts …")
        facts = look(outside, entries)
        usable = sum(not _problem(fact) for fact in facts)
        if usable >= 2:
            chosen = _choose(asker, entries, facts)
            return proposals([entries[index] for index in chosen]), [facts[index] for index in chosen]
        for line in columns(
            [(entry.context, entry.server, _state(fact)) for entry, fact in zip(entries, facts, strict=True)]
        ):
            out.line(line)
        shortage = BadInput(
            f"a mesh needs two clusters, and {usable} of these contexts can be used",
            "Name more kubeconfigs, or cure what is said above.",
        )
        if kubeconfigs:
            raise shortage
        out.trouble(shortage)


def look(outside: Outside, entries: Sequence[ContextEntry]) -> list[ContextFacts]:
    """A live look at all of these contexts at once."""

    def all_at_once() -> list[ContextFacts]:
        with ThreadPoolExecutor(max_workers=max(1, min(32, len(entries)))) as pool:
            return list(pool.map(outside.facts, entries))

    return reading(all_at_once)


def _kubeconfigs(asker: Asker) -> list[Path]:
    answer = asker.text(
        "Kubeconfigs",
        default="",
        hint="Files that hold the contexts, separated by commas. Empty: those that kubectl would use.",
        check=lambda _: None,
    )
    return [expanded(name.strip()) for name in answer.split(",") if name.strip()]


def _choose(asker: Asker, entries: Sequence[ContextEntry], facts: Sequence[ContextFacts]) -> list[int]:
    rows = [
        (entry.context, entry.server, entry.credentials, "" if _problem(fact) else _state(fact))
        for entry, fact in zip(entries, facts, strict=True)
    ]
    options = [Option(title, _problem(fact)) for title, fact in zip(columns(rows, indent=""), facts, strict=True)]

    def check(chosen: list[int]) -> str | None:
        if len(chosen) < 2:
            return "a mesh needs at least two clusters"
        first: dict[str, int] = {}
        for index in chosen:
            uid = facts[index].uid
            if uid and uid in first:
                return f"{entries[first[uid]].context} and {entries[index].context} are one cluster; take one of them"
            first.setdefault(uid, index)
        return None

    return asker.choose_many("Clusters of the mesh", options, check=check, hint="Each context chosen is a cluster.")


def _problem(facts: ContextFacts) -> str:
    if not facts.reachable:
        return one_line(facts.problem) or "it does not answer"
    if facts.missing_rights:
        return f"this user may not {listing(facts.missing_rights[:3], last='or')}"
    return ""


def _state(facts: ContextFacts) -> str:
    problem = _problem(facts)
    if problem:
        return problem
    said = f"Kubernetes {facts.version}, {facts.ready_nodes} of {facts.nodes} nodes ready"
    return f"{said}, Istio {facts.istio}" if facts.istio else said
