"""The wizard on the whole screen. It owns the answers and the run; screens come and go."""

from __future__ import annotations

import locale
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual.app import App, InvalidThemeError
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.theme import Theme

from screens.draft import Draft
from screens.stages import screen_of
from wizard.errors import Failed, Trouble
from wizard.text import duration, one_line

if TYPE_CHECKING:
    from screens.base import WizardScreen
    from screens.run import Run, SessionLike
    from state import StateFolder
    from wizard.mesh.model import Mesh
    from wizard.outside import Outside

T = TypeVar("T")
log = logging.getLogger(__name__)
NEEDED = (80, 24)

MakeSession = Callable[["Mesh", "Outside", "StateFolder", "str | None"], "SessionLike"]

THEME = Theme(
    name="meshwizard",
    primary="#6ea8fe",
    secondary="#8ab4c8",
    accent="#7dd3fc",
    warning="#f5c451",
    error="#ff7b72",
    success="#7ee787",
    foreground="#d7dde8",
    background="#10151f",
    surface="#182030",
    panel="#1f2a3d",
    dark=True,
    variables={"footer-key-foreground": "#7dd3fc", "input-selection-background": "#6ea8fe 35%"},
)


class Finished(Message):
    """Work in the background ended; `then` or `failed` is called with what came of it."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__()
        self.call = call


def in_background(
    app: App[Any], work: Callable[[], T], then: Callable[[T], None], failed: Callable[[Trouble], None]
) -> None:
    """Do `work` in a thread and hand its result to the app's own thread.

    A daemon thread of its own instead of Textual's worker pool: a call to a dead cluster must neither use up the pool
    nor keep the program from ending.
    """

    def run() -> None:
        try:
            result = work()
        except Trouble as trouble:
            caught = trouble
            app.post_message(Finished(lambda: failed(caught)))
        except Exception as error:
            caught = Failed(f"unexpected {type(error).__name__}: {one_line(error)}", "Please report this.")
            log.exception("background")
            app.post_message(Finished(lambda: failed(caught)))
        else:
            app.post_message(Finished(lambda: then(result)))

    threading.Thread(target=run, name="background", daemon=True).start()


def real_session(mesh: Mesh, outside: Outside, folder: StateFolder, istioctl: str | None) -> SessionLike:
    """The session that works on this mesh."""
    from state import default_folder
    from wizard.session import Session

    return Session(mesh, outside, folder, istioctl=istioctl, given_folder=folder.folder != default_folder())


class WizardApp(App[int]):
    """`run()` gives the exit code; `farewell` is what to print on the normal screen afterwards."""

    TITLE = "meshwizard"
    CSS_PATH = "wizard.tcss"
    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "leave", "Quit", show=False, priority=True),
        Binding("q", "leave", "Quit", show=False),
        Binding("ctrl+r", "return_to_run", "To the run", show=False, priority=True),
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
        make_session: MakeSession = real_session,
        auto_pause: float = 0.6,
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
        self.draft = Draft(document, istioctl)
        self.session: SessionLike | None = None
        self.active_run: Run | None = None
        self.farewell = ""
        self._resume = resume
        self._make_session = make_session
        self._auto = auto
        self._auto_pause = auto_pause
        self._leaving = False
        self._too_small = False
        try:
            self.register_theme(THEME)
            self.theme = "ansi-dark" if self.colourless else "meshwizard"
        except InvalidThemeError:  # pragma: no cover - a Textual without ANSI themes
            self.theme = "textual-dark"

    def get_css_variables(self) -> dict[str, str]:
        """Two opaque colours of our own: lines of spans cannot blend transparent ones."""
        own = {"dim-text": "#8792a6", "cursor-row": "#243a5e"}
        if self.colourless:
            own = dict.fromkeys(own, "ansi_default")
        return {**super().get_css_variables(), **own}

    def on_mount(self) -> None:
        """The first screen."""
        self.push_screen(screen_of("start"))
        if self._resume:
            name = self._resume
            self.call_after_refresh(lambda: self.resume(name))
        self.set_interval(1 / 15, self._drain)
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
        message.call()

    def _tell(self, trouble: Trouble) -> None:
        self.stage.say(f"{trouble.what} {trouble.remedy}".strip(), wrong=True)

    # -- screens

    @property
    def stage(self) -> WizardScreen:
        """The wizard screen that is shown, below whatever dialog lies over it."""
        from screens.base import WizardScreen

        for screen in reversed(self.screen_stack):
            if isinstance(screen, WizardScreen):
                return screen
        raise RuntimeError("no wizard screen is shown")

    def go(self, stage: str) -> None:
        """Show that stage."""
        self.switch_screen(screen_of(stage))

    def on_resize(self) -> None:
        """Below 80×24 a sentence says so; the screens stay as they are underneath."""
        small = self.size.width < NEEDED[0] or self.size.height < NEEDED[1]
        if small == self._too_small or len(self.screen_stack) < 2:
            return
        self._too_small = small
        if small:
            from screens.small import TooSmall

            self.push_screen(TooSmall())

    def no_longer_small(self) -> None:
        """Called by the sentence when it goes."""
        self._too_small = False

    # -- the run

    def make_session(self, mesh: Mesh) -> SessionLike:
        """A session for this mesh; the one before is closed."""
        if self.session and not (self.active_run and self.active_run.session is self.session):
            threading.Thread(target=self.session.close, daemon=True).start()  # closing may wait for connections
        self.session = self._make_session(mesh, self.outside, self.folder, self.draft.istioctl)
        return self.session

    def start_run(self) -> None:
        """Begin the install of the session that was reviewed."""
        from screens.run import Run

        if self.session is None or self.running:
            return
        self.active_run = Run(self.session)
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
        needs = " needs you" if view.broken and not view.active else ""
        sign = "*" if self.ascii else "●"
        return f"{sign} {self.active_run.session.mesh.name} is running{needs} {view.passed}/{len(view.steps)} · Ctrl+R"

    def _drain(self) -> None:
        run = self.active_run
        if run is None:
            return
        news = run.drain()
        if len(self.screen_stack) > 1 and (news or run.alive):
            shown = self.stage
            shown_run = getattr(shown, "show_run", None)
            if shown_run:
                shown_run(news)
            elif news:
                shown.show_head()

    def action_return_to_run(self) -> None:
        """Back to the install that goes on."""
        if self.active_run and not self._too_small and len(self.screen_stack) == 2:
            self.go("install")

    def resume(self, name: str) -> None:
        """Go on with a saved mesh: connect, then install."""

        def load() -> SessionLike:
            from wizard.mesh.document import document_of
            from wizard.session import saved_mesh

            mesh, _ = saved_mesh(self.folder, name)
            session = self.make_session(mesh)
            session.prepare()
            self.draft.fill(document_of(session.mesh))
            return session

        def loaded(_: SessionLike) -> None:
            self.start_run()
            self.go("install")

        def failed(trouble: Trouble) -> None:
            self.stage.say(f"{trouble.what} {trouble.remedy}".strip(), wrong=True)
            self.stage.refresh_bindings()
            self.farewell = f"{trouble.what}\n{trouble.remedy}".strip()
            self._resume_code = trouble.exit_code

        self.stage.say(f"Connecting to the clusters of {name} …")
        self.background(load, loaded, failed)

    _resume_code = 130

    # -- the end

    def action_leave(self) -> None:
        """Leave; while something runs, ask what should become of it."""
        from screens.dialogs import Confirm

        if self._too_small or not self.running:
            self.finish()
            return
        if isinstance(self.screen, Confirm):
            return
        assert self.active_run is not None  # noqa: S101 - running
        view = self.active_run.view
        if view.active or not view.broken:
            text = "Steps at work are ended; what was done stays recorded, and a resume goes on from there."
        else:
            text = "What failed stays failed; what was done stays recorded, and a resume goes on from there."

        def answered(yes: bool | None) -> None:
            if yes:
                self.stop_and_leave()

        self.push_screen(Confirm("Stop the install and leave?", text, "Stop and leave", "Go on"), answered)

    def stop_and_leave(self) -> None:
        """End the run, wait a moment for its last words, leave."""
        run = self.active_run
        if run is None or self._leaving:
            return
        self._leaving = True
        run.give_up()
        self.stage.say("Stopping: steps at work are being ended …")
        deadline = time.monotonic() + 15

        def look() -> None:
            if not run.alive or time.monotonic() > deadline:
                self.finish()

        self.set_interval(0.1, look)

    def finish(self) -> None:
        """Leave with the exit code and the farewell that fit what happened."""
        run, code = self.active_run, self._resume_code
        if run is not None:
            run.drain()
            ended, session = run.view.ended, run.session
            if ended is None:
                self.farewell = (
                    f"The install did not end in time; it is recorded.\nGo on with: {session.resume_command}"
                )
            elif ended.ok:
                code = 0
                self.farewell = self.summary()
            else:
                code = ended.exit_code or 1
                self.farewell = f"{ended.what}\n{ended.remedy}".strip()
                if self.outside.simulated:
                    self.farewell = f"{ended.what}\nIt was the demo: simulated clusters, nothing is left behind."
            if self.log_file and not (ended and ended.ok):
                self.farewell += f"\nLog: {self.log_file}"
        elif not self.farewell:
            self.farewell = "Nothing was changed."
        self.exit(code)

    def summary(self) -> str:
        """What stands now, and what to do next: for the last screen and for the normal one afterwards."""
        if self.active_run is None:
            return ""
        from wizard.mesh.drawing import draw

        view, session = self.active_run.view, self.active_run.session
        mesh = session.mesh
        picture = draw(mesh, links=view.board.links, counts=view.board.counts, ascii=self.ascii).plain()
        demo = (
            "Demo on simulated clusters: nothing outside this terminal was touched.\n" if self.outside.simulated else ""
        )
        said = f"Mesh {mesh.name} is verified: {view.passed} steps in {duration(view.elapsed)}."
        return f"{demo}{said}\n\n{picture}\n\n" + "\n".join(f"  {text:<34} {why}" for text, why in self.next_commands())

    def next_commands(self) -> list[tuple[str, str]]:
        """(command, what it does) for a mesh that stands."""
        from shlex import quote

        if self.outside.simulated:
            return [("meshwizard", "the same with your own clusters"), ("meshwizard --help", "everything else")]
        assert self.active_run is not None  # noqa: S101 - a mesh stands
        name = self.active_run.session.mesh.name
        place = ""
        if " --state-dir " in self.active_run.session.resume_command:
            place = f" --state-dir {quote(str(self.folder.folder))}"
        return [
            (f"meshwizard status {name}{place}", "every step probed afresh"),
            (f"meshwizard verify {name}{place}", "traffic from every cluster to every cluster"),
            (f"meshwizard uninstall {name}{place}", "takes back only what was made"),
        ]
