"""A scrolling view of many lines of spans. Only what is visible is rendered, so ten thousand lines cost what twenty do.

Spans carry a role, never markup: foreign text cannot change how it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from wizard.messages import Message
from wizard.messages.catalogue import rendered
from wizard.text import printable

ROLES = (
    "network", "box", "name", "label", "count", "waiting", "working", "ready", "ok", "broken", "skipped",
    "title", "muted", "command", "key",
)  # fmt: skip


class Piece(NamedTuple):
    """Some text and what it means."""

    text: str
    role: str = "label"


Line = Sequence[tuple[str, str]]  # Piece, or a span of the mesh drawing


def plain(line: Line) -> str:
    """The text of a line."""
    return "".join(text for text, _ in line)


def spans(told: Message, /, role: str = "label", *, before: str = "", **roles: str) -> list[Piece]:
    """A sentence in the person's language, where the values that `roles` names have a role of their own. `before`: what stands
    before it, in the role of its beginning.
    """
    marked = Message(told.code, {**told.values, **{name: f"\0{name}\0" for name in roles}}, told.many)
    parts = re.split(f"\0({'|'.join(roles)})\0", rendered(marked))  # each second one is a name
    pieces = [
        Piece(rendered(told.values[part]), roles[part]) if number % 2 else Piece(part, role)
        for number, part in enumerate(parts)
    ]
    first, *rest = (piece for piece in pieces if piece.text)
    return [Piece(before + first.text, first.role), *rest]


class Lines(ScrollView, can_focus=True):
    """Lines of pieces. `wrap`: long lines go on below, indented; otherwise they are cut at the edge."""

    COMPONENT_CLASSES = {f"lines--{role}" for role in ROLES} | {"lines--cursor"}
    DEFAULT_CSS = """
    Lines {
        height: 1fr;
        scrollbar-size: 1 1;
        overflow-x: hidden;
        overflow-y: auto;
        & > .lines--network { color: $text-secondary; }
        & > .lines--box { color: $text-primary; }
        & > .lines--name { text-style: bold; }
        & > .lines--title { text-style: bold; color: $text-primary; }
        & > .lines--count { text-style: bold; }
        & > .lines--waiting { color: $dim-text; }
        & > .lines--muted { color: $dim-text; }
        & > .lines--working { color: $text-warning; text-style: bold; }
        & > .lines--ready { color: $text-accent; }
        & > .lines--ok { color: $text-success; }
        & > .lines--broken { color: $text-error; text-style: bold; }
        & > .lines--skipped { color: $dim-text; text-style: italic; }
        & > .lines--command { color: $text-accent; }
        & > .lines--key { text-style: bold; color: $text-accent; }
        & > .lines--cursor { background: $panel; }
        &:focus > .lines--cursor { background: $cursor-row; text-style: bold; }
        &:ansi > .lines--waiting { color: ansi_default; text-style: dim; }
        &:ansi > .lines--muted { color: ansi_default; text-style: dim; }
        &:ansi > .lines--skipped { color: ansi_default; text-style: dim; }
        &:ansi > .lines--cursor { text-style: reverse; }
    }
    """

    def __init__(
        self,
        lines: Iterable[Line] = (),
        *,
        id: str | None = None,
        classes: str | None = None,
        wrap: bool = False,
        follow: bool = False,
        sideways: bool = False,
        most: int = 5000,
    ) -> None:
        """`follow`: stays at the end as lines come, unless the person scrolled up. `sideways`: long lines are scrolled to.
        `most`: lines kept.
        """
        super().__init__(id=id, classes=classes)
        self._source: list[Line] = list(lines)
        self._shown: list[Line] = []
        self._wrap = wrap
        self._follow = follow
        self._most = most
        self._sideways = sideways
        if sideways:
            self.styles.overflow_x = "auto"
        self._width = 0
        self.cursor: int | None = None

    # -- content

    def show(self, lines: Iterable[Line]) -> None:
        """Show these lines and nothing else."""
        self._source = list(lines)[-self._most :]
        self._lay_out()

    def add(self, lines: Sequence[Line]) -> None:
        """Put these after the others; the oldest go when there are too many."""
        if not lines:
            return
        at_end = self.scroll_offset.y >= self.max_scroll_y
        self._source += lines
        if len(self._source) > self._most:
            del self._source[: len(self._source) - self._most]
            self._lay_out()
        else:
            self._shown += self._broken_up(lines)
            self._measure()
        if self._follow and at_end:
            self.scroll_end(animate=False)

    @property
    def text(self) -> str:
        """Everything as plain text."""
        return "\n".join(plain(line).rstrip() for line in self._source)

    # -- layout

    def on_resize(self) -> None:
        """Wrapping depends on the width."""
        width = self.scrollable_content_region.width
        if width and width != self._width:
            self._width = width
            self._lay_out()
            if self._follow:
                self.scroll_end(animate=False)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """With class `-fit`: as high as its lines."""
        if self._wrap and width and width != self._width:
            return sum(len(list(wrapped(line, width))) for line in self._source) or 1
        return len(self._shown or self._source) or 1

    def _broken_up(self, lines: Sequence[Line]) -> list[Line]:
        if not self._wrap or not self._width:
            return list(lines)
        return [part for line in lines for part in wrapped(line, self._width)]

    def _lay_out(self) -> None:
        self._shown = self._broken_up(self._source)
        self._measure()
        if self.has_class("-fit"):
            self.refresh(layout=True)

    def _measure(self) -> None:
        longest = max(map(_width, self._shown), default=0) if self._sideways else 0
        self.virtual_size = Size(max(self._width, longest), self.count())
        self.refresh()

    def count(self) -> int:
        """How many lines there are to paint. Whoever makes lines when they are painted says it, with `line_at`."""
        return len(self._shown)

    def line_at(self, index: int) -> Line:
        """The line to paint in that row of the content."""
        return self._shown[index] if index < len(self._shown) else ()

    def render_line(self, y: int) -> Strip:
        """One row of the screen."""
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        base = self.rich_style
        if index == self.cursor:
            base += self.get_component_rich_style("lines--cursor", partial=True)
        segments = [
            Segment(_safe(text), base + self.get_component_rich_style(f"lines--{role}", partial=True))
            for text, role in self.line_at(index)
        ]
        left = self.scroll_offset.x
        return Strip(segments).crop(left, left + width).adjust_cell_length(width, base)


def _width(line: Line) -> int:
    text = plain(line)
    return len(text) if text.isascii() else cell_len(text)


def _safe(text: str) -> str:
    return text if text.isascii() and text.isprintable() else printable(text.replace("\n", " ").replace("\t", " "))


def wrapped(line: Line, width: int) -> Iterable[Line]:
    """The line in parts no wider than that, broken at spaces where there are any; later parts are indented alike."""
    text = plain(line)
    if _width(line) <= width:
        yield line
        return
    indent = min(len(text) - len(text.lstrip()) + 2, width // 2)
    pieces = [Piece(*piece) for piece in line]
    room, part, used = width, list[Piece](), 0
    while pieces:
        piece = pieces.pop(0)
        size = cell_len(piece.text)
        if used + size <= room:
            part.append(piece)
            used += size
            continue
        cut = _cut(piece.text, room - used)
        space = piece.text.rfind(" ", 0, cut + 1)
        if space > 0 or (space == 0 and part):
            head, tail = piece.text[:space], piece.text[space + 1 :]
        elif used > indent and (cut == 0 or size <= width - indent):
            head, tail = "", piece.text.lstrip()
        else:
            cut = max(1, cut)
            head, tail = piece.text[:cut], piece.text[cut:]
        if head:
            part.append(Piece(head, piece.role))
        yield part
        part, used = [Piece(" " * indent)], indent
        if tail:
            pieces.insert(0, Piece(tail, piece.role))
    if len(part) > 1 or used > indent:
        yield part


def _cut(text: str, room: int) -> int:
    """How many characters of the text fit into that many columns."""
    if text.isascii():
        return max(0, room)
    used = 0
    for index, char in enumerate(text):
        used += cell_len(char)
        if used > room:
            return index
    return len(text)


def style_of(widget: Lines, role: str) -> Style:
    """The style that a role has in this widget now."""
    return widget.get_component_rich_style(f"lines--{role}", partial=True)
