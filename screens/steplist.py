"""The steps of a run, grouped by lane. Lines are made when they are painted, so three thousand steps cost what twenty do."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.message import Message

from screens.cursor import CursorLines
from screens.lines import Line, Piece
from screens.run import ACTIVE, BROKEN, PASSED, WORDS, RunView, StepView
from wizard.checks.finding import Finding
from wizard.engine.events import Status
from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr, trn
from wizard.messages.cells import padded, widest
from wizard.text import duration, one_line, printable

ROLES = {
    Status.WAITING: "waiting", Status.PROBING: "working", Status.RUNNING: "working", Status.DONE: "ok",
    Status.SKIPPED: "skipped", Status.FAILED: "broken", Status.CONFLICT: "broken", Status.BLOCKED: "waiting",
    Status.UNDOING: "working", Status.UNDONE: "ok",
}  # fmt: skip
SIGNS = dict(zip(ROLES, "○●●✓~✗✗◌●✓", strict=True))
PLAIN_SIGNS = dict(zip(ROLES, ".**+~xx-*+", strict=True))
FOLDED_FROM = 7  # lanes; with so many, only those that need looking at are unfolded


class StepList(CursorLines):
    """Lanes and their steps, with a cursor. Space folds a lane, Enter explains a step."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "fold", show=False),
        Binding("enter", "open", show=False),
    ]
    MARGIN = 1

    class Explain(Message):
        """All there is to say of a step is wanted."""

        def __init__(self, step: StepView) -> None:
            super().__init__()
            self.step = step

    def __init__(self, view: RunView, *, id: str | None = None, ascii_only: bool = False) -> None:
        super().__init__(id=id)
        self.view = view
        self._signs = PLAIN_SIGNS if ascii_only else SIGNS
        self._wide = widest(WORDS.values())
        self._rows: list[str | StepView] = []
        self._lanes: dict[str, list[StepView]] = {}
        self._folded: dict[str, bool] = {}  # what the person decided
        self._following = True
        self._only = ""

    def update_steps(self) -> None:
        """Something happened: order the lanes again where steps came or folds changed, and paint."""
        if sum(map(len, self._lanes.values())) != len(self.view.steps):
            self._lanes = {}
            if any(step.cluster is None for step in self.view.steps.values()):
                self._lanes[""] = []  # what belongs to no cluster comes first
            for step in self.view.steps.values():
                self._lanes.setdefault(step.cluster or "", []).append(step)
        rows: list[str | StepView] = []
        for lane, steps in self._lanes.items():
            if self._only and self._only not in lane.lower():
                continue
            rows.append(lane)
            if not self._is_folded(lane, steps):
                rows += steps
        if len(rows) != len(self._rows):
            before = self.chosen
            self._rows = rows
            self.cursor = rows.index(before) if before in rows else min(self.cursor, max(0, len(rows) - 1))
            self._measure()
        else:
            self._rows = rows
        if self._following:
            self._follow_work()
        self.refresh()

    def _is_folded(self, lane: str, steps: list[StepView]) -> bool:
        if lane in self._folded:
            return self._folded[lane]
        if len(self._lanes) < FOLDED_FROM:
            return False
        return not any(step.status in BROKEN for step in steps)

    def _follow_work(self) -> None:
        """Until the person moves the cursor it stays where the work, or the trouble, is."""
        pick = None
        for index, row in enumerate(self._rows):
            if isinstance(row, StepView):
                if row.status in BROKEN:
                    pick = index
                    break
                if row.status in ACTIVE and pick is None:
                    pick = index
        if pick is not None and pick != self.cursor:
            self.cursor = pick
            self.reveal()

    @property
    def chosen(self) -> StepView | str | None:
        """What the cursor is on: a step or a lane's name."""
        return self._rows[self.cursor] if self.cursor < len(self._rows) else None

    def show_step(self, id: str) -> None:
        """Move the cursor to that step."""
        for index, row in enumerate(self._rows):
            if isinstance(row, StepView) and row.id == id:
                self.cursor = index
                self.reveal()
                return

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._following = False
        super().action_move(by)

    def action_fold(self) -> None:
        """Fold or unfold the lane that the cursor is in."""
        row = self.chosen
        if row is None:
            return
        lane = row if isinstance(row, str) else row.cluster or ""
        self._folded[lane] = not self._is_folded(lane, self._lanes[lane])
        self.update_steps()

    def action_open(self) -> None:
        """Explain the step under the cursor; fold or unfold a lane."""
        row = self.chosen
        if isinstance(row, StepView):
            self.post_message(self.Explain(row))
        else:
            self.action_fold()

    def show_only(self, text: str) -> None:
        """Only lanes with this in their names; empty: all."""
        self._only = text.lower()
        self._rows = []
        self.update_steps()

    def count(self) -> int:
        """Rows to scroll through."""
        return len(self._rows)

    def line_at(self, index: int) -> Line:
        """A lane's line or a step's."""
        if index >= len(self._rows):
            return ()
        row = self._rows[index]
        return self._lane_line(row) if isinstance(row, str) else self._step_line(row)

    def _lane_line(self, lane: str) -> Line:
        steps = self._lanes[lane]
        passed = sum(step.status in PASSED for step in steps)
        active = sum(step.status in ACTIVE for step in steps)
        broken = sum(step.status in BROKEN for step in steps)
        fold = "+" if self._is_folded(lane, steps) else "-"
        parts = [Piece(f"{fold} ", "muted"), Piece(one_line(lane or tr("the mesh"), 40), "title")]
        done = trn("{passed}/{count} done", "{passed}/{count} done", len(steps), passed=passed)
        parts.append(Piece(f"  {done}", "ok" if passed == len(steps) else "muted"))
        if active:
            parts.append(Piece(f", {trn('{count} at work', '{count} at work', active)}", "working"))
        if broken:
            parts.append(Piece(f", {trn('{count} failed', '{count} failed', broken)}", "broken"))
        return parts

    def _step_line(self, step: StepView) -> Line:
        role = ROLES[step.status]
        elapsed = step.elapsed()
        seconds = rendered(duration(elapsed)) if elapsed >= 0.05 else ""
        head = f" {self._signs[step.status]} {padded(WORDS[step.status], self._wide)}"
        return [
            Piece(head, role),
            Piece(f"{' ' * (6 - cell_len(seconds))}{seconds} ", "muted"),
            Piece(rendered(one_line(step.title, 120)), "label"),
            Piece(f"  {rendered(note_on(step))}", "broken" if role == "broken" else "muted"),
        ]


