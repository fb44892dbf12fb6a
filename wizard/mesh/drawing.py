"""The mesh drawing: clusters as boxes on their networks, arrows for what must reach what, each with its state.

Pure: lines of spans, each with a role that a front end may colour. Every state is a glyph and a word, so the drawing
says the same without colour, in a log, and (`ascii`) on a terminal that lacks box characters. Two clusters make a
picture, more make a matrix that holds for fifty. `Board` turns what an engine reports into the states of the arrows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from wizard.mesh.document import value_at
from wizard.mesh.model import DEFAULT_NODE_PORT, Mesh
from wizard.text import one_line

LinkKind = Literal["api", "gateway", "discovery"]
Role = Literal[
    "network", "box", "name", "label", "count", "waiting", "working", "ready", "ok", "broken", "skipped"
]  # fmt: skip


class LinkId(NamedTuple):
    """One thing that must be reached: `source`'s istiod reads `target`'s API server (api), `source`'s pods reach
    `target`'s gateway (gateway), `source`'s proxies ask `target`'s istiod (discovery).
    """

    kind: LinkKind
    source: str
    target: str


class LinkState(StrEnum):
    WAITING = "waiting"
    WORKING = "working"
    READY = "set up"  # made, and not yet proven by traffic
    OK = "ok"
    BROKEN = "broken"
    SKIPPED = "skipped"


States = Mapping[LinkId, LinkState]
Counts = Mapping[str, Mapping[str, int]]  # cluster → version → answers heard there
_NOUN = {"api": "API server", "gateway": "gateway", "discovery": "discovery"}
_ORDER = (LinkState.BROKEN, LinkState.WORKING, LinkState.WAITING, LinkState.SKIPPED, LinkState.READY, LinkState.OK)
_ROLES: dict[LinkState, Role] = {
    LinkState.WAITING: "waiting",
    LinkState.WORKING: "working",
    LinkState.READY: "ready",
    LinkState.OK: "ok",
    LinkState.BROKEN: "broken",
    LinkState.SKIPPED: "skipped",
}
_GLYPHS = dict(zip(LinkState, "○●◇✓✗~", strict=True))
_ASCII_GLYPHS = dict(zip(LinkState, ".*:+x~", strict=True))
_STROKES = dict(zip(LinkState, "╌──━╳╌", strict=True))
_TO_ASCII = str.maketrans("╭╮╰╯┌┐└┘─━╌╳│┊┼├┤◀▶–·×→…↓", "++++++++-=.x|:+++<>-.x>~v")


class Span(NamedTuple):
    text: str
    role: Role


@dataclass(frozen=True)
class Drawing:
    """Lines of spans. No line is wider than asked for."""

    lines: tuple[tuple[Span, ...], ...]

    def plain(self) -> str:
        """The same as text, for logs and documents."""
        return "\n".join("".join(span.text for span in line).rstrip() for line in self.lines)


@dataclass(frozen=True)
class _Member:
    name: str
    network: str
    version: str
    primary: str  # empty: runs its own istiod
    api: str
    address: str
    port: str

    @property
    def gateway(self) -> tuple[str, str]:
        """The gateway's place, long and short."""
        return (
            f"gateway {self.address}:{self.port}" if self.address else f"gateway :{self.port}",
            f"gateway :{self.port}",
        )


def links_of(of: Mesh | Mapping[str, Any]) -> tuple[LinkId, ...]:
    """Everything that must reach something in this mesh or mesh document."""
    return _links(_members(of))


def draw(
    of: Mesh | Mapping[str, Any],
    *,
    links: States | None = None,
    counts: Counts | None = None,
    width: int = 76,
    ascii: bool = False,  # noqa: A002 - the caller's word for it
    small: bool = False,
) -> Drawing:
    """The drawing of this mesh or (possibly unfinished) mesh document, at most `width` columns wide.

    `links`: states, waiting where absent. `counts`: cluster → version → answers heard there; None before verification.
    `small`: two clusters in three lines.
    """
    members = _members(of)
    known = links or {}
    state = {link: known.get(link, LinkState.WAITING) for link in _links(members)}
    if len(members) == 2 and width >= 72:
        lines = _small(members, state, counts, width) if small else _picture(members, state, counts, width)
    elif members:
        lines = _matrix(members, state, counts, width, small=small)
    else:
        lines = [[Span("no clusters chosen yet", "label")]]
    if ascii:
        glyphs = {ord(glyph): _ASCII_GLYPHS[state] for state, glyph in _GLYPHS.items()}
        lines = [[Span(text.translate(glyphs).translate(_TO_ASCII), role) for text, role in line] for line in lines]
    return Drawing(tuple(tuple(_fitted(line, width)) for line in lines))


