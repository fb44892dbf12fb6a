"""The drawing of more than two clusters: a matrix of from and to, that holds for fifty and more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wizard.mesh.links import Counts, LinkState, Member, States
from wizard.mesh.spans import GLYPHS, NOUN, ROLES, Span, cells, fit, short

ORDER = (LinkState.BROKEN, LinkState.WORKING, LinkState.WAITING, LinkState.SKIPPED, LinkState.READY, LinkState.OK)


def matrix(
    members: Sequence[Member], state: States, counts: Counts | None,
    width: int, *, small: bool,
) -> list[list[Span]]:  # fmt: skip
    size = len(members)
    digits = len(str(size))
    cell, words = (3, 22) if 3 * size + digits + 36 <= width else (1, 12)
    columns = cell * size
    if columns + digits + words + 12 > width:  # no room for a matrix: each cluster's sum says it
        columns, words = 0, 22
    room = min(34, width - digits - 3 - columns - words)
    rows: list[list[Span]] = []
    tally = _tally(state.values())
    if small:
        return [[Span(f"{size} clusters, {len(state)} links: ", "label"), *tally], *_broken(state, 2)]
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
        label = f"{member.name} ({member.network})"
        label = fit(label, room) if cells(label) <= room else short(member.name, room)
        row = [Span(f"{number:>{digits}} ", "label"), Span(f"{label} ", "name")]
        if columns:
            for target in members:
                found = by_source[member.name].get(target.name, [])
                row.append(_cell(found, cell))
        mine = [now for states in by_source[member.name].values() for now in states]
        row.append(Span(" ", "label"))
        row += _tally(mine, 2 if words > 12 else 1)
        heard = sum((counts or {}).get(member.name, {}).values())
        rows.append([*row, Span(f", heard {heard}", "count")] if heard and words > 12 else row)
    legend = "  ".join(f"{GLYPHS[now]} {now}" for now in LinkState)
    rows.append([Span(legend, "label")])
    return [*rows, *_broken(state, 4)]


def _cell(found: Sequence[LinkState], size: int) -> Span:
    if not found:
        return Span("–".rjust(size), "label")
    worst = _worst(found)
    signs = "".join(GLYPHS[now] for now in found) if size == 3 else GLYPHS[worst]
    return Span(signs.rjust(size), ROLES[worst])


def _worst(states: Iterable[LinkState]) -> LinkState:
    return min(states, key=ORDER.index)


def _tally(states: Iterable[LinkState], most: int = 2) -> list[Span]:
    """The states that matter most, with their numbers."""
    all_states = list(states)
    found = [(all_states.count(state), state) for state in ORDER if state in all_states]
    spans: list[Span] = []
    for count, state in found[:most]:
        spans.append(Span(f"{', ' if spans else ''}{count} {state}", ROLES[state]))
    return spans


def _broken(state: States, most: int) -> list[list[Span]]:
    broken = [link for link, now in state.items() if now is LinkState.BROKEN]
    lines = [[Span(f"✗ {link.source} → {link.target}: {NOUN[link.kind]} broken", "broken")] for link in broken[:most]]
    return [*lines, [Span(f"and {len(broken) - most} more", "broken")]] if len(broken) > most else lines
