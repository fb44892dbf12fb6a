"""The mesh drawing: clusters as boxes on their networks, arrows for what must reach what, each with its state.

Pure: lines of spans, each with a role that a front end may colour. Every state is a glyph and a word, so the drawing
says the same without colour, in a log, and (`ascii`) on a terminal that lacks box characters. Two clusters make a
picture, more make a matrix that holds for fifty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wizard.mesh.links import Causes, Counts, LinkState, States, links_between, members_of
from wizard.mesh.matrix import matrix
from wizard.mesh.model import Mesh
from wizard.mesh.picture import picture, small_picture
from wizard.mesh.spans import ASCII_GLYPHS, GLYPHS, Say, Span, fitted
from wizard.messages import msg
from wizard.text import one_line

_TO_ASCII = str.maketrans("╭╮╰╯┌┐└┘─━╌╳│┊┼├┤◀▶–·×→…↓", "++++++++-=.x|:+++<>-.x>~v")


@dataclass(frozen=True)
class Drawing:
    """Lines of spans. No line is wider than asked for."""

    lines: tuple[tuple[Span, ...], ...]

    def plain(self) -> str:
        """The same as text, for logs and documents."""
        return "\n".join("".join(span.text for span in line).rstrip() for line in self.lines)


def draw(
    of: Mesh | Mapping[str, Any],
    *,
    links: States | None = None,
    counts: Counts | None = None,
    causes: Causes | None = None,
    width: int = 76,
    ascii: bool = False,  # noqa: A002 - the caller's word for it
    small: bool = False,
    only: str = "",
    say: Say = str,
) -> Drawing:
    """The drawing of this mesh or (possibly unfinished) mesh document, at most `width` columns wide.

    `links`: states, waiting where absent. `counts`: cluster → version → answers heard there; None before verification.
    `causes`: why links are broken, as far as that is known.
    `small`: two clusters in three lines, a few in one each, more in one. `only`: of more than two clusters, the rows of
    those whose name, network or primary has this in it. `say`: puts each word into the language it is shown in.
    """
    members = members_of(of)
    known = links or {}
    state = {link: known.get(link, LinkState.WAITING) for link in links_between(members)}
    if len(members) == 2 and width >= 72:
        lines = (small_picture if small else picture)(members, state, counts, causes or {}, width, say)
    elif members:
        lines = matrix(members, state, counts, causes or {}, width, small=small, only=one_line(only, 80), say=say)
    else:
        lines = [[Span(say(msg("no clusters chosen yet")), "label")]]
    if ascii:
        glyphs = {ord(glyph): ASCII_GLYPHS[state] for state, glyph in GLYPHS.items()}
        lines = [[Span(text.translate(glyphs).translate(_TO_ASCII), role) for text, role in line] for line in lines]
    return Drawing(tuple(tuple(fitted(line, width)) for line in lines))
