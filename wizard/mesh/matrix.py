"""The drawing of more than two clusters: a matrix of from and to, that holds for fifty and more."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from wizard.mesh.links import Causes, Counts, LinkId, LinkState, Member, States
from wizard.mesh.spans import GLYPHS, NOUN, ROLES, WORDS, Say, Span, cells, fit, short
from wizard.messages import counted, msg

ORDER = (LinkState.BROKEN, LinkState.WORKING, LinkState.WAITING, LinkState.SKIPPED, LinkState.READY, LinkState.OK)
RANK = {state: rank for rank, state in enumerate(ORDER)}
FEW = 4  # clusters, up to which even a small drawing shows each
FROM_TO = msg("from ↓ to →")
PAIRS = msg("each pair: API server or discovery, then gateway or pods")


def matrix(
    members: Sequence[Member], state: States, counts: Counts | None, causes: Causes,
    width: int, *, small: bool, only: str, say: Say,
) -> list[list[Span]]:  # fmt: skip
    """`only`: the rows of clusters whose name, network or primary has this in it."""
    size = len(members)
    told = {now: say(word) for now, word in WORDS.items()}
    if small and size > FEW:
        return [[Span(f"{say(_head(size, len(state)))} ", "label"), *_tally(state.values(), told)],
                *_broken(state, causes, 2, say)]  # fmt: skip
    digits = len(str(size))
    longest = max(map(cells, told.values()))
    both, one = 2 * longest + 8, longest + 5  # cells for what `_tally` says in two words or in one
    cell, words = (3, both) if 3 * size + digits + both + 14 <= width else (1, one)
    columns = cell * size
    if columns + digits + words + 12 > width:  # no room for a matrix: each cluster's sum says it
        columns, words = 0, both
    room = max(12, min(width - digits - 3 - columns - words, max(cells(_long(member, say)) for member in members)))
    rows: list[list[Span]] = []
    if columns:
        heads = [str(number).rjust(digits) for number in range(1, size + 1)]
        for line in range(digits if cell == 1 else 1):
            parts = [head.rjust(3) if cell == 3 else head[line] for head in heads]
            lead = fit(say(FROM_TO) if line == 0 else "", room + digits + 2)
            rows.append([Span(lead, "label"), Span("".join(parts), "label")])
    by_source: dict[str, dict[str, list[LinkState]]] = {member.name: {} for member in members}
    for link, now in state.items():
        by_source[link.source].setdefault(link.target, []).append(now)
    for number, member in enumerate(members, 1):
        if only and not _matches(member, only, say):
            continue
        row = [Span(f"{number:>{digits}} ", "label"), Span(f"{_label(member, room, say)} ", "name")]
        if columns:
            row += _joined(_cell(by_source[member.name].get(target.name, ()), cell) for target in members)
        mine = [now for states in by_source[member.name].values() for now in states]
        row.append(Span(" ", "label"))
        row += _tally(mine, told, 2 if words == both else 1)
        heard = sum((counts or {}).get(member.name, {}).values())
        if heard and words == both:
            row.append(Span(f", {say(counted('heard {count}', 'heard {count}', heard))}", "count"))
        rows.append(row)
    if small:
        return [*rows, *_broken(state, causes, 2, say)]
    if only:
        rows.append([Span(say(msg("only rows with {text}", text=repr(only))), "label")])
    rows.append([Span("  ".join(f"{GLYPHS[now]} {word}" for now, word in told.items()), "label")])
    if columns and cell == 3:
        rows.append([Span(say(PAIRS), "label")])
    return [*rows, *_broken(state, causes, 4, say)]


def _head(clusters: int, links: int) -> str:
    return msg(
        "{clusters}, {links}:",
        clusters=counted("{count} cluster", "{count} clusters", clusters),
        links=counted("{count} link", "{count} links", links),
    )


def _matches(member: Member, only: str, say: Say) -> bool:
    return any(only.lower() in say(text).lower() for text in (member.name, member.network, member.primary))


def _long(member: Member, say: Say) -> str:
    cluster, network, primary = member.name, member.network, member.primary
    if primary:
        return say(msg("{cluster} ({network}, remote of {primary})", cluster=cluster, network=network, primary=primary))
    if member.remote:
        return say(msg("{cluster} ({network}, remote)", cluster=cluster, network=network))
    return f"{say(cluster)} ({say(network)})"


def _label(member: Member, room: int, say: Say) -> str:
    for label in (_long(member, say), f"{say(member.name)} ({say(member.network)})"):
        if cells(label) <= room:
            return fit(label, room)
    return short(say(member.name), room)


def _cell(found: Sequence[LinkState], size: int) -> Span:
    if not found:
        return Span("–".rjust(size), "label")
    worst = _worst(found)
    signs = "".join(GLYPHS[now] for now in found) if size == 3 else GLYPHS[worst]
    return Span(signs.rjust(size), ROLES[worst])


def _joined(spans: Iterable[Span]) -> Iterable[Span]:
    """Neighbours of one role as one span: a row of two hundred cells is mostly a few."""
    for role, same in itertools.groupby(spans, key=lambda span: span.role):
        yield Span("".join(span.text for span in same), role)


def _worst(states: Iterable[LinkState]) -> LinkState:
    return min(states, key=RANK.__getitem__)


def _tally(states: Iterable[LinkState], told: Mapping[LinkState, str], most: int = 2) -> list[Span]:
    """The states that matter most, with their numbers. `told`: the word for each."""
    numbers = Counter(states)
    spans: list[Span] = []
    for state in sorted(numbers, key=RANK.__getitem__)[:most]:
        spans.append(Span(f"{', ' if spans else ''}{numbers[state]} {told[state]}", ROLES[state]))
    return spans


def _broken(state: States, causes: Causes, most: int, say: Say) -> list[list[Span]]:
    broken = [link for link, now in state.items() if now is LinkState.BROKEN]
    told = [_told(link, causes.get(link, "")) for link in broken[:most]]
    if len(broken) > most:
        told.append(counted("and {count} more", "and {count} more", len(broken) - most))
    return [[Span(say(line), "broken")] for line in told]


def _told(link: LinkId, cause: str) -> str:
    what = msg("✗ {source} → {target}: {link} broken", source=link.source, target=link.target, link=NOUN[link.kind])
    return msg("{broken}: {cause}", broken=what, cause=cause) if cause else what