class Board:
    """The states of all arrows, kept up to date from step ids and statuses as an engine reports them."""

    def __init__(self, of: Mesh | Mapping[str, Any]) -> None:
        members = _members(of)
        self._versions = {member.name: member.version for member in members}
        self._all = _links(members)
        self._status: dict[str, str] = {}
        self._links: dict[LinkId, LinkState] | None = None
        self.counts: dict[str, dict[str, int]] = {}

    def step(self, step: str, status: str) -> None:
        """The step of that id took this status (the engine's words)."""
        self._status[step] = str(status)
        self._links = None

    def answered(self, cluster: str, counts: Mapping[str, int]) -> None:
        """What this cluster has heard so far, by version."""
        self.counts[cluster] = dict(counts)
        self._links = None

    @property
    def links(self) -> States:
        """Every arrow's state now."""
        if self._links is None:
            self._links = {link: self._state(link) for link in self._all}
        return self._links

    def _state(self, link: LinkId) -> LinkState:
        if link.kind == "api":
            return _of_status(self._status.get(f"{link.source}/remote-secret/{link.target}"))
        if link.kind == "discovery":
            return _of_status(self._status.get(f"{link.source}/install"))
        verify = _of_status(self._status.get(f"{link.source}/verify"))
        heard = self.counts.get(link.source, {}).get(self._versions[link.target], 0)
        if heard or verify is LinkState.OK:
            return LinkState.OK
        made = [_of_status(self._status.get(f"{link.target}/{part}")) for part in ("install", "expose-services")]
        if LinkState.BROKEN in (verify, *made):
            return LinkState.BROKEN
        if verify is LinkState.SKIPPED:
            return LinkState.SKIPPED
        if all(state in (LinkState.OK, LinkState.SKIPPED) for state in made):
            return LinkState.WORKING if verify is LinkState.WORKING else LinkState.READY
        return LinkState.WAITING if all(state is LinkState.WAITING for state in made) else LinkState.WORKING


def glyph_of(state: LinkState, ascii: bool = False) -> str:  # noqa: A002
    """The one-column sign of a state."""
    return (_ASCII_GLYPHS if ascii else _GLYPHS)[state]


def _of_status(status: str | None) -> LinkState:
    match status:
        case "done":
            return LinkState.OK
        case "skipped":
            return LinkState.SKIPPED
        case "failed" | "conflict":
            return LinkState.BROKEN
        case "probing" | "running" | "undoing":
            return LinkState.WORKING
        case _:
            return LinkState.WAITING


def _members(of: Mesh | Mapping[str, Any]) -> list[_Member]:
    members = []
    if isinstance(of, Mesh):
        for cluster in of.clusters:
            gateway = cluster.gateway
            members.append(
                (cluster.name, cluster.network, cluster.primary, cluster.api_server, gateway.address, gateway.port)
            )
    else:
        keys = ("name", "network", "primary", "apiServer", "gateway.address", "gateway.port")
        for entry in of.get("clusters") or []:
            members.append(tuple(value_at(entry, key) for key in keys))
    return [
        _Member(
            one_line(name or f"cluster {index}", 80),
            one_line(network or "no network", 80),
            f"v{index}",
            one_line(primary or "", 80),
            one_line(api or "", 80).removeprefix("https://").rstrip("/"),
            one_line(address or "", 80),
            one_line(port or DEFAULT_NODE_PORT, 20),
        )
        for index, (name, network, primary, api, address, port) in enumerate(members, 1)
    ]


def _links(members: Sequence[_Member]) -> tuple[LinkId, ...]:
    links = []
    for source in members:
        for target in members:
            if source is target:
                continue
            if source.primary:
                if source.primary == target.name:
                    links.append(LinkId("discovery", source.name, target.name))
            else:
                links.append(LinkId("api", source.name, target.name))
            links.append(LinkId("gateway", source.name, target.name))
    return tuple(links)


# -- two clusters


