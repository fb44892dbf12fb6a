"""Verify: what each cluster answered, live, with the counts on the arrows of the drawing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from screens.base import Refusal
from screens.filtering import Filter
from screens.lines import Line, Lines, Piece
from screens.picture import Picture
from screens.run import BROKEN, PASSED, WORDS, RunView, StepView
from screens.running import TRY_AGAIN, RunScreen
from screens.steplist import ROLES, SIGNS, note_on
from wizard import kinds
from wizard.answered import Answered
from wizard.mesh.fields import Field
from wizard.messages import joined, msg
from wizard.messages.catalogue import rendered, tr, trn
from wizard.messages.cells import padded, widest
from wizard.text import one_line

VERSION = 34  # columns for what was heard of one
MOST_VERSIONS = 12  # named per cluster; a mesh of fifty is told in sums


class VerifyScreen(RunScreen):
    """What every cluster has heard of every other."""

    STAGE = "verify"
    HEADING = msg("Verification")
    HINT = msg("Proven when every cluster has heard every other.")
    ABOUT = msg(
        "A client in every cluster calls helloworld, which runs a different version in every cluster: v1 in the first, v2 in "
        "the second. The mesh is proven when every cluster has heard every version."
    )
    NEXT_LABEL = msg("Summary")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "why", msg("Why"))]
    CSS_PATH = "verify.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._only = ""

    def body(self) -> ComposeResult:
        """State, drawing, counts."""
        yield Static("", id="state", markup=False)
        yield Filter()
        yield Picture(id="picture", ascii_only=self.wizard.ascii)
        yield Lines(id="answers", wrap=True)

    def first_focus(self) -> Lines:
        """The counts, which scroll."""
        return self.query_one("#answers", Lines)

    def render_run(self, view: RunView, news: bool) -> None:
        """The drawing with its counts, and each cluster's answers in words."""
        run = self.run_of_app
        if run is None or not news:
            return
        self.query_one(Picture).draw(run.prepared.mesh, view.board.links, view.board.counts, view.board.causes)
        self.query_one("#answers", Lines).show(self._answers(view))
        broken = [step for step in view.broken if step.kind == kinds.VERIFY]
        if broken:
            self.show_note(broken[0])

    @on(Filter.Typed)
    def _filter(self, event: Filter.Typed) -> None:
        event.stop()
        self._only = event.text.lower()
        self.query_one(Picture).show_only(event.text)
        if self.view:
            self.render_run(self.view, True)

    @on(Filter.Left)
    def _filtered(self, event: Filter.Left) -> None:
        event.stop()
        self.first_focus().focus()

    def _answers(self, view: RunView) -> Iterator[Line]:
        run = self.run_of_app
        if run is None:
            return
        mesh = run.prepared.mesh
        versions = {mesh.sample_version(cluster.name): cluster.name for cluster in mesh.clusters}
        steps = {step.cluster: step for step in view.steps.values() if step.kind == kinds.VERIFY}
        for cluster in mesh.clusters:
            step = steps.get(cluster.name)
            if step is not None and self._only in cluster.name.lower():
                yield from self._cluster(step, view.answers.get(cluster.name), versions)

    def _cluster(self, step: StepView, answered: Answered | None, versions: dict[str, str]) -> Iterator[Line]:
        role = ROLES[step.status]
        sign = SIGNS[step.status] if not self.wizard.ascii else ""
        status = padded(WORDS[step.status], widest(WORDS.values()) + 1)
        yield [Piece(f"{sign} {status}", role), Piece(f"{step.cluster} ", "name"), Piece(tr("hears"), "muted")]
        counts = answered.counts if answered else {}
        row: list[Piece] = [Piece("   ")]
        room = max(1, (self.query_one("#answers").size.width - 4) // VERSION)
        for index, (version, home) in enumerate(list(versions.items())[:MOST_VERSIONS]):
            if index and index % room == 0:
                yield row
                row = [Piece("   ")]
            count = counts.get(version, 0)
            mark = "ok" if count else ("broken" if step.status in BROKEN else "waiting")
            bar = ("#" if self.wizard.ascii else "▪") * min(count, 10)
            row.append(Piece(padded(f" {version} ({one_line(home, 30)}): {count:>3} {bar:<10}", VERSION), mark))
        yield row
        if len(versions) > MOST_VERSIONS:
            heard = sum(1 for version in versions if counts.get(version))
            told = trn(
                "{heard} of {count} versions heard", "{heard} of {count} versions heard", len(versions), heard=heard
            )
            yield [Piece(f"    {told}", "count")]
        if answered and answered.missing and step.status in BROKEN:
            missing = one_line(", ".join(answered.missing), 300)
            yield [Piece(f"    {tr('never heard: {versions}', versions=missing)}", "broken")]
        if answered and answered.errors:
            told = trn(
                "{count} calls failed; last: {error}",
                "{count} calls failed; last: {error}",
                answered.errors,
                error=one_line(answered.last, 200),
            )
            yield [Piece(f"    {told}", "working")]
        elif not answered and step.status in PASSED:
            yield [Piece(f"    {rendered(note_on(step))}", "muted")]

    def chosen_step(self) -> StepView | None:
        """The first verification that failed."""
        return next((step for step in self.view.broken if step.kind == kinds.VERIFY), None) if self.view else None

    def tell_help(self, field: Field | None) -> None:
        """What failed stays told, wherever the focus goes."""
        failed = self.chosen_step()
        if field is None and failed is not None:
            self.show_note(failed)
        else:
            super().tell_help(field)

    def action_why(self) -> None:
        """All there is to say of the first verification that failed: the cause, what was read, what mends it."""
        step = self.chosen_step()
        if step is not None:
            self.explain(step)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing failed, nothing is to be explained."""
        if action == "why":
            return self.chosen_step() is not None
        return super().check_action(action, parameters)

    def tell_end(self, view: RunView) -> None:
        """Verified, or not."""
        if view.ended and view.ended.ok:
            self.say(msg("Verified: every cluster hears every other."))
            self.offer_next()
        else:
            super().tell_end(view)

    def action_filter(self) -> None:
        """Back to the steps and the log."""
        self.wizard.go("install")

    def ready(self) -> bool:
        """Once the run is over."""
        return bool(self.view and self.view.ended)

    def awaits(self) -> str:
        """The end of the run."""
        view = self.view
        return "" if view and view.ended else msg("The verification goes on; F shows the steps and the log.")

    def refuse(self) -> Refusal | None:
        """All steps are done."""
        view = self.view
        if view is None or view.ended is None:
            return None
        return None if view.ended.ok else (joined((view.ended.what, TRY_AGAIN), " "), None)
