"""The clusters of the mesh as a table with a cursor and marks.

Only what is visible is rendered, so that fifty clusters cost what five do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from textual.binding import Binding, BindingType
from textual.message import Message

from screens.candidates import ContextId
from screens.cursor import CursorLines
from screens.lines import Line, Piece
from screens.settling import Row
from wizard.mesh.fields import Value
from wizard.mesh.rules import value_at
from wizard.messages import msg
from wizard.messages.catalogue import rendered
from wizard.messages.cells import padded
from wizard.text import one_line

MARK = 4  # columns before the first


class Column(NamedTuple):
    """`width` 0: what is left."""

    title: str
    width: int
    cell: Callable[[Row], str]


class ClusterTable(CursorLines):
    """Rows with a cursor. Space marks rows, `/` shows only some."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", msg("Mark")),
        Binding("a", "mark_all", msg("Mark all"), tooltip=msg("Mark all rows that are shown, or none")),
        Binding("slash", "filter", msg("Filter"), key_display="/"),
        Binding("enter", "edit", msg("Edit"), show=False),
        Binding("escape", "clear", msg("Unmark"), show=False),
    ]

    class Aimed(Message):
        """Other clusters are meant now."""

    class Edit(Message):
        """The questions are to have the focus."""

    class Find(Message):
        """The filter is to have the focus."""

    def __init__(self, columns: Sequence[Column], *, share: float, ascii_only: bool = False) -> None:
        """`share`: of the screen's height, at most."""
        super().__init__(id="clusters")
        self._share = share
        self._columns = columns
        self._ascii = ascii_only
        self._rows: Mapping[ContextId, Row] = {}
        self._visible: list[ContextId] = []
        self._wrong: frozenset[ContextId] = frozenset()
        self._only = ""
        self.marked: set[ContextId] = set()

    # -- content

    def show_rows(self, rows: Mapping[ContextId, Row], wrong: Iterable[ContextId]) -> None:
        """Show these clusters; those with mistakes are told apart."""
        self._rows, self._wrong = rows, frozenset(wrong)
        self._lay_rows()

    def show_only(self, text: str) -> None:
        """Only clusters whose name, network, role, primary or context has this in it; empty: all."""
        self._only = text.lower()
        before = self.here
        self._lay_rows()
        if self.here != before:
            self.post_message(self.Aimed())

    def _lay_rows(self) -> None:
        before = self.here
        visible = [chosen for chosen, row in self._rows.items() if _has(self._only, chosen, row)]
        if visible != self._visible:
            self._visible = visible
            self.cursor = visible.index(before) if before in visible else 0
            self._measure()
            self.fit()
            self.call_after_refresh(self.reveal)
        self.refresh()

    def fit(self) -> None:
        """As high as its rows, up to a share of the screen."""
        self.styles.height = max(1, min(len(self._visible), int(self.screen.size.height * self._share)))

    def count(self) -> int:
        """Rows to scroll through."""
        return len(self._visible)

    # -- what is meant

    @property
    def here(self) -> ContextId | None:
        """The cluster under the cursor."""
        return self._visible[self.cursor] if self.cursor < len(self._visible) else None

    @property
    def aimed(self) -> list[ContextId]:
        """The marked clusters, or else the one under the cursor."""
        marked = [chosen for chosen in self._rows if chosen in self.marked]
        return marked or ([self.here] if self.here else [])

    @property
    def hidden(self) -> int:
        """How many marked clusters the filter hides."""
        return len(self.marked - set(self._visible))

    def point_at(self, chosen: ContextId) -> bool:
        """Put the cursor on that cluster and nothing else; whether it is shown."""
        if chosen not in self._visible:
            return False
        self.marked.clear()
        self.cursor = self._visible.index(chosen)
        self.reveal()
        self.post_message(self.Aimed())
        return True

    def action_move(self, by: int) -> None:
        """Move the cursor; without marks, another cluster is meant then."""
        before = self.cursor
        super().action_move(by)
        if self.cursor != before and not self.marked:
            self.post_message(self.Aimed())

    def action_mark(self) -> None:
        """Mark the cluster under the cursor, or no longer, and go on to the next."""
        if self.here is None:
            return
        self.marked ^= {self.here}
        self.cursor = min(len(self._visible) - 1, self.cursor + 1)
        self.reveal()
        self.post_message(self.Aimed())

    def action_mark_all(self) -> None:
        """Mark all that are shown, or none."""
        visible = set(self._visible)
        self.marked = self.marked - visible if visible <= self.marked else self.marked | visible
        self.refresh()
        self.post_message(self.Aimed())

    def action_filter(self) -> None:
        """Ask what to show."""
        self.post_message(self.Find())

    def action_edit(self) -> None:
        """Go to the questions."""
        self.post_message(self.Edit())

    def action_clear(self) -> None:
        """Unmark, and show all."""
        self.marked.clear()
        self.refresh()
        self.post_message(self.Aimed())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape goes back, unless it has something to clear here."""
        return bool(self.marked) if action == "clear" else True

    def on_click(self, event: object) -> None:
        """The mouse puts the cursor there."""
        row = getattr(event, "y", 0) + self.scroll_offset.y
        if 0 <= row < len(self._visible):
            self.action_move(row - self.cursor)

    # -- painting

    def heads(self) -> str:
        """The titles of the columns, in their places."""
        widths = _widths(self._columns, (self.size.width or 78) - 1 - MARK)
        return " " * MARK + "".join(
            f"{set_cell_size(rendered(column.title), width - 1)} "
            for column, width in zip(self._columns, widths, strict=True)
        )

    def line_at(self, index: int) -> Line:
        """One cluster."""
        if index >= len(self._visible):
            return ()
        chosen = self._visible[index]
        row = self._rows[chosen]
        wrong = chosen in self._wrong
        mark = ("x" if self._ascii else "✓") if chosen in self.marked else " "
        pieces = [Piece(f"[{mark}]", "key" if chosen in self.marked else "muted")]
        pieces.append(Piece(("x" if self._ascii else "✗") if wrong else " ", "broken"))
        role = "broken" if wrong else "name"
        for column, width in zip(
            self._columns, _widths(self._columns, (self.size.width or 78) - 1 - MARK), strict=True
        ):
            pieces.append(Piece(_fit(one_line(rendered(column.cell(row)), 120), width), role))
            role = "label"
        return pieces


def _widths(columns: Sequence[Column], room: int) -> list[int]:
    free = max(8, room - sum(column.width for column in columns))
    return [column.width or free for column in columns]


def _has(text: str, chosen: ContextId, row: Row) -> bool:
    """Whether this cluster is shown where only those with that text are."""
    if not text:
        return True
    told = (str(row.entry.get(key, "")) for key in ("name", "network", "primary"))
    return any(text in each.lower() for each in (chosen[1], rendered(role_of(row)), *told))


def said(key: str) -> Callable[[Row], str]:
    """A column's cell: the answer to that question."""

    def cell(row: Row) -> str:
        value: Value = value_at(row.entry, key)
        return "" if value is None else str(value)

    return cell


def role_of(row: Row) -> str:
    """A column's cell: what the cluster is in the mesh."""
    if row.entry.get("role") != "remote":
        return msg("primary")
    return msg("remote of {primary}", primary=row.entry.get("primary") or "?")


def _fit(text: str, width: int) -> str:
    while cell_len(text) > width - 1:
        text = text[:-2] + "…"
    return padded(text, width)