def note_on(step: StepView) -> str:
    """What there is to say of a step: what it waits for, or how it went."""
    if step.waits and step.status in ACTIVE:
        what, seen, time = step.waits.what, step.waits.seen, waited(step)
        told = (
            msg("{what}: {seen} ({time})", what=what, seen=seen, time=time)
            if seen
            else msg("{what} ({time})", what=what, time=time)
        )
        return one_line(told, 400)
    return one_line(step.detail, 400)


def waited(step: StepView) -> str:
    """For how long it has waited, and until when it will, if there is an end to it."""
    deadline = step.waits.deadline if step.waits else 0
    if not deadline:
        return duration(step.waited())
    return msg("{elapsed:.0f} of {deadline:.0f} s", elapsed=step.waited(), deadline=deadline)


def told(step: StepView, cause: Finding | None = None) -> str:
    """Everything that there is to say of a step, in the person's language. `cause`: why it failed, where that was looked for."""
    lines: list[str] = [WORDS[step.status]]
    if step.elapsed() >= 0.05:
        lines = [msg("{status} after {time}", status=WORDS[step.status], time=duration(step.elapsed()))]
    if step.waits and step.status in ACTIVE:
        lines.append(msg("waits for {what}", what=note_on(step)))
    lines += [printable(text, 8000) for text in (step.detail, step.remedy) if text]
    if cause and step.status in BROKEN:
        lines += [msg("read: {evidence}", evidence=one_line(each, 600)) for each in cause.evidence]
        if cause.step:
            lines.append(msg("Once the run has ended, R mends it: step {step}.", step=cause.step))
    return "\n\n".join(map(rendered, lines))
