"""What only a person can do: the exact text, what is waited for, and for how long. The other steps go on beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.host import Host
from screens.run import RunView, StepView
from screens.steplist import waited
from wizard.engine.events import PersonNeeded
from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr
from wizard.text import one_line, printable

LOOK = 0.25  # seconds between two looks at what is waited for


class Manual(ModalScreen[None]):
    """Shows the manual steps of a run, one at a time. It goes by itself when nothing waits for a person any more."""

    AUTO_FOCUS = ".dialog-body"
    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,m,enter", "hide", msg("Hide"), show=False),
        Binding("c", "copy", msg("Copy"), show=False),
        Binding("right,n", "other(1)", msg("Next"), show=False),
        Binding("left,p", "other(-1)", msg("Previous"), show=False),
        Binding("q", "app.leave", msg("Leave"), show=False),
    ]

    def __init__(self, view: Callable[[], RunView | None], first: str = "") -> None:
        """`first`: the step to begin with."""
        super().__init__()
        self._view = view
        self._step = first
        self._shown = ""
        self._count = 0

    def compose(self) -> ComposeResult:
        """Whose it is, what to do, what is waited for, the keys."""
        with Vertical(classes="dialog -wide"):
            yield Static("", classes="dialog-title", markup=False)
            yield Static("", id="manual-what", markup=False)
            with VerticalScroll(classes="dialog-body"):
                yield Static("", id="manual-text", markup=False)
            yield Static("", id="manual-waits", markup=False)
            yield Static("", classes="dialog-keys", markup=False)

    def on_mount(self) -> None:
        """Show it, and keep it true."""
        self._look()
        self.set_interval(LOOK, self._look)

    @property
    def _wanted(self) -> list[PersonNeeded]:
        view = self._view()
        return list(view.wanted.values()) if view and not view.ended else []

    def _look(self) -> None:
        wanted = self._wanted
        if not wanted:
            if self.app.screen is self:
                self.dismiss(None)
            return
        now = next((one for one in wanted if one.step == self._step), wanted[0])
        if now.step != self._shown:
            self._show(now)
        if len(wanted) != self._count:
            self._count = len(wanted)
            self._tell_keys()
        title = (
            tr("You are needed in {cluster}", cluster=now.cluster) if now.cluster else tr("You are needed in the mesh")
        )
        if len(wanted) > 1:
            title += f"  {tr('{number} of {total}', number=wanted.index(now) + 1, total=len(wanted))}"
        self.query_one(".dialog-title", Static).update(Content(title))
        view = self._view()
        step = view.steps.get(now.step) if view else None
        self.query_one("#manual-waits", Static).update(Content(rendered(one_line(_seen(step), 400))))

    def _show(self, wanted: PersonNeeded) -> None:
        self._step = self._shown = wanted.step
        self.query_one("#manual-what", Static).update(Content(rendered(one_line(wanted.what, 600))))
        self.query_one("#manual-text", Static).update(Content(_instructions(wanted)))
        self._tell_keys()

    def _tell_keys(self, said: str = "") -> None:
        keys = [tr("C copy"), tr("Esc hide, M shows it"), tr("Q leave and resume later")]
        if len(self._wanted) > 1:
            arrows = tr("Left/Right") if cast("Host", self.app).ascii else "←→"
            keys.insert(1, tr("{arrows} others", arrows=arrows))
        self.query_one(".dialog-keys", Static).update(Content(f"{said}\n{'  '.join(keys)}".lstrip()))

    def action_copy(self) -> None:
        """What is selected with the mouse, or the whole text."""
        wanted = next((one for one in self._wanted if one.step == self._shown), None)
        if wanted:
            self.app.copy_to_clipboard(self.get_selected_text() or _instructions(wanted))
            self._tell_keys(tr("Sent to the terminal's clipboard (OSC 52)."))

    def action_other(self, by: int) -> None:
        """Another of the manual steps."""
        steps = [one.step for one in self._wanted]
        if steps:
            self._step = steps[(steps.index(self._shown) + by) % len(steps)] if self._shown in steps else steps[0]
            self._look()

    def action_hide(self) -> None:
        """Out of the way; the step goes on waiting."""
        self.dismiss(None)


def _instructions(wanted: PersonNeeded) -> str:
    return rendered(printable(wanted.instructions, 20_000))


def _seen(step: StepView | None) -> str:
    """What was seen of that which this step waits for."""
    if step is None or step.waits is None:
        return msg("Nothing was seen of it yet.")
    if not step.waits.seen:
        return msg("Waiting for {time}.", time=waited(step))
    return msg("Waiting for {time}. Seen last: {seen}", time=waited(step), seen=step.waits.seen)
