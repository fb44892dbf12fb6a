"""The clusters of the mesh as a table with the questions about them below: of the one under the cursor, or of all marked ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from screens.clustertable import ClusterTable, Column
from screens.draft import Draft
from screens.editor import Editor
from screens.fields import Control
from screens.filtering import Filter


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
        """`columns`: of the table. `keys`: of the fields that the editor asks, with other `titles` than their own. `share`: of
        the width, for the editor. `ascii_only`: the terminal lacks box characters.
        """
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
