"""The drawing of two clusters: boxes on their networks, with an arrow for each link between them."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.mesh.links import Causes, Counts, LinkId, LinkState, Member, States
from wizard.mesh.spans import GLYPHS, NOUN, ROLES, STROKES, WORDS, Role, Say, Span, at_end, cells, fit, titled
from wizard.messages import counted, msg


def picture(
    members: Sequence[Member],
    state: States,
    counts: Counts | None,
    causes: Causes,
    width: int,
    say: Say,
) -> list[list[Span]]:
    """The drawing of two clusters, in lines of `width` cells. `counts`: cluster → version → answers; None: not yet."""
    (left, right), width = members, min(width, 112)
    inner = min(34, (width - 24) // 2 - 8)  # text inside a box
    middle = width - 2 * (inner + 8)
    apart = left.network != right.network
    frame = "┊" if apart else " "
    rows: list[list[Span]] = []

    def border(one: str, other: str, corners: str) -> None:
        if apart:
            edge = [Span(f"{corners[0]}{titled(text, inner + 6, '╌')}{corners[1]}", "network") for text in (one, other)]
            rows.append([edge[0], Span(" " * middle, "label"), edge[1]])
        else:
            rows.append([Span(f"{corners[0]}{titled(one, width - 2, '╌')}{corners[1]}", "network")])

    def boxed(one: str, other: str, between: list[Span], marks: str = "││", role: Role = "label") -> None:
        rows.append(
            [
                Span("┊ ", "network"), Span("│ ", "box"), Span(fit(one, inner), role), Span(f" {marks[0]}", "box"),
                *between,
                Span(f"{marks[1]} ", "box"), Span(fit(other, inner), role), Span(" │", "box"), Span(" ┊", "network"),
            ]
        )  # fmt: skip

    def edge(corners: str, names: tuple[str, str]) -> None:
        one, other = (f"{corners[0]}{titled(name, inner + 2, '─')}{corners[1]}" for name in names)
        gap = " " * middle
        rows.append(
            [Span("┊ ", "network"), Span(one, "box"), Span(f" {frame}{gap}{frame} ", "network"), Span(other, "box"),
             Span(" ┊", "network")]
        )  # fmt: skip

    border(say(left.network), say(right.network), "┌┐")
    edge("╭╮", (_title(left, inner, say), _title(right, inner, say)))
    for source, target in ((left, right), (right, left)):
        forward = source is left
        for link in state:
            if link.source != source.name or link.target != target.name:
                continue
            start, end = _ends(link, source, target, inner, say)
            room = middle if apart else middle + 2
            arrow = _arrow(
                link, state[link], source, target, counts, causes, room, say, crossing=apart, forward=forward
            )
            marks = "├│" if forward else "│┤"
            boxed(start if forward else end, end if forward else start, arrow, marks)
    if counts is not None:
        blank = [Span(f" {frame}", "network"), Span(" " * middle, "label"), Span(f"{frame} ", "network")]
        boxed(say(_heard(left, counts)), say(_heard(right, counts)), blank, role="count")
    edge("╰╯", ("", ""))
    border("", "", "└┘")
    return rows


def _title(member: Member, inner: int, say: Say) -> str:
    """The cluster's name, with its role where there is room for it."""
    title = say(msg("{cluster} (remote)", cluster=member.name))
    return title if member.remote and cells(title) <= inner - 2 else say(member.name)


def _ends(link: LinkId, source: Member, target: Member, room: int, say: Say) -> tuple[str, str]:
    long, short = map(say, target.gateway)
    gateway = long if cells(long) <= room else short
    if link.kind == "api":
        api = say(msg("API {address}", address=target.api))
        return "istiod", api if target.api and cells(api) <= room else say(NOUN["api"])
    if link.kind == "discovery":
        return say(msg("proxies")), "istiod"
    return f"helloworld {source.version}", f"helloworld {target.version}" if link.kind == "pods" else gateway


def _arrow(
    link: LinkId, state: LinkState, source: Member, target: Member, counts: Counts | None, causes: Causes,
    width: int, say: Say, *, crossing: bool, forward: bool, brief: bool = False,
) -> list[Span]:  # fmt: skip
    role, stroke = ROLES[state], STROKES[state]
    word = WORDS[state]
    cause = causes.get(link, "") if state is LinkState.BROKEN else ""
    heard = (counts or {}).get(source.name, {}).get(target.version, 0)
    if link.kind in ("gateway", "pods") and heard:
        word = (
            counted("{count} heard", "{count} heard", heard)
            if brief
            else counted("{count} answer", "{count} answers", heard)
        )
    noun = msg("API") if brief and link.kind == "api" else NOUN[link.kind]
    # A cause says by itself what it is that is broken, and needs the room.
    text = f" {GLYPHS[state]} {say(cause)} " if cause else f" {say(noun)} {GLYPHS[state]} {say(word)} "
    line = fit(text.rstrip(), width - 1) + " " if cells(text) > width else text
    before = (width - cells(line)) // 2
    middle = stroke * before + line + stroke * (width - before - cells(line))
    cross = "┼" if crossing else ""
    head, tail = (stroke, "▶") if forward else ("◀", stroke)
    return [Span(f"{head}{cross}{middle}{cross}{tail}", role)]


def small_picture(
    members: Sequence[Member],
    state: States,
    counts: Counts | None,
    causes: Causes,
    width: int,
    say: Say,
) -> list[list[Span]]:
    """The same in fewer lines, where the larger one does not fit."""
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
                link, state[link], source, target, counts, causes, room - 2, say,
                crossing=False, forward=source is left, brief=True,
            )  # fmt: skip
            line.append(Span(" ", "label"))
        arrows.append(line)
    heard = [say(_heard(member, counts)) if counts is not None else "" for member in members]
    half = middle // 2
    told = [Span(f" {fit(heard[0], half - 1)}", "count"), Span(f"{at_end(heard[1], middle - half - 1)} ", "count")]
    rows = []
    for row, between in enumerate((arrows[0], told, arrows[1])):
        boxes = [
            (
                f"╭{titled(_title(member, inner, say), inner + 2, '─')}╮",
                f"│ {fit(say(member.network), inner)} │",
                f"╰{'─' * (inner + 2)}╯",
            )
            for member in members
        ]
        rows.append([Span(boxes[0][row], "box"), *between, Span(boxes[1][row], "box")])
    return rows


def _heard(member: Member, counts: Counts) -> str:
    mine = counts.get(member.name) or {}
    if not mine:
        return msg("heard nothing yet")
    return msg("heard {answers}", answers=" ".join(f"{version} {count}" for version, count in sorted(mine.items())))
