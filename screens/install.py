"""Install: every step live, the drawing lighting up, the log, and what to do when something fails."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Static

from screens.base import Refusal
from screens.filtering import Filter
from screens.lines import Lines, Piece
from screens.picture import Picture
from screens.run import ACTIVE, BROKEN, PASSED, Run, RunView, StepView
from screens.running import RunScreen
from screens.steplist import StepList
from wizard import kinds
from wizard.board import Board
from wizard.messages import msg
from wizard.messages.catalogue import rendered
from wizard.messages.cells import padded


class InstallScreen(RunScreen):
    """The steps by lane, with state and time."""

    STAGE = "install"
    HEADING = msg("Install")
    ABOUT = msg(
        "The steps by lane, with state and time. Lanes are independent: one slow cluster holds up nobody else. Leaving this "
        "screen does not stop the work; aborting or quitting does, and asks before."
    )
    NEXT_LABEL = msg("Verification")
    CSS_PATH = "install.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._only: str | None = None  # the lane whose log lines are shown
        self._went_on = False

    def body(self) -> ComposeResult:
        """State, drawing, steps, log."""
        run = self.run_of_app
        view = run.view if run else RunView(Board({}))
        yield Static("", id="state", markup=False)
        with Container(id="work"):
            yield Picture(id="picture", ascii_only=self.wizard.ascii, small=True)
            yield Filter()
            yield StepList(view, id="steps", ascii_only=self.wizard.ascii)
            yield Lines(id="log", follow=True)

    def first_focus(self) -> StepList:
        """The steps."""
        return self._steps()

    def _steps(self) -> StepList:
        return self.query_one("#steps", StepList)

    def on_resize(self) -> None:
        """The full drawing where there is room for it beside the steps."""
        super().on_resize()
        picture = self.query_one(Picture)
        picture.small = self.size.width < 120
        if self.view:
            self._draw(self.view)

    def render_run(self, view: RunView, news: bool) -> None:
        """Steps, drawing, log, and what the chosen step says."""
        if not news:
            self._steps().refresh()
            self.show_note(self.chosen_step())
            return
        self._steps().update_steps()
        self._draw(view)
        self.query_one("#log", Lines).add(self._log_lines(view))
        self.show_note(self.chosen_step())
        free = self.app.screen is self and not self.typing
        if view.verifying() and not self._went_on and free and not view.ended:
            self._went_on = True
            self.wizard.go("verify")

    @on(StepList.Explain)
    def _explain(self, event: StepList.Explain) -> None:
        event.stop()
        self.explain(event.step)

    @on(Filter.Typed)
    def _filter(self, event: Filter.Typed) -> None:
        event.stop()
        self._steps().show_only(event.text)
        self.query_one(Picture).show_only(event.text)

    @on(Filter.Left)
    def _filtered(self, event: Filter.Left) -> None:
        event.stop()
        self._steps().focus()

    def _draw(self, view: RunView) -> None:
        run = self.run_of_app
        if run:
            self.query_one(Picture).draw(
                run.prepared.mesh, view.board.links, view.board.counts or None, view.board.causes
            )

    def _log_lines(self, view: RunView) -> list[list[Piece]]:
        lines = [
            [
                Piece(f"{padded(cluster, 9)} ", "box"),
                Piece(f"{padded(_brief(kind, peer), 15)} ", "muted"),
                Piece(rendered(text)),
            ]
            for cluster, kind, peer, text in view.lines_since(self._seen)
            if self._only is None or cluster == self._only
        ]
        self._seen = view.logged
        return lines

    def action_filter(self) -> None:
        """The log of one lane, or of all."""
        row = self._steps().chosen
        lane = row if isinstance(row, str) else (row.cluster or "") if row else ""
        self._only = lane if self._only is None else None
        self._seen = 0
        log = self.query_one("#log", Lines)
        if self.view:
            log.show(self._log_lines(self.view))
            log.scroll_end(animate=False)
        if self._only is None:
            self.say(msg("Log of all lanes."))
        elif lane:
            self.say(msg("Log of {cluster} only; F shows all.", cluster=lane))
        else:
            self.say(msg("Log of all clusters only; F shows all."))

    def chosen_step(self) -> StepView | None:
        """The step under the cursor."""
        row = self._steps().chosen
        return row if isinstance(row, StepView) else None

    def restarted(self) -> None:
        """Render the new run."""
        run: Run | None = self.run_of_app
        if run:
            self._went_on = False
            self._steps().view = run.view
            self.query_one("#log", Lines).show([])

    def ready(self) -> bool:
        """Once it is over, or only the verification is left."""
        return bool(self.view and (self.view.ended or self.view.verifying()))

    def _begun(self) -> bool:
        begun = ACTIVE | BROKEN | PASSED
        steps = self.view.steps.values() if self.view else ()
        return any(step.kind == kinds.VERIFY and step.status in begun for step in steps)

    def awaits(self) -> str:
        """The verification, while nothing stands in its way."""
        view = self.view
        if view is None or view.ended or view.broken or self._begun():
            return ""
        return msg("The verification begins by itself, when every cluster is ready.")

    def refuse(self) -> Refusal | None:
        """The verification has begun."""
        view = self.view
        if view is None:
            return msg("Nothing is being installed yet."), None
        if self._begun():
            return None
        if view.ended:
            return None if view.ended.ok else (self.ending(view.ended), self._steps())
        wrong = msg("The verification cannot begin before what failed is settled: R retry, S skip, A abort.")
        return wrong, self._steps()


def _brief(kind: str, peer: str) -> str:
    """A step in a column beside its cluster."""
    short = "secret" if kind == kinds.REMOTE_SECRET else kind
    return f"{short}/{peer}" if peer else short
