"""Contexts: which clusters. Each is looked at live, in the background, while the person chooses."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from screens.base import Refusal, WizardScreen
from screens.candidates import Candidate, ContextId, unfit
from screens.contextrows import COLUMNS, CONTEXT, cells_of, detail_of, key_of
from screens.filtering import Filter
from screens.lines import Lines
from wizard.clusters.contexts import ENVIRONMENT
from wizard.messages import counted, joined, msg
from wizard.messages.catalogue import tr
from wizard.paths import expanded, is_file
from wizard.text import listing, one_line

if TYPE_CHECKING:
    from textual.timer import Timer

    from wizard.errors import Trouble
    from wizard.outside import ContextEntry, ContextFacts

_CURRENT = " *"


class ContextsScreen(WizardScreen):
    """The contexts that there are, and what is known of the one under the cursor."""

    STAGE = "contexts"
    HEADING = msg("Which clusters?")
    HINT = msg("Space chooses. Every context is asked in the background; nothing is changed there.")
    ABOUT = msg(
        "Choose the clusters of the mesh, at least two. The first one chosen becomes cluster 1, the next cluster 2."
    )
    CSS_PATH = "contexts.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", msg("Choose")),
        Binding(
            "a", "choose_all", msg("All"), tooltip=msg("Choose all contexts that are shown and answer, or none of them")
        ),
        Binding("slash", "filter", msg("Filter"), key_display="/"),
        Binding("r", "retry", msg("Ask again")),
        Binding("p", "plugins", msg("Run their commands"), show=False),
        Binding("k", "kubeconfig", msg("Add file"), tooltip=msg("Add another kubeconfig file")),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        self._listed = False
        self._only = ""
        self._labels: dict[ContextId, str] = {}  # what tells each context from the others in its column
        self._tried: set[Path] = set()  # kubeconfigs that were looked into for missing contexts

    def body(self) -> ComposeResult:
        """The table, and what is known of the highlighted row."""
        table: DataTable[str] = DataTable(cursor_type="row", cell_padding=0, id="contexts")
        yield Filter()
        yield table
        yield Lines(id="detail", wrap=True)

    def first_focus(self) -> DataTable[str]:
        """The table."""
        return self._table()

    def _table(self) -> DataTable[str]:
        return self.query_one("#contexts", DataTable)

    def arrived(self) -> None:
        """Show what is known already, and ask for the rest."""
        from rich.text import Text

        for column in COLUMNS:
            width = column.width or self._context_width()
            self._table().add_column(Text(column.head), width=width, key=column.title)
        if self.wizard.draft.candidates:
            self._offer([])
        else:
            self.say(msg("Reading kubeconfigs …"))
            self.wizard.background(self.wizard.outside.contexts, self._offer, self._no_contexts)
        self._timer = self.set_interval(0.5, self._tick)

    def _context_width(self) -> int:
        return max(18, self.size.width - 3 - sum(column.width for column in COLUMNS))

    def on_resize(self) -> None:
        """The context column takes what is left."""
        super().on_resize()
        column = next((column for column in self._table().columns.values() if column.key.value == CONTEXT), None)
        if column:
            column.width = self._context_width()
            self._tell_apart()
            for candidate in self.wizard.draft.candidates.values():
                self._update(candidate)
            # The table works out its own width only with its rows or columns; till then it would scroll as far as before.
            whole = sum(each.get_render_width(self._table()) for each in self._table().columns.values())
            self._table().virtual_size = self._table().virtual_size.with_width(whole)
            self._table().refresh()

    def _tell_apart(self) -> None:
        """Find for each context a name that fits into its column and that no other has."""
        from screens.apart import told_apart

        candidates = list(self.wizard.draft.candidates.values())
        twice = Counter(candidate.entry.context for candidate in candidates)
        names = [
            one.entry.context
            if twice[one.entry.context] == 1
            else tr(
                "{context} in {kubeconfig}",
                context=one.entry.context,
                kubeconfig=one.entry.kubeconfig.name if one.entry.kubeconfig else ENVIRONMENT,
            )
            for one in candidates
        ]
        room = self._context_width() - cell_len(_CURRENT)
        told = told_apart([one_line(name, 1000) for name in names], room)
        self._labels = dict(zip((candidate.id for candidate in candidates), told, strict=True))

    # -- what there is

    def _no_contexts(self, trouble: object) -> None:
        self._listed = True
        what, remedy = getattr(trouble, "what", ""), getattr(trouble, "remedy", "")
        mistakes = getattr(trouble, "mistakes", ())[:3]
        if mistakes:
            wrong = joined((one_line(mistake.told) for mistake in mistakes), "; ")
            what = msg("{problem}: {mistakes}.", problem=what, mistakes=wrong)
        self.say(joined((what, remedy, msg("Press K to give a kubeconfig.")), " "), wrong=True)

    def _offer(self, entries: list[ContextEntry]) -> None:
        draft = self.wizard.draft
        draft.offer(entries)
        self._listed = True
        if not self.stands:
            return
        self._tell_apart()
        for candidate in draft.candidates.values():
            if key_of(candidate.id) not in self._table().rows and self._matches(candidate):
                self._table().add_row(*self._cells(candidate), key=key_of(candidate.id))
            if candidate.facts is None and candidate.looked_since is None and candidate.entry.plugin is None:
                self._look(candidate)
        self.say("" if draft.candidates else msg("No contexts were found. Press K to give a kubeconfig."))
        if held_back := self._held_back():
            self.say(
                counted(
                    "{count} run a command for credentials: asked once chosen. P asks them all.",
                    "{count} run a command for credentials: asked once chosen. P asks them all.",
                    len(held_back),
                )
            )
        self._find_missing()
        self._show_detail()

    def _find_missing(self) -> None:
        """A mesh that is taken up again may have contexts in other files."""
        missing = self.wizard.draft.missing
        files = {expanded(kubeconfig) for kubeconfig, _ in missing if kubeconfig} - self._tried
        self._tried |= files
        if files:
            found = self.wizard.outside.contexts
            self.wizard.background(lambda: found(sorted(files)), self._offer, lambda _: self._tell_missing())
        elif missing:
            self._tell_missing()

    def _tell_missing(self) -> None:
        names = listing(one_line(context, 60) for _, context in self.wizard.draft.missing[:3])
        if names and self.stands:
            told = msg(
                "In no kubeconfig here: {contexts}. Without it, its cluster leaves the mesh; K adds a file.",
                contexts=names,
            )
            self.say(told, wrong=True)

    def _look(self, candidate: Candidate) -> None:
        self.wizard.draft.looked(candidate, None, time.monotonic())
        outside, entry = self.wizard.outside, candidate.entry

        def ask() -> ContextFacts:
            if entry.plugin is not None:
                outside.agree([entry])
            return outside.facts(entry)

        def failed(trouble: Trouble) -> None:
            from wizard.outside import ContextFacts

            self._found(candidate, ContextFacts(False, problem=joined((trouble.what, trouble.remedy), " ")))

        self.wizard.background(ask, lambda facts: self._found(candidate, facts), failed)

    def _found(self, candidate: Candidate, facts: ContextFacts) -> None:
        self.wizard.draft.looked(candidate, facts)
        if self.stands:
            self._update(candidate)
            self._show_detail()

    def _tick(self) -> None:
        waiting = [candidate for candidate in self.wizard.draft.candidates.values() if candidate.looked_since]
        for candidate in waiting:
            self._update(candidate)
        if waiting:
            self._show_detail()

    # -- showing

    def _update(self, candidate: Candidate) -> None:
        key, table = key_of(candidate.id), self._table()
        if key not in table.rows:
            return
        for column, value in zip(COLUMNS, self._cells(candidate), strict=True):
            before = table.get_cell(key, column.title)
            # One choice may number all rows anew; the others' cells stay as they are.
            if str(before) != str(value) or getattr(before, "style", "") != getattr(value, "style", ""):
                table.update_cell(key, column.title, value)

    def _cells(self, candidate: Candidate) -> list[str]:
        chosen = self.wizard.draft.chosen
        number = chosen.index(candidate.id) + 1 if candidate.id in chosen else None
        name = self._labels[candidate.id] + (_CURRENT if candidate.entry.current else "")
        return cells_of(candidate, name, number, ascii_only=self.wizard.ascii)

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        self._show_detail()

    @property
    def highlighted(self) -> Candidate | None:
        """What the cursor is on."""
        table = self._table()
        if not table.row_count:
            return None
        row = min(table.cursor_row, table.row_count - 1)
        key = table.ordered_rows[row].key.value
        return next((one for one in self.wizard.draft.candidates.values() if key_of(one.id) == key), None)

    def _show_detail(self) -> None:
        candidate = self.highlighted
        detail = self.query_one("#detail", Lines)
        detail.show(detail_of(candidate) if candidate else [])

    # -- filtering

    def _matches(self, candidate: Candidate) -> bool:
        entry = candidate.entry
        return any(self._only in text.lower() for text in (entry.context, entry.server, str(entry.kubeconfig or "")))

    def action_filter(self) -> None:
        """Ask what to show."""
        self.query_one(Filter).open()

    @on(Filter.Typed)
    def _filter(self, event: Filter.Typed) -> None:
        event.stop()
        self._only = event.text.lower()
        table = self._table()
        table.clear()
        for candidate in self.wizard.draft.candidates.values():
            if self._matches(candidate):
                table.add_row(*self._cells(candidate), key=key_of(candidate.id))
        self._show_detail()

    @on(Filter.Left)
    def _filtered(self, event: Filter.Left) -> None:
        event.stop()
        self._table().focus()

    # -- doing

    def action_choose(self) -> None:
        """Choose the highlighted context, or no longer."""
        candidate = self.highlighted
        if candidate is None:
            return
        refused = self.wizard.draft.toggle(candidate.id)
        if refused:
            self.say(refused, wrong=True)
            return
        if candidate.held_back and candidate.id in self.wizard.draft.chosen:
            self._look(candidate)
            self._show_detail()
        for one in self.wizard.draft.candidates.values():
            self._update(one)
        self._tell_count()

    def action_choose_all(self) -> None:
        """Choose every context that is shown and answers, or none of them where all are chosen."""
        draft = self.wizard.draft
        fit = [one for one in draft.candidates.values() if self._matches(one) and one.facts and one.facts.reachable]
        if not fit:
            waiting, none = msg("None of these has answered yet."), msg("There is nothing to choose.")
            self.say(waiting if draft.candidates else none)
            return
        open_ones = [one for one in fit if one.id not in draft.chosen]
        refused = [said for one in open_ones or fit if (said := draft.toggle(one.id))]
        for one in draft.candidates.values():
            self._update(one)
        self._tell_count()
        if refused:
            self.say(refused[0], wrong=True)

    def _tell_count(self) -> None:
        count = len(self.wizard.draft.chosen)
        if count > 1:
            self.say(counted("{count} chosen: Ctrl+N goes on.", "{count} chosen: Ctrl+N goes on.", count))
        else:
            self.say(msg("1 chosen; choose one more.") if count else msg("0 chosen."))

    @on(DataTable.RowSelected)
    def _row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_choose()

    def action_retry(self) -> None:
        """Ask the highlighted cluster again."""
        candidate = self.highlighted
        if candidate and candidate.looked_since is None:
            self._look(candidate)
            self._update(candidate)
            self._show_detail()

    def _held_back(self) -> list[Candidate]:
        return [one for one in self.wizard.draft.candidates.values() if one.held_back and self._matches(one)]

    def action_plugins(self) -> None:
        """Ask all contexts that are shown and run a command for credentials, once the person saw the commands."""
        from screens.dialogs import Confirm

        waiting = self._held_back()
        if not waiting:
            self.say(msg("No context that is shown waits for a consent."))
            return

        def answered(yes: bool | None) -> None:
            for candidate in waiting if yes else ():
                if candidate.held_back:
                    self._look(candidate)
                    self._update(candidate)
            self._show_detail()

        commands = dict.fromkeys(
            tr("• {command}, of {kubeconfig}", command=str(one.entry.plugin), kubeconfig=one_line(one.entry.kubeconfig))
            for one in waiting
        )
        told = counted(
            "{count} contexts run a command for credentials. It is remembered that you agreed.",
            "{count} contexts run a command for credentials. It is remembered that you agreed.",
            len(waiting),
        )
        text = joined((told, "\n".join(commands)), "\n\n")
        self.app.push_screen(Confirm(msg("Run these commands?"), text, msg("Run them")), answered)

    def action_kubeconfig(self) -> None:
        """Add the contexts of one more file."""
        from screens.dialogs import Ask

        def check(typed: str) -> str | None:
            path = expanded(typed)
            if self.wizard.outside.simulated or is_file(path):
                return None
            return msg("{path} is not a file", path=one_line(path))

        def given(typed: str | None) -> None:
            if typed:
                path = expanded(typed).absolute()
                self.wizard.background(lambda: self.wizard.outside.contexts([path]), self._offer)

        ask = Ask(msg("Add a kubeconfig"), msg("Path of a kubeconfig file; it is only read."), "", check)
        self.app.push_screen(ask, given)

    # -- going on

    def ready(self) -> bool:
        """Once every context has answered or failed to."""
        candidates = self.wizard.draft.candidates.values()
        return self._listed and bool(candidates) and all(one.facts or one.held_back for one in candidates)

    def refuse(self) -> Refusal | None:
        """At least two different clusters that answer."""
        draft = self.wizard.draft
        wrong = unfit(draft.candidates, draft.chosen)
        if wrong is None:
            return None
        sentence, blamed = wrong
        if blamed is not None and key_of(blamed) in self._table().rows:
            self._table().move_cursor(row=self._table().get_row_index(key_of(blamed)))
        return sentence, self._table()
