"""The wizard on the whole screen. It owns the answers and the run; screens come and go."""

from __future__ import annotations

import locale
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.console import RenderableType
from textual.app import InvalidThemeError
from textual.binding import Binding, BindingType

from screens.background import Finished, in_background
from screens.base import WizardScreen
from screens.farewell import NOTHING, farewell, stopped
from screens.signals import EXIT_CODE, obeyed
from screens.small import TooSmall, too_small
from screens.textual_private import OpenApp
from screens.theme import OWN, THEME
from wizard.console.report import TRAIL
from wizard.errors import Failed, Trouble
from wizard.messages import joined, msg
from wizard.messages.catalogue import rendered, tr
from wizard.text import one_line

if TYPE_CHECKING:
    from screens.draft import Draft
    from screens.run import Run
    from state import StateFolder
    from wizard.mesh.model import Mesh
    from wizard.operations.operation import Operation
    from wizard.operations.prepared import Prepared
    from wizard.outside import Outside

T = TypeVar("T")
log = logging.getLogger(__name__)
STOP_SECONDS = 15.0  # how long a run that was given up may take to end


def _is_given(folder: StateFolder) -> bool:
    """Whether the folder is another than the default one."""
    from state import default_folder

    try:
        return folder.folder != default_folder()
    except RuntimeError:  # this user has no home
        return True


def screen_of(stage: str) -> WizardScreen:
    """A fresh screen of that stage, imported when first shown; what it shows lives in the app, not in it."""
    made: WizardScreen = getattr(import_module(f"screens.{stage}"), f"{stage.capitalize()}Screen")()
    return made


