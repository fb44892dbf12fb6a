"""What the two screens on a running install share: its state in one line, and the keys that steer it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from screens.base import WizardScreen
from screens.filtering import Filter
from screens.run import BROKEN, WORDS, Run, RunView, StepView
from screens.steplist import note_on, told
from wizard import kinds
from wizard.engine.events import RunEnded
from wizard.messages import counted, joined, msg
from wizard.messages.catalogue import rendered, trn
from wizard.text import duration, listing, one_line, printable

SECONDS_EVERY = 4  # of fifteen updates a second, how many apart the running seconds are painted
TRY_AGAIN = msg("R tries again, Q leaves.")
MANY = 300  # steps, from which on the screen is painted less often
MANY_EVERY = 5


class RunScreen(WizardScreen):
    """Renders the app's run; steering it goes through the engine, and leaving the screen does not stop it."""

    BACK_LABEL = msg("Start screen")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012 - Textual declares it without ClassVar
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "manual", msg("What to do")),
        Binding("p", "pause", msg("Pause")),
        Binding("r", "retry", msg("Retry")),
        Binding("s", "skip", msg("Skip")),
        Binding("a", "abort", msg("Abort")),
        Binding("f", "filter", msg("Log of lane")),
        Binding("slash", "find", msg("Filter"), key_display="/", tooltip=msg("Show only some clusters")),
        Binding("q", "app.leave", msg("Quit"), show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._ticks = 0
        self._seen = 0
        self._news = False
        self._keys: list[bool | None] = []
        self._end_told = False
        self._manual_told: set[str] = set()  # steps whose manual step was shown once
        self._manual: Screen[None] | None = None

    @property
    def run_of_app(self) -> Run | None:
        """The run that is rendered."""
        return self.wizard.active_run

    @property
    def view(self) -> RunView | None:
        """Its picture."""
        return self.run_of_app.view if self.run_of_app else None

    def arrived(self) -> None:
        """Render what happened so far."""
        self.show_run(True)

    def show_run(self, news: bool) -> None:
        """Called some fifteen times a second while there is a run."""
        self._news = news = news or self._news
        if not self.stands or self.view is None:
            return
        self._ticks += 1
        if len(self.view.steps) > MANY and self._ticks % MANY_EVERY and not self.view.ended:
            return  # a large mesh costs tens of milliseconds to paint: keys come first
        self._news = False
        if news or self._ticks % SECONDS_EVERY == 0:
            self.show_state(self.view)
            self.render_run(self.view, news)
        if self.view.ended and not self._end_told:
            self._end_told = True
            self.tell_end(self.view)
        self._tell_manual(self.view)
        keys = [self.check_action(action, ()) for action in ("pause", "retry", "skip", "abort", "manual", "why")]
        if keys != self._keys:  # painting the keys anew fifteen times a second would cost more than all the rest
            self._keys = keys
            self.refresh_bindings()

    def _tell_manual(self, view: RunView) -> None:
        """Say once by itself what a person has to do; hidden, it stays hidden until it is asked for."""
        new = [step for step in view.wanted if step not in self._manual_told]
        self._manual_told &= set(view.wanted)  # tried again, it is told again
        if self._manual is not None and self.app.screen is self._manual:
            self._manual_told |= set(new)  # it counts them
        elif new and self.app.screen is self:  # not `is_current`, which a screen below a dialog is, too
            self._manual_told |= set(new)
            self._show_manual(new[0])

    def _show_manual(self, step: str) -> None:
        from screens.manual import Manual

        self._manual = Manual(lambda: self.view, step)
        self.app.push_screen(self._manual)

    def action_manual(self) -> None:
        """What a person has to do, again."""
        view = self.view
        if view is None or not view.wanted:
            self.say(msg("Nothing waits for you."))
            return
        chosen = self.chosen_step()
        self._show_manual(chosen.id if chosen and chosen.id in view.wanted else next(iter(view.wanted)))

    def render_run(self, view: RunView, news: bool) -> None:
        """The screen's own part."""

    def tell_end(self, view: RunView) -> None:
        """The run is over."""
        ended = view.ended
        if ended is None:
            return
        if ended.ok:
            self.say(msg("All steps are done. Ctrl+N goes on."))
            self.offer_next()
        else:
            self.say(self.ending(ended), wrong=True)

    @property
    def typing(self) -> bool:
        """Whether somebody types into the filter: what comes by itself takes neither focus nor screen away."""
        return isinstance(self.focused, Filter)

    def offer_next(self) -> None:
        """The focus goes to what goes on."""

        def offer() -> None:
            if self.stands and not self.typing:
                self.query_one("#next").focus()

        self.app.call_later(offer)  # behind a filter that is just being opened

    def ending(self, ended: RunEnded) -> str:
        """Why it ended without success, and the key that goes on."""
        stale = self.run_of_app is not None and self.run_of_app.stale
        return msg("R looks again: {problem}", problem=ended.what) if stale else joined((ended.what, TRY_AGAIN), " ")

    def show_state(self, view: RunView) -> None:
        """How far it is, for how long, and what it waits for."""
        head = trn(
            "{passed}/{count} steps  {time}",
            "{passed}/{count} steps  {time}",
            len(view.steps),
            passed=view.passed,
            time=duration(view.elapsed),
        )
        word, style = msg("working"), "$text-warning"
        if view.ended:
            word, style = (msg("done"), "$text-success") if view.ended.ok else (msg("stopped"), "$text-error")
        elif view.paused:
            word = msg("paused")
        elif view.broken or view.wanted:
            word, style = msg("needs you"), "$text-error"
        parts = [(f"{rendered(word)} ", f"bold {style}"), (head, "bold")]
        rest = _attention(view)
        if rest:
            parts.append((f"  {rendered(one_line(rest, 300))}", ""))
        self.query_one("#state", Static).update(Content.assemble(*parts))

    def show_note(self, step: StepView | None) -> None:
        """The help line: what is to be said of that step."""
        place = self.query_one("#help", Static)
        parts: list[tuple[str, str]] = []
        if step is not None:
            bad = step.status in BROKEN
            said = msg("{title}: {note}", title=step.title, note=note_on(step) or WORDS[step.status])
            parts.append((rendered(one_line(said, 500)), "$text-error" if bad else ""))
            if step.remedy:
                parts.append((f"\n{rendered(printable(step.remedy, 1200)).strip()}", "bold"))
        place.update(Content.assemble(*parts))
        place.display = True

    # -- steering

    def chosen_step(self) -> StepView | None:
        """The step that the person points at."""
        return None

    def _broken_step(self) -> StepView | None:
        chosen = self.chosen_step()
        if chosen is not None and chosen.status in BROKEN:
            return chosen
        return self.view.broken[0] if self.view and self.view.broken else None

    def action_pause(self) -> None:
        """Start no further steps, or go on."""
        run = self.run_of_app
        if run and run.engine and run.alive:
            run.engine.controls.pause(not run.view.paused)

    def action_retry(self) -> None:
        """Try what failed again: the chosen step, or all; after the end, the whole run."""
        run = self.run_of_app
        if run is None:
            return
        if not run.alive:
            if run.stale:
                self.wizard.go("review")
            elif run.view.ended and not run.view.ended.ok:
                self._end_told, self._seen = False, 0
                self.wizard.start_run(run.again)
                self.say(msg("Going on where it stopped."))
                self.restarted()
            return
        chosen = self.chosen_step()
        steps = [chosen] if chosen and chosen.status in BROKEN else run.view.broken
        engine = run.engine
        if not steps or engine is None:
            self.say(msg("Nothing failed, so there is nothing to try again."))
            return
        self.say(msg("Trying again: {steps}", steps=listing(step.title for step in steps[:3])))
        for step in steps:
            engine.controls.retry(step.id)

    def restarted(self) -> None:
        """There is a new run to render."""

    def action_skip(self) -> None:
        """Count a failed step as done, by consent."""
        run, step = self.run_of_app, self._broken_step()
        engine = run.engine if run else None
        if step is None or engine is None or not (run and run.alive):
            self.say(msg("Only a step that failed can be skipped."))
            return
        self.confirm(
            msg("Skip this step?"),
            _skipping(step),
            msg("Skip it"),
            lambda: engine.controls.skip(step.id),
        )

    def action_abort(self) -> None:
        """End the run now, by consent."""
        run = self.run_of_app
        if run is None or not run.alive:
            self.say(msg("The run has ended already."))
            return
        self.confirm(
            msg("Abort the install?"),
            msg("Steps at work are ended now. What was done stays recorded; a resume goes on from there."),
            msg("Abort"),
            run.give_up,
            no=msg("Go on"),
        )

    def explain(self, step: StepView) -> None:
        """All there is to say of that step."""
        from screens.dialogs import Help

        cause = self.view.findings.get(step.cluster or "") if self.view and step.kind == kinds.VERIFY else None
        self.app.push_screen(Help(one_line(_at(step.cluster, step.title), 200), told(step, cause)))

    def action_filter(self) -> None:
        """Only the log lines of the lane that the cursor is in, or all again."""

    def action_find(self) -> None:
        """Ask which clusters to show."""
        self.query_one(Filter).open()

    def action_back(self) -> None:
        """To the start screen; the run goes on. Escape closes an open filter first."""
        if not self.close_filter():
            self.wizard.go("start")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing now are shown grey."""
        view = self.view
        alive = view is not None and view.ended is None
        if action in ("pause", "abort"):
            return True if alive else None
        if action == "skip":
            return True if alive and view and view.broken else None
        if action == "manual":
            return bool(view and view.wanted)
        if action == "retry":
            return True if view and (view.broken or (view.ended and not view.ended.ok)) else None
        return super().check_action(action, parameters)

    def on_unmount(self) -> None:
        """Nothing is stopped: the run belongs to the app."""


def _at(cluster: str | None, text: str) -> str:
    """What is told of this cluster, or of the mesh."""
    return msg("{cluster}: {text}", cluster=cluster or msg("mesh"), text=text)


def _attention(view: RunView) -> str:
    """What needs a person, or else what is waited for."""
    if view.broken and not view.ended:
        steps = listing(_at(step.cluster, step.title) for step in view.broken[:2])
        return msg("failed: {steps} R retry, S skip, A abort", steps=steps)
    if view.wanted and not view.ended:
        wanted, more = next(iter(view.wanted.values())), len(view.wanted) - 1
        what = _at(wanted.cluster, wanted.what)
        if not more:
            return msg("M shows what to do: {what}", what=what)
        return counted(
            "M shows what to do: {what} and {count} more",
            "M shows what to do: {what} and {count} more",
            more,
            what=what,
        )
    waiting = [step for step in view.active if step.waits]
    if not waiting:
        return ""
    slowest = max(waiting, key=lambda step: step.elapsed())
    return _at(slowest.cluster, note_on(slowest))


def _skipping(step: StepView) -> str:
    """What it means to skip this step."""
    agreed = msg(
        "{step} counts as done, because you say so. What builds on it goes on and may fail in its turn.",
        step=_at(step.cluster, step.title),
    )
    failed = msg("It failed with: {problem}", problem=one_line(step.detail, 600))
    text = joined((agreed, joined((failed, printable(step.remedy, 1200)))), "\n\n")
    return rendered(text).rstrip()