def _picture(
    members: Sequence[_Member],
    state: States,
    counts: Counts | None,
    width: int,
) -> list[list[Span]]:
    left, right = members
    width = min(width, 112)
    inner = min(34, (width - 24) // 2 - 8)  # text inside a box
    middle = width - 2 * (inner + 8)
    apart = left.network != right.network
    frame = "┊" if apart else " "
    rows: list[list[Span]] = []

    def pad(text: str) -> str:
        return _fit(text, inner)

    def border(one: str, other: str, corners: str) -> None:
        if apart:
            edge = [
                Span(f"{corners[0]}{_titled(text, inner + 6, '╌')}{corners[1]}", "network") for text in (one, other)
            ]
            rows.append([edge[0], Span(" " * middle, "label"), edge[1]])
        else:
            rows.append([Span(f"{corners[0]}{_titled(one, width - 2, '╌')}{corners[1]}", "network")])

    def boxed(one: str, other: str, between: list[Span], marks: str = "││", role: Role = "label") -> None:
        rows.append(
            [
                Span("┊ ", "network"), Span("│ ", "box"), Span(pad(one), role), Span(f" {marks[0]}", "box"),
                *between,
                Span(f"{marks[1]} ", "box"), Span(pad(other), role), Span(" │", "box"), Span(" ┊", "network"),
            ]
        )  # fmt: skip

    def edge(corners: str, names: tuple[str, str]) -> None:
        one, other = (f"{corners[0]}{_titled(name, inner + 2, '─')}{corners[1]}" for name in names)
        gap = " " * middle
        rows.append(
            [Span("┊ ", "network"), Span(one, "box"), Span(f" {frame}{gap}{frame} ", "network"), Span(other, "box"),
             Span(" ┊", "network")]
        )  # fmt: skip

    border(left.network, right.network, "┌┐")
    edge("╭╮", (left.name, right.name))
    for source, target in ((left, right), (right, left)):
        forward = source is left
        for link in state:
            if link.source != source.name or link.target != target.name:
                continue
            start, end = _ends(link, source, target, inner)
            if apart:
                arrow = _arrow(link, state[link], source, target, counts, middle, crossing=True, forward=forward)
            else:
                arrow = _arrow(link, state[link], source, target, counts, middle + 2, crossing=False, forward=forward)
            marks = "├│" if forward else "│┤"
            boxed(start if forward else end, end if forward else start, arrow, marks)
    if counts is not None:
        blank = [Span(f" {frame}", "network"), Span(" " * middle, "label"), Span(f"{frame} ", "network")]
        boxed(_heard(left, counts), _heard(right, counts), blank, role="count")
    edge("╰╯", ("", ""))
    border("", "", "└┘")
    return rows


def _ends(link: LinkId, source: _Member, target: _Member, room: int) -> tuple[str, str]:
    long, short = target.gateway
    gateway = long if len(long) <= room else short
    if link.kind == "api":
        api = f"API {target.api}"
        return "istiod", api if target.api and len(api) <= room else "API server"
    if link.kind == "discovery":
        return "proxies", "istiod"
    return f"helloworld {source.version}", gateway


def _arrow(
    link: LinkId, state: LinkState, source: _Member, target: _Member, counts: Counts | None,
    width: int, *, crossing: bool, forward: bool, brief: bool = False,
) -> list[Span]:  # fmt: skip
    role, stroke = _ROLES[state], _STROKES[state]
    word = str(state)
    heard = (counts or {}).get(source.name, {}).get(target.version, 0)
    if link.kind == "gateway" and heard:
        word = f"{heard} heard" if brief else f"{heard} answer{'s' if heard > 1 else ''}"
    noun = "API" if brief and link.kind == "api" else _NOUN[link.kind]
    text = f" {noun} {_GLYPHS[state]} {word} "
    line = _fit(text.rstrip(), width - 1) + " " if _cells(text) > width else text
    before = (width - _cells(line)) // 2
    middle = stroke * before + line + stroke * (width - before - _cells(line))
    cross = "┼" if crossing else ""
    head, tail = (stroke, "▶") if forward else ("◀", stroke)
    return [Span(f"{head}{cross}{middle}{cross}{tail}", role)]


def _small(
    members: Sequence[_Member],
    state: States,
    counts: Counts | None,
    width: int,
) -> list[list[Span]]:
    left, right = members
    inner = min(18, (width - 56) // 2)
    middle = width - 2 * (inner + 4)
    arrows: list[list[Span]] = []
    for source, target in ((left, right), (right, left)):
        mine = [link for link in state if link.source == source.name and link.target == target.name]
        share, rest = divmod(middle - 1, len(mine))
        line = [Span(" ", "label")]
        for index, link in enumerate(mine):
            room = share + (rest if index == 0 else 0) - 1
            line += _arrow(
                link, state[link], source, target, counts, room - 2, crossing=False, forward=source is left, brief=True
            )
            line.append(Span(" ", "label"))
        arrows.append(line)
    heard = [_heard(member, counts) if counts is not None else "" for member in members]
    half = middle // 2
    told = [Span(f" {_fit(heard[0], half - 1)}", "count"), Span(f"{heard[1]} ".rjust(middle - half), "count")]
    rows = []
    for row, between in enumerate((arrows[0], told, arrows[1])):
        boxes = [
            (
                f"╭{_titled(member.name, inner + 2, '─')}╮",
                f"│ {_fit(member.network, inner)} │",
                f"╰{'─' * (inner + 2)}╯",
            )
            for member in members
        ]
        rows.append([Span(boxes[0][row], "box"), *between, Span(boxes[1][row], "box")])
    return rows


def _heard(member: _Member, counts: Counts) -> str:
    mine = counts.get(member.name) or {}
    return "heard " + (" ".join(f"{version} {count}" for version, count in sorted(mine.items())) or "nothing yet")


# -- more clusters


def _matrix(
    members: Sequence[_Member], state: States, counts: Counts | None,
    width: int, *, small: bool,
) -> list[list[Span]]:  # fmt: skip
    size = len(members)
    digits = len(str(size))
    cell, words = (3, 22) if 3 * size + digits + 36 <= width else (1, 12)
    cells = cell * size
    if cells + digits + words + 12 > width:  # no room for a matrix: each cluster's sum says it
        cells, words = 0, 22
    room = min(34, width - digits - 3 - cells - words)
    rows: list[list[Span]] = []
    tally = _tally(state.values())
    if small:
        return [[Span(f"{size} clusters, {len(state)} links: ", "label"), *tally], *_broken(state, 2)]
    if cells:
        heads = [str(number).rjust(digits) for number in range(1, size + 1)]
        for line in range(digits if cell == 1 else 1):
            parts = [head.rjust(3) if cell == 3 else head[line] for head in heads]
            lead = _fit("from ↓ to →" if line == 0 else "", room + digits + 2)
            rows.append([Span(lead, "label"), Span("".join(parts), "label")])
    by_source: dict[str, dict[str, list[LinkState]]] = {member.name: {} for member in members}
    for link, now in state.items():
        by_source[link.source].setdefault(link.target, []).append(now)
    for number, member in enumerate(members, 1):
        label = f"{member.name} ({member.network})"
        label = _fit(label, room) if _cells(label) <= room else _short(member.name, room)
        row = [Span(f"{number:>{digits}} ", "label"), Span(f"{label} ", "name")]
        if cells:
            for target in members:
                found = by_source[member.name].get(target.name, [])
                row.append(_cell(found, cell))
        mine = [now for states in by_source[member.name].values() for now in states]
        row.append(Span(" ", "label"))
        row += _tally(mine, 2 if words > 12 else 1)
        heard = sum((counts or {}).get(member.name, {}).values())
        rows.append([*row, Span(f", heard {heard}", "count")] if heard and words > 12 else row)
    legend = "  ".join(f"{_GLYPHS[now]} {now}" for now in LinkState)
    rows.append([Span(legend, "label")])
    return [*rows, *_broken(state, 4)]


def _cell(found: Sequence[LinkState], size: int) -> Span:
    if not found:
        return Span("–".rjust(size), "label")
    worst = _worst(found)
    signs = "".join(_GLYPHS[now] for now in found) if size == 3 else _GLYPHS[worst]
    return Span(signs.rjust(size), _ROLES[worst])


def _worst(states: Iterable[LinkState]) -> LinkState:
    return min(states, key=_ORDER.index)


def _tally(states: Iterable[LinkState], most: int = 2) -> list[Span]:
    """The states that matter most, with their numbers."""
    all_states = list(states)
    found = [(all_states.count(state), state) for state in _ORDER if state in all_states]
    spans: list[Span] = []
    for count, state in found[:most]:
        spans.append(Span(f"{', ' if spans else ''}{count} {state}", _ROLES[state]))
    return spans


def _broken(state: States, most: int) -> list[list[Span]]:
    broken = [link for link, now in state.items() if now is LinkState.BROKEN]
    lines = [[Span(f"✗ {link.source} → {link.target}: {_NOUN[link.kind]} broken", "broken")] for link in broken[:most]]
    return [*lines, [Span(f"and {len(broken) - most} more", "broken")]] if len(broken) > most else lines


# -- text


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)


def _fit(text: str, width: int) -> str:
    """The text in just that many columns: cut with a mark, or filled up."""
    if _cells(text) > width:
        while text and _cells(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - _cells(text))


def _short(name: str, width: int) -> str:
    """The name in just that many columns, cut in front: names of one fleet differ at their ends."""
    if _cells(name) > width:
        while name and _cells(name) > width - 1:
            name = name[1:]
        name = f"…{name}"
    return name + " " * (width - _cells(name))


def _titled(title: str, width: int, line: str) -> str:
    """A border of that many columns with a title in it."""
    if not title:
        return line * width
    text = f"{line} {_fit(title, min(_cells(title), width - 4))} "
    return text + line * (width - _cells(text))


def _fitted(line: Sequence[Span], width: int) -> Iterable[Span]:
    left = width
    for text, role in line:
        if left <= 0:
            return
        cut = text if _cells(text) <= left else _fit(text, left)
        left -= _cells(cut)
        if cut:
            yield Span(cut, role)
