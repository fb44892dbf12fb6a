"""What the drawing is made of: pieces of text with a role, signs for the states of links, borders with titles."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from wizard.mesh.links import LinkState
from wizard.messages import msg

Role = Literal[
    "network", "box", "name", "label", "count", "waiting", "working", "ready", "ok", "broken", "skipped"
]  # fmt: skip

Say = Callable[[str], str]  # puts a word of the drawing into the language it is shown in, before its cells are counted

NOUN = {"api": msg("API server"), "gateway": msg("gateway"), "discovery": msg("discovery"), "pods": msg("pods")}
WORDS: dict[LinkState, str] = {
    LinkState.WAITING: msg("waiting"),
    LinkState.WORKING: msg("working"),
    LinkState.READY: msg("set up"),
    LinkState.OK: msg("ok"),
    LinkState.BROKEN: msg("broken"),
    LinkState.SKIPPED: msg("skipped"),
}
ROLES: dict[LinkState, Role] = {
    LinkState.WAITING: "waiting",
    LinkState.WORKING: "working",
    LinkState.READY: "ready",
    LinkState.OK: "ok",
    LinkState.BROKEN: "broken",
    LinkState.SKIPPED: "skipped",
}
GLYPHS = dict(zip(LinkState, "○●◇✓✗~", strict=True))
ASCII_GLYPHS = dict(zip(LinkState, ".*:+x~", strict=True))
STROKES = dict(zip(LinkState, "╌──━╳╌", strict=True))


class Span(NamedTuple):
    """Text that is shown in one way. `role`: what it is; the front end knows the colour."""

    text: str
    role: Role


def cells(text: str) -> int:
    """How many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)


def fit(text: str, width: int) -> str:
    """The text in just that many columns: cut with a mark, or filled up."""
    if cells(text) > width:
        while text and cells(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cells(text))


def short(name: str, width: int) -> str:
    """The name in just that many columns, cut in front: names of one fleet differ at their ends."""
    if cells(name) > width:
        while name and cells(name) > width - 1:
            name = name[1:]
        name = f"…{name}"
    return name + " " * (width - cells(name))


def at_end(text: str, width: int) -> str:
    """The text at the end of just that many columns: cut with a mark, or filled up in front."""
    return " " * (width - cells(text)) + text if cells(text) <= width else fit(text, width)


def titled(title: str, width: int, line: str) -> str:
    """A border of that many columns with a title in it."""
    if not title:
        return line * width
    text = f"{line} {fit(title, min(cells(title), width - 4))} "
    return text + line * (width - cells(text))


def fitted(line: Sequence[Span], width: int) -> Iterable[Span]:
    """The beginning of a line that takes at most so many cells; an ellipsis where something was cut off."""
    left = width
    for text, role in line:
        if left <= 0:
            return
        cut = text if cells(text) <= left else fit(text, left)
        left -= cells(cut)
        if cut:
            yield Span(cut, role)