class WizardApp(OpenApp):
    """`run_wizard()` gives the exit code; `farewell` is what to print on the normal screen afterwards."""

    TITLE = "meshwizard"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "leave", msg("Quit"), show=False, priority=True),
        Binding("q", "leave", msg("Quit"), show=False),
        Binding("ctrl+r", "return_to_run", msg("To the run"), show=False, priority=True),
    ]

    def __init__(
        self,
        outside: Outside,
        folder: StateFolder,
        *,
        istioctl: str | None = None,
        document: dict[str, Any] | None = None,
        resume: str | None = None,
        auto: bool = False,
        log_file: Path | None = None,
        auto_pause: float = 0.3,
    ) -> None:
        """`document`: answers given beforehand. `resume`: go straight to the install of this saved mesh. `auto`: play it
        through by itself, with this pause (seconds) before each key.
        """
        self.colourless = bool(os.environ.get("NO_COLOR"))
        # Textual answers NO_COLOR with shades of grey in 24 bits; the terminal's own default colours are none at all.
        super().__init__(ansi_color=True if self.colourless else None)
        self.ascii = "utf" not in locale.getpreferredencoding(False).lower()
        self.outside = outside
        self.folder = folder
        self.log_file = log_file
        self._given = (document, istioctl)
        self.prepared: Prepared | None = None
        self.active_run: Run | None = None
        self.farewell = ""
        self.broke_down: Trouble | None = None
        self._resume = resume
        self._resume_code = EXIT_CODE
        self._auto = auto
        self._auto_pause = auto_pause
        self._leaving = False
        self._signalled = False
        try:
            self.register_theme(THEME)
            self.theme = "ansi-dark" if self.colourless else "meshwizard"
        except InvalidThemeError:  # pragma: no cover - a Textual without ANSI themes
            self.theme = "textual-dark"

    @cached_property
    def draft(self) -> Draft:
        """The answers. The first screen asks nothing, so it need not wait for the fields to be imported."""
        from screens.draft import Draft

        return Draft(*self._given)

    def run_wizard(self) -> int:
        """Run it on this terminal, obeying signals; gives the exit code. Raises Failed when it breaks down."""
        with obeyed(self._stop_by_signal, self._give_up):
            code = self.run()
            if self.running:  # it broke down over a run: no child of ours is left alone
                self._give_up()
        if self.broke_down:
            raise self.broke_down
        return code if code is not None else self.return_code or 0

    def get_css_variables(self) -> dict[str, str]:
        """With the colours of our own."""
        own = dict.fromkeys(OWN, "ansi_default") if self.colourless else OWN
        return {**super().get_css_variables(), **own}

    def on_mount(self) -> None:
        """The first screen."""
        self.push_screen(screen_of("start"))
        if self._signalled:
            self.finish()
        if self._resume:
            name = self._resume
            self.call_after_refresh(lambda: self.resume(name))
        self.set_interval(1 / 15, self.show_news)
        self.call_after_refresh(self.on_resize)
        if self._auto:
            from screens.autoplay import Player

            Player(self, self._auto_pause).start()

    # -- threads

    def background(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[Trouble], None] | None = None
    ) -> None:
        """Do `work` in a thread; then, in the app's thread, `then(result)` or `failed(trouble)`."""
        in_background(self, work, then, failed or self._tell)

    def on_finished(self, message: Finished) -> None:
        """Back from a thread."""
        if self.is_running:
            message.call()

    def _tell(self, trouble: Trouble) -> None:
        self.stage.say(joined((trouble.what, trouble.remedy), " "), wrong=True)

    # -- screens

    @property
    def stage(self) -> WizardScreen:
        """The wizard screen that is shown, below whatever dialog lies over it."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, WizardScreen):
                return screen
        raise RuntimeError("no wizard screen is shown")

    def go(self, stage: str) -> None:
        """Show that stage."""
        self.switch_screen(screen_of(stage))

    @property
    def _too_small(self) -> bool:
        return any(isinstance(screen, TooSmall) for screen in self.screen_stack)

    def on_resize(self) -> None:
        """Below 80×24 a sentence says so; the screens stay as they are underneath."""
        if too_small(self.size) and not self._too_small and len(self.screen_stack) > 1:
            self.push_screen(TooSmall())

    # -- the run

    def prepare(self, mesh: Mesh) -> Prepared:
        """This mesh, prepared for an operation; what was prepared before is closed, unless a run works with it. Blocks and raises
        Trouble: for `background`.
        """
        from wizard.operations.options import RunOptions
        from wizard.operations.prepared import prepare

        if self.prepared and not (self.active_run and self.active_run.prepared is self.prepared):
            threading.Thread(target=self.prepared.close, daemon=True).start()  # closing may wait for connections
        TRAIL.of(mesh)
        options = RunOptions(istioctl=self.draft.istioctl, given_folder=_is_given(self.folder))
        made = self.prepared = prepare(mesh, self.outside, self.folder, options)
        TRAIL.of(made.mesh, made.plan)
        return made

    def start_run(self, operation: Operation) -> None:
        """Do this, and what follows it, in a thread of its own."""
        from screens.run import Run

        if not self.running:
            self.active_run = Run(operation)
            self.active_run.start()

    @property
    def running(self) -> bool:
        """Whether an install is going on."""
        return self.active_run is not None and self.active_run.alive

    def running_marker(self, stage: str) -> str:
        """What the head says of a run that goes on while another screen is shown."""
        if not self.running or not self.active_run or stage in ("install", "verify"):
            return ""
        view = self.active_run.view
        mesh, far = self.active_run.prepared.mesh.name, f"{view.passed}/{len(view.steps)}"
        if view.wanted or (view.broken and not view.active):
            told = tr("{mesh} is running needs you {progress} · Ctrl+R", mesh=mesh, progress=far)
        else:
            told = tr("{mesh} is running {progress} · Ctrl+R", mesh=mesh, progress=far)
        return f"{'*' if self.ascii else '●'} {told}"

    def show_news(self) -> None:
        """Take in what the run has emitted, and have the shown screen render it. Called some fifteen times a second."""
        run = self.active_run
        if run is None or not self.is_running:
            return
        news = run.drain()
        if len(self.screen_stack) > 1 and (news or run.alive):
            shown = self.stage
            shown_run = getattr(shown, "show_run", None)
            if shown_run:
                shown_run(news)
            elif news and shown.stands:
                shown.show_head()

    def action_return_to_run(self) -> None:
        """Back to the install that goes on."""
        if self.active_run and len(self.screen_stack) == 2:
            self.go("install")

    def resume(self, name: str) -> None:
        """Go on with a saved mesh: connect, then install."""

        def load() -> Operation:
            from wizard.clusters.consents import Consents
            from wizard.mesh.document import document_of
            from wizard.operations.choice import first
            from wizard.operations.recorded import saved_mesh, wanted_mesh
            from wizard.sharedstate import refuse_files

            # What was leaving had been agreed to; the run goes on with it.
            saved, state = saved_mesh(self.folder, name)
            mesh = wanted_mesh(saved, state)
            refuse_files(mesh, self.folder, Consents())
            made = self.prepare(mesh)
            self.draft.fill(document_of(made.mesh))
            return first(made, state)

        def loaded(operation: Operation) -> None:
            self.start_run(operation)
            self.go("install")

        def failed(trouble: Trouble) -> None:
            self._tell(trouble)
            self.stage.refresh_bindings()
            self.farewell = rendered(joined((trouble.what, trouble.remedy)))
            self._resume_code = trouble.exit_code

        self.stage.say(msg("Connecting to the clusters of {mesh} …", mesh=name))
        self.background(load, loaded, failed)

    def change(self, document: Mapping[str, Any]) -> None:
        """Take up a recorded mesh's answers, to add or remove clusters, or to answer otherwise."""
        self.draft.fill(document)
        self.go("contexts")

    # -- the end

    def action_leave(self) -> None:
        """Leave; while something runs, ask what should become of it, and before that, of what was answered."""
        from screens.dialogs import Confirm

        unsaved = self.active_run is None and "draft" in vars(self) and self.draft.answered
        if self._too_small or not (self.running or unsaved):
            self.finish()
            return
        if isinstance(self.screen, Confirm):
            return
        if unsaved:
            text = msg(
                "Nothing was changed in any cluster. What you answered is lost; the review can save it as a mesh file."
            )
            leave = Confirm(msg("Leave?"), text, msg("Leave"), msg("Go on"))
            self.push_screen(leave, lambda yes: self.finish() if yes else None)
            return
        assert self.active_run is not None  # noqa: S101 - running
        view = self.active_run.view
        if view.active or not view.broken:
            text = msg("Steps at work are ended; what was done stays recorded, and a resume goes on from there.")
        else:
            text = msg("What failed stays failed; what was done stays recorded, and a resume goes on from there.")

        def answered(yes: bool | None) -> None:
            if yes:
                self.stop_and_leave()

        stop = Confirm(msg("Stop the install and leave?"), text, msg("Stop and leave"), msg("Go on"))
        self.push_screen(stop, answered)

    def stop_and_leave(self) -> None:
        """End the run, wait a moment for its last words, leave."""
        run = self.active_run
        if run is None or self._leaving:
            return
        self._leaving = True
        run.give_up()
        if self.stage.stands:
            self.stage.say(msg("Stopping: steps at work are being ended …"))
        deadline = time.monotonic() + STOP_SECONDS

        def look() -> None:
            if not run.alive or time.monotonic() > deadline:
                self.finish()

        self.set_interval(0.1, look)

    def _stop_by_signal(self) -> None:
        """From a signal's handler, in the main thread, in the middle of anything: only leave word for the loop."""
        again, self._signalled = self._signalled, True

        def act() -> None:
            # As a message: only so it happens within Textual's context.
            self.post_message(Finished(self.finish if again or not self.running else self.stop_and_leave))

        self.call_soon(act)

    def _give_up(self) -> None:
        """From any thread: end the run, and wait a moment for it."""
        if self.active_run and self.active_run.alive:
            self.active_run.give_up()
            self.active_run.join(STOP_SECONDS)

    def finish(self) -> None:
        """Leave with the exit code and the farewell that fit what happened."""
        run, code = self.active_run, self._resume_code
        simulated = self.outside.simulated
        if run is not None:
            run.drain()
            ended = run.view.ended
            code = 0 if ended and ended.ok else ended.exit_code or 1 if ended else code
            if self._signalled and not (ended and ended.ok):
                self.farewell = stopped(run, simulated=simulated)
            else:
                self.farewell = farewell(run, self.log_file, simulated=simulated, ascii_only=self.ascii)
        elif not self.farewell:
            self.farewell = rendered(NOTHING)
        self.exit(EXIT_CODE if self._signalled else code)

    # -- what must never happen

    def defect(self, error: Exception) -> None:
        """Textual's last resort prints a traceback with everybody's locals; ours goes to the log."""
        log.error("the screens broke down", exc_info=error)
        self._break_down(msg("unexpected {kind}: {error}", kind=type(error).__name__, error=one_line(error)))

    def panic(self, *renderables: RenderableType) -> None:
        """Where Textual has no exception but a picture of one, such as when the terminal cannot be read any more."""
        for renderable in renderables:
            log.error("the screens broke down: %s", "".join(part.text for part in self.console.render(renderable)))
        self._break_down(msg("the terminal cannot be used any more"))

    def _break_down(self, what: str) -> None:
        if self.broke_down is None:
            log = str(self.log_file or "")
            remedy: str = (
                msg("The log {file} says where. Please report this with it.", file=log)
                if log
                else msg("Run it again with --report FILE, or --log FILE -v. Please report this with it.")
            )
            if self.active_run and not self.outside.simulated:
                command = self.active_run.prepared.resume_command
                recorded = msg("What was done is recorded; go on with: {command}", command=command)
                remedy = joined((remedy, recorded), " ")
            self.broke_down = Failed(what, remedy)
        self.end_at_once(1)
