"""The drawing of more than two clusters: a matrix of from and to, that holds for fifty and more."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from wizard.mesh.links import Counts, LinkState, Member, States
from wizard.mesh.spans import GLYPHS, NOUN, ROLES, Span, cells, fit, short

ORDER = (LinkState.BROKEN, LinkState.WORKING, LinkState.WAITING, LinkState.SKIPPED, LinkState.READY, LinkState.OK)
RANK = {state: rank for rank, state in enumerate(ORDER)}
FEW = 4  # clusters, up to which even a small drawing shows each
PAIRS = "each pair: API server or discovery, then gateway or pods"


def matrix(
    members: Sequence[Member], state: States, counts: Counts | None,
    width: int, *, small: bool, only: str = "",
) -> list[list[Span]]:  # fmt: skip
    """`only`: the rows of clusters whose name, network or primary has this in it."""
    size = len(members)
    if small and size > FEW:
        head = Span(f"{size} clusters, {len(state)} links: ", "label")
        return [[head, *_tally(state.values())], *_broken(state, 2)]
    digits = len(str(size))
    cell, words = (3, 22) if 3 * size + digits + 36 <= width else (1, 12)
    columns = cell * size
    if columns + digits + words + 12 > width:  # no room for a matrix: each cluster's sum says it
        columns, words = 0, 22
    room = max(12, min(width - digits - 3 - columns - words, max(cells(_long(member)) for member in members)))
    rows: list[list[Span]] = []
    if columns:
        heads = [str(number).rjust(digits) for number in range(1, size + 1)]
        for line in range(digits if cell == 1 else 1):
            parts = [head.rjust(3) if cell == 3 else head[line] for head in heads]
            lead = fit("from ↓ to →" if line == 0 else "", room + digits + 2)
            rows.append([Span(lead, "label"), Span("".join(parts), "label")])
    by_source: dict[str, dict[str, list[LinkState]]] = {member.name: {} for member in members}
    for link, now in state.items():
        by_source[link.source].setdefault(link.target, []).append(now)
    for number, member in enumerate(members, 1):
        if only and not _matches(member, only):
            continue
        row = [Span(f"{number:>{digits}} ", "label"), Span(f"{_label(member, room)} ", "name")]
        if columns:
            row += _joined(_cell(by_source[member.name].get(target.name, ()), cell) for target in members)
        mine = [now for states in by_source[member.name].values() for now in states]
        row.append(Span(" ", "label"))
        row += _tally(mine, 2 if words > 12 else 1)
        heard = sum((counts or {}).get(member.name, {}).values())
        rows.append([*row, Span(f", heard {heard}", "count")] if heard and words > 12 else row)
    if small:
        return [*rows, *_broken(state, 2)]
    if only:
        rows.append([Span(f"only rows with {only!r}", "label")])
    legend = "  ".join(f"{GLYPHS[now]} {now}" for now in LinkState)
    rows.append([Span(legend, "label")])
    if columns and cell == 3:
        rows.append([Span(PAIRS, "label")])
    return [*rows, *_broken(state, 4)]


def _matches(member: Member, only: str) -> bool:
    return any(only.lower() in text.lower() for text in (member.name, member.network, member.primary))


def _long(member: Member) -> str:
    served = f", remote of {member.primary}" if member.primary else ", remote" if member.remote else ""
    return f"{member.name} ({member.network}{served})"


def _label(member: Member, room: int) -> str:
    for label in (_long(member), f"{member.name} ({member.network})"):
        if cells(label) <= room:
            return fit(label, room)
    return short(member.name, room)


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


def _tally(states: Iterable[LinkState], most: int = 2) -> list[Span]:
    """The states that matter most, with their numbers."""
    numbers = Counter(states)
    spans: list[Span] = []
    for state in sorted(numbers, key=RANK.__getitem__)[:most]:
        spans.append(Span(f"{', ' if spans else ''}{numbers[state]} {state}", ROLES[state]))
    return spans


def _broken(state: States, most: int) -> list[list[Span]]:
    broken = [link for link, now in state.items() if now is LinkState.BROKEN]
    lines = [[Span(f"✗ {link.source} → {link.target}: {NOUN[link.kind]} broken", "broken")] for link in broken[:most]]
    return [*lines, [Span(f"and {len(broken) - most} more", "broken")]] if len(broken) > most else lines
