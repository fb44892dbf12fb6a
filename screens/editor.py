"""The questions about the clusters that are meant: one of them, or several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from screens.candidates import ContextId
from screens.draft import Draft
from screens.fields import Control, FieldRow, FieldSelect, control_for
from wizard.mesh.fields import cluster_field
from wizard.mesh.rules import value_at
from wizard.messages import counted, msg
from wizard.messages.catalogue import rendered, tr
from wizard.text import one_line

BULK = ("network", "role", "primary", "gateway.exposure", "gateway.port")  # asked of many at once
DIFFER = msg("(they differ)")


class Editor(VerticalScroll):
    """The questions about the clusters that are meant. What is answered here is answered for all of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "other(-1)", msg("Previous cluster"), show=False),
        Binding("pagedown", "other(1)", msg("Next cluster"), show=False),
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
            place.update(Content(tr("No cluster is shown. Esc in the filter shows all.")))
        elif len(self.targets) == 1:
            name = one_line(draft.cluster_value(self.targets[0], "name") or "?", 40)
            place.update(Content.assemble((name, "bold"), (f"  {one_line(self.targets[0][1], 60)}", "dim")))
        else:
            place.update(Content.assemble((rendered(_marked(len(self.targets), hidden)), "bold")))
        for reason in self.query("#reason").results(Static):
            row = draft.rows[self.targets[0]] if len(self.targets) == 1 else None
            shown = bool(row and row.reason and self._rows["gateway.exposure"].display)
            reason.display = shown
            if row and shown:
                told = msg(
                    "proposed: {exposure}, because {reason}",
                    exposure=str(row.proposed.get("gateway.exposure")),
                    reason=row.reason,
                )
                reason.update(Content(rendered(one_line(told, 300))))

    def first(self) -> Control | None:
        """The first question that is asked now."""
        return next((row.controls[0] for row in self._rows.values() if row.display), None)

    def control(self, key: str) -> Control:
        """The control of that question."""
        return self._rows[key].controls[0]

    def action_other(self, by: int) -> None:
        """Go to the next or the previous cluster, keeping the question."""
        self.post_message(self.Other(by))


def _marked(count: int, hidden: int) -> str:
    """How many clusters the questions are about. `hidden`: how many of them are not shown."""
    if hidden:
        return counted(
            "{count} clusters are marked ({hidden} of them not shown): an answer here is for all",
            "{count} clusters are marked ({hidden} of them not shown): an answer here is for all",
            count,
            hidden=hidden,
        )
    return counted(
        "{count} clusters are marked: an answer here is for all",
        "{count} clusters are marked: an answer here is for all",
        count,
    )


def _primaries(draft: Draft, targets: Sequence[ContextId]) -> list[tuple[str, str]]:
    """What can be chosen as the primary of these: (title, name)."""
    found: list[tuple[str, str]] = []
    for chosen, row in draft.rows.items():
        if value_at(row.entry, "role") != "remote" and chosen not in targets:
            name = str(row.entry.get("name") or "")
            network = str(row.entry.get("network") or "") or msg("no network")
            found.append((msg("{cluster} ({network})", cluster=name, network=network), name))
    return found
