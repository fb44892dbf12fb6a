"""The first questions: which kubeconfigs, and which of their contexts make the mesh, told with what they look like now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from wizard.console.background import reading
from wizard.console.choosing import agree, chosen_clusters, proposals
from wizard.console.output import Output, columns
from wizard.errors import BadInput
from wizard.fanout import of_each
from wizard.mesh.document import Document
from wizard.messages import counted, msg
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
        free = [index for index, entry in enumerate(entries) if entry.plugin is None]
        out.line(counted("Looking at {count} contexts …", "Looking at {count} contexts …", len(free)))
        for line in _waiting(entries):
            out.line(line)
        facts: list[ContextFacts | None] = [None] * len(entries)
        _look_at(outside, entries, facts, free)
        while (usable := sum(not _problem(fact) for fact in facts)) >= 2:
            chosen = _choose(asker, entries, facts)
            unseen = [index for index in chosen if facts[index] is None]
            agree(outside, [entries[index] for index in unseen])
            _look_at(outside, entries, facts, unseen)
            wrong = _objections(entries, facts, chosen, unseen)
            if not wrong:
                return proposals([entries[index] for index in chosen]), [facts[index] for index in chosen]
            for said in wrong:
                out.remark(one_line(said, 600))
        for line in columns(
            [(entry.context, entry.server, _state(fact)) for entry, fact in zip(entries, facts, strict=True)]
        ):
            out.line(line)
        shortage = BadInput(
            counted(
                "a mesh needs two clusters, and {count} of these contexts can be used",
                "a mesh needs two clusters, and {count} of these contexts can be used",
                usable,
            ),
            msg("Name more kubeconfigs, or cure what is said above."),
        )
        if kubeconfigs:
            raise shortage
        out.trouble(shortage)


def _waiting(entries: Sequence[ContextEntry]) -> Iterator[str]:
    """What is run only for the contexts that are chosen, each command with its path."""
    commands = Counter(str(entry.plugin) for entry in entries if entry.plugin)
    for command, many in commands.items():
        yield counted(
            "{count} context runs {command} for credentials: looked at once chosen.",
            "{count} contexts run {command} for credentials: looked at once chosen.",
            many,
            command=command,
        )


def _look_at(
    outside: Outside, entries: Sequence[ContextEntry], facts: list[ContextFacts | None], indexes: Sequence[int]
) -> None:
    if indexes:
        found = look(outside, [entries[index] for index in indexes])
        for index, fact in zip(indexes, found, strict=True):
            facts[index] = fact


def look(outside: Outside, entries: Sequence[ContextEntry]) -> list[ContextFacts]:
    """A live look at all of these contexts at once."""
    return reading(lambda: of_each(entries, outside.facts))


def _kubeconfigs(asker: Asker) -> list[Path]:
    answer = asker.text(
        msg("Kubeconfigs"),
        default="",
        hint=msg("Files that hold the contexts, separated by commas. Empty: those that kubectl would use."),
        check=lambda _: None,
    )
    return [expanded(name.strip()) for name in answer.split(",") if name.strip()]


def _choose(asker: Asker, entries: Sequence[ContextEntry], facts: Sequence[ContextFacts | None]) -> list[int]:
    rows = [
        (entry.context, entry.server, entry.credentials, "" if _problem(fact) else _state(fact))
        for entry, fact in zip(entries, facts, strict=True)
    ]
    options = [Option(title, _problem(fact)) for title, fact in zip(columns(rows, indent=""), facts, strict=True)]

    def check(chosen: list[int]) -> str | None:
        return msg("a mesh needs at least two clusters") if len(chosen) < 2 else _twins(entries, facts, chosen)

    return asker.choose_many(
        msg("Clusters of the mesh"), options, check=check, hint=msg("Each context chosen is a cluster.")
    )


def _objections(
    entries: Sequence[ContextEntry], facts: Sequence[ContextFacts | None], chosen: Sequence[int], unseen: Sequence[int]
) -> list[str]:
    """What speaks against those chosen, now that those of them that nobody had looked at are seen: each in a sentence."""
    wrong: list[str] = [
        msg("{context}: {problem}", context=entries[index].context, problem=said)
        for index in unseen
        if (said := _problem(facts[index]))
    ]
    twins = None if wrong else _twins(entries, facts, chosen)
    return [twins] if twins else wrong


def _twins(entries: Sequence[ContextEntry], facts: Sequence[ContextFacts | None], chosen: Sequence[int]) -> str | None:
    """Which two of those chosen are one cluster, in a sentence."""
    first: dict[str, int] = {}
    for index in chosen:
        fact = facts[index]
        uid = fact.uid if fact else ""
        if uid and uid in first:
            return msg(
                "{context} and {other} are one cluster; take one of them",
                context=entries[first[uid]].context,
                other=entries[index].context,
            )
        first.setdefault(uid, index)
    return None


def _problem(facts: ContextFacts | None) -> str:
    if facts is None:
        return ""
    if not facts.reachable:
        return one_line(facts.problem) or msg("it does not answer")
    if facts.missing_rights:
        return msg("this user may not {do}", do=listing(facts.missing_rights[:3], last="or"))
    return ""


def _state(facts: ContextFacts | None) -> str:
    problem = _problem(facts)
    if facts is None or problem:
        return problem or msg("not looked at yet")
    said = counted(
        "Kubernetes {version}, {ready} of {count} nodes ready",
        "Kubernetes {version}, {ready} of {count} nodes ready",
        facts.nodes,
        version=facts.version,
        ready=facts.ready_nodes,
    )
    return msg("{seen}, Istio {version}", seen=said, version=facts.istio) if facts.istio else said
