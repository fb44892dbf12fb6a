"""The clusters of the mesh as a table with the questions about them below: of the one under the cursor, or of all marked ones.

Only what is visible is rendered, so that fifty clusters cost what five do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Static

from screens.candidates import ContextId
from screens.draft import Draft
from screens.fields import Control, FieldInput, FieldRow, FieldSelect, control_for
from screens.filtering import Filter
from screens.lines import Line, Lines, Piece
from screens.settling import Row
from wizard.mesh.fields import Value, cluster_field
from wizard.mesh.rules import value_at
from wizard.text import one_line

BULK = ("network", "role", "primary", "gateway.exposure", "gateway.port")  # asked of many at once
MARK = 4  # columns before the first
DIFFER = "(they differ)"


class Column(NamedTuple):
    """`width` 0: what is left."""

    title: str
    width: int
    cell: Callable[[Row], str]


class ClusterTable(Lines):
    """Rows with a cursor. Space marks rows, `/` shows only some."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("space", "mark", "Mark"),
        Binding("a", "mark_all", "Mark all", tooltip="Mark all rows that are shown, or none"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("enter", "edit", "Edit", show=False),
        Binding("escape", "clear", "Unmark", show=False),
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
        self.cursor = 0

    # -- content

    def show_rows(self, rows: Mapping[ContextId, Row], wrong: Iterable[ContextId]) -> None:
        """Show these clusters; those with mistakes are told apart."""
        self._rows, self._wrong = rows, frozenset(wrong)
        self._lay_rows()

    def show_only(self, text: str) -> None:
        """Only clusters whose name, network, primary or context has this in it; empty: all."""
        self._only = text.lower()
        before = self.here
        self._lay_rows()
        if self.here != before:
            self.post_message(self.Aimed())

    def _lay_rows(self) -> None:
        before = self.here
        visible = [chosen for chosen, row in self._rows.items() if self._matches(chosen, row)]
        if visible != self._visible:
            self._visible = visible
            self.cursor = visible.index(before) if before in visible else 0
            self._measure()
            self.fit()
            self.call_after_refresh(self._reveal)
        self.refresh()

    def fit(self) -> None:
        """As high as its rows, up to a share of the screen."""
        self.styles.height = max(1, min(len(self._visible), int(self.screen.size.height * self._share)))

    def _matches(self, chosen: ContextId, row: Row) -> bool:
        texts = (chosen[1], *(str(row.entry.get(key, "")) for key in ("name", "network", "primary", "role")))
        return not self._only or any(self._only in text.lower() for text in texts)

    def count(self) -> int:
        """Rows to scroll through."""
        return len(self._visible)

    # -- what is meant

    @property
    def here(self) -> ContextId | None:
        """The cluster under the cursor."""
        return self._visible[self.cursor] if self.cursor is not None and self.cursor < len(self._visible) else None

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
        self._reveal()
        self.post_message(self.Aimed())
        return True

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        before, self.cursor = self.cursor, max(0, min(len(self._visible) - 1, (self.cursor or 0) + by))
        self._reveal()
        if self.cursor != before and not self.marked:
            self.post_message(self.Aimed())

    def _reveal(self) -> None:
        self.scroll_to_region(Region(0, self.cursor or 0, 1, 1), animate=False, force=True)
        self.refresh()

    def action_mark(self) -> None:
        """Mark the cluster under the cursor, or no longer, and go on to the next."""
        if self.here is None:
            return
        self.marked ^= {self.here}
        self.cursor = min(len(self._visible) - 1, (self.cursor or 0) + 1)
        self._reveal()
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
            self.action_move(row - (self.cursor or 0))

    # -- painting

    def heads(self) -> str:
        """The titles of the columns, in their places."""
        widths = self._widths()
        return " " * MARK + "".join(
            f"{column.title[: width - 1]:<{width}}" for column, width in zip(self._columns, widths, strict=True)
        )

    def _widths(self) -> list[int]:
        room = (self.size.width or 78) - 1 - MARK
        free = max(8, room - sum(column.width for column in self._columns))
        return [column.width or free for column in self._columns]

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
        for column, width in zip(self._columns, self._widths(), strict=True):
            pieces.append(Piece(_fit(one_line(column.cell(row), 120), width), role))
            role = "label"
        return pieces


class Editor(VerticalScroll):
    """The questions about the clusters that are meant. What is answered here is answered for all of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "other(-1)", "Previous cluster", show=False),
        Binding("pagedown", "other(1)", "Next cluster", show=False),
    ]

    class Other(Message):
        """The next or the previous cluster is wanted."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, keys: Sequence[str], titles: Mapping[str, str] | None = None) -> None:
        """`titles`: shorter ones than the fields' own, by key."""
        super().__init__(id="editor", can_focus=False)
        self._keys = keys
        self._titles = titles or {}
        self._rows: dict[str, FieldRow] = {}
        self.targets: list[ContextId] = []

    def compose(self) -> ComposeResult:
        """Whom it is about, and a row for each question; those that make no sense are hidden."""
        yield Static("", id="about", markup=False)
        for key in self._keys:
            field = cluster_field(key)
            control: Control = (
                FieldSelect(field, "", None)
                if key == "primary" or field.kind == "choice"
                else control_for(field, "", None)
            )
            self._rows[key] = FieldRow(self._titles.get(key, field.title), [control], classes="about-cluster")
            yield self._rows[key]
            if key == "gateway.exposure":
                yield Static("", id="reason", classes="note", markup=False)

    def aim(self, draft: Draft, targets: Sequence[ContextId], mistakes: Mapping[str, str], hidden: int = 0) -> None:
        """Ask about these clusters, with the answers they have now. `hidden`: how many of them the filter hides."""
        self.targets = list(targets)
        many = len(targets) > 1
        for key, row in self._rows.items():
            row.display = bool(targets) and (not many or key in BULK) and any(draft.asks(one, key) for one in targets)
            if row.display:
                self._fill(draft, key, row, mistakes)
        self._tell(draft, hidden)

    def _fill(self, draft: Draft, key: str, row: FieldRow, mistakes: Mapping[str, str]) -> None:
        control = row.controls[0]
        values = {one: draft.cluster_value(one, key) for one in self.targets}
        differ = len(set(map(str, values.values()))) > 1
        paths = [draft.path_of(one, key) for one in self.targets]
        control.path = next((path for path in paths if path in mistakes), paths[0])
        control.targets = tuple(self.targets)
        value = None if differ else next(iter(values.values()))
        if isinstance(control, FieldSelect):
            if key == "primary":
                control.offer(_primaries(draft, self.targets))
            control.fill(value, DIFFER if differ else "")
        else:
            control.fill(value, DIFFER if differ else "")
        row.show(dict(mistakes))

    def _tell(self, draft: Draft, hidden: int) -> None:
        place = self.query_one("#about", Static)
        if not self.targets:
            place.update(Content("No cluster is shown. Esc in the filter shows all."))
        elif len(self.targets) == 1:
            name = one_line(draft.cluster_value(self.targets[0], "name") or "?", 40)
            place.update(Content.assemble((name, "bold"), (f"  {one_line(self.targets[0][1], 60)}", "dim")))
        else:
            also = f" ({hidden} of them not shown)" if hidden else ""
            said = f"{len(self.targets)} clusters are marked{also}: an answer here is for all"
            place.update(Content.assemble((said, "bold")))
        for reason in self.query("#reason").results(Static):
            row = draft.rows[self.targets[0]] if len(self.targets) == 1 else None
            shown = bool(row and row.reason and self._rows["gateway.exposure"].display)
            reason.display = shown
            if row and shown:
                proposed = row.proposed.get("gateway.exposure")
                reason.update(Content(one_line(f"proposed: {proposed}, because {row.reason}", 300)))

    def first(self) -> Control | None:
        """The first question that is asked now."""
        return next((row.controls[0] for row in self._rows.values() if row.display), None)

    def control(self, key: str) -> Control:
        """The control of that question."""
        return self._rows[key].controls[0]

    def action_other(self, by: int) -> None:
        """Go to the next or the previous cluster, keeping the question."""
        self.post_message(self.Other(by))


class Clusters(Vertical):
    """Filter, table and questions together."""

    def __init__(
        self,
        draft: Draft,
        columns: Sequence[Column],
        keys: Sequence[str],
        *,
        titles: Mapping[str, str] | None = None,
        share: float = 0.3,
        ascii_only: bool = False,
    ) -> None:
        super().__init__(id="all-clusters")
        self._draft = draft
        self.table = ClusterTable(columns, share=share, ascii_only=ascii_only)
        self.editor = Editor(keys, titles)
        self._mistakes: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Filter()
        yield Static("", id="heads", classes="note columns", markup=False)
        yield self.table
        yield self.editor

    def show(self, mistakes: Mapping[str, str]) -> None:
        """Everything as the draft has it now, with these mistakes (path → sentence)."""
        self._mistakes = dict(mistakes)
        chosen = self._draft.chosen
        wrong = {
            chosen[int(path[9 : path.index("]")])] for path in mistakes if path.startswith("clusters[") and "]" in path
        }
        self.table.show_rows(self._draft.rows, wrong)
        self._aim()

    def _aim(self) -> None:
        self.editor.aim(self._draft, self.table.aimed, self._mistakes, self.table.hidden)

    def on_resize(self) -> None:
        """The titles stand over their columns."""
        self.table.fit()
        self.call_after_refresh(self._show_heads)

    def _show_heads(self) -> None:
        self.query_one("#heads", Static).update(Content(self.table.heads()))

    def go_to(self, path: str) -> Control | None:
        """Show the question with that path; None where it is none of these."""
        index, _, key = path.removeprefix("clusters[").partition("].")
        if not index.isdigit() or int(index) >= len(self._draft.chosen):
            return None
        chosen = self._draft.chosen[int(index)]
        if not self.table.point_at(chosen):
            self.query_one(Filter).clear()
            self.table.show_only("")
            self.table.point_at(chosen)
        self._aim()
        try:
            return self.editor.control(key)
        except KeyError:
            return None

    @on(ClusterTable.Aimed)
    def _aimed(self, event: ClusterTable.Aimed) -> None:
        event.stop()
        self._aim()

    @on(ClusterTable.Edit)
    def _edit(self, event: ClusterTable.Edit) -> None:
        event.stop()
        first = self.editor.first()
        if first is not None:
            first.focus()

    @on(ClusterTable.Find)
    def _find(self, event: ClusterTable.Find) -> None:
        event.stop()
        self.query_one(Filter).open()

    @on(Filter.Typed)
    def _filter(self, event: Filter.Typed) -> None:
        self.table.show_only(event.text)  # not stopped: the screen's drawing shows the same rows

    @on(Filter.Left)
    def _filtered(self, event: Filter.Left) -> None:
        event.stop()
        self.table.focus()

    @on(Editor.Other)
    def _other(self, event: Editor.Other) -> None:
        event.stop()
        self.table.action_move(event.by)


def _primaries(draft: Draft, targets: Sequence[ContextId]) -> list[tuple[str, str]]:
    """What can be chosen as the primary of these: (title, name)."""
    found = []
    for chosen, row in draft.rows.items():
        if value_at(row.entry, "role") != "remote" and chosen not in targets:
            name = str(row.entry.get("name") or "")
            found.append((f"{name} ({row.entry.get('network') or 'no network'})", name))
    return found


def said(key: str) -> Callable[[Row], str]:
    """A column's cell: the answer to that question."""

    def cell(row: Row) -> str:
        value: Value = value_at(row.entry, key)
        return "" if value is None else str(value)

    return cell


def role_of(row: Row) -> str:
    """A column's cell: what the cluster is in the mesh."""
    if row.entry.get("role") != "remote":
        return "primary"
    return f"remote of {row.entry.get('primary') or '?'}"


def _fit(text: str, width: int) -> str:
    while cell_len(text) > width - 1:
        text = text[:-2] + "…"
    return text + " " * (width - cell_len(text))


__all__ = ["Clusters", "Column", "FieldInput", "role_of", "said"]
