"""What all screens of the wizard share: where one is, the demo's banner, help, the sentence, and the way back and on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from screens.button import Button
from screens.host import Host
from screens.stages import PATH, TITLES
from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr
from wizard.text import one_line

if TYPE_CHECKING:
    from wizard.mesh.fields import Field

Refusal = tuple[str, Widget | None]  # the sentence, and what should have the focus


class WizardScreen(Screen[None]):
    """One stage of the wizard."""

    STAGE: ClassVar[str] = ""
    HEADING: ClassVar[str] = ""
    HINT = ""  # what the help line says while no question has the focus
    ABOUT: ClassVar[str] = ""  # what it is for, as its help says
    NEXT_LABEL: ClassVar[str] = msg("Next")
    BACK_LABEL: ClassVar[str] = msg("Back")
    AUTO_FOCUS = ""
    # Styles are read when a screen that needs them is first shown: the first screen should not wait for all.
    SHARED_CSS: ClassVar[tuple[str, ...]] = ("wizard.tcss", "form.tcss")

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", msg("Back"), show=True),
        Binding("ctrl+n", "next", msg("Next"), show=True, priority=True),
        Binding("f1,question_mark", "help", msg("Help"), key_display="F1", show=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._built = False
        self.css_path = [*(Path(__file__).with_name(name) for name in self.SHARED_CSS), *self.css_path]

    @property
    def wizard(self) -> Host:
        """The app."""
        return cast("Host", self.app)

    @property
    def stands(self) -> bool:
        """Whether its widgets are there: what comes from a thread or a timer may find them not yet or no more so.

        When the app ends, a screen loses its widgets before it is detached itself.
        """
        return self._built and self.is_attached and self.app.is_running

    def compose(self) -> ComposeResult:
        """Header, the stage's own body, help, sentence and buttons, keys."""
        with Vertical(id="head"):
            yield Static("", id="where", markup=False)
            yield Static("", id="path", markup=False)
        with Vertical(id="body"):
            yield from self.body()
        yield Static("", id="help", markup=False)
        with Horizontal(id="actions"):
            yield Static("", id="sentence", markup=False)
            back, forth = rendered(self.BACK_LABEL), rendered(self.NEXT_LABEL)
            if back:
                yield Button(back if self.wizard.ascii else f"‹ {back}", id="back")
            if forth:
                yield Button(forth if self.wizard.ascii else f"{forth} ›", id="next")
        yield Footer(compact=True, show_command_palette=False)

    def body(self) -> ComposeResult:
        """The widgets of this stage."""
        yield from ()

    def on_mount(self) -> None:
        """Say where one is, and put the focus where the first answer goes."""
        self._built = True
        self.show_head()
        self.tell_help(None)
        self.arrived()
        first = self.first_focus()
        if first is not None:
            first.focus()

    def arrived(self) -> None:
        """The widgets are there: fill them."""

    def first_focus(self) -> Widget | None:
        """What has the focus at first."""
        chain = set(self.focus_chain)  # its order is by place, and nothing has its place yet
        inside = (widget for widget in self.query("#body *") if widget in chain)
        return next(inside, None) or next(iter(self.query("#next")), None)

    # -- where

    def show_head(self) -> None:
        """The two lines on top."""
        wizard = self.wizard
        demo = tr("DEMO – simulated clusters")
        right = wizard.running_marker(self.STAGE)
        parts = [(" meshwizard ", "bold")]
        if wizard.outside.simulated:
            parts.append((f" {demo} ", "bold $background on $warning" if not wizard.colourless else "reverse"))
        parts.append((f"  {rendered(self.HEADING)}", "bold"))
        used = sum(cell_len(text) for text, _ in parts)
        gap = max(2, self.size.width - used - cell_len(right) - 1)
        self.query_one("#where", Static).update(Content.assemble(*parts, " " * gap, (right, "bold")))
        self.query_one("#path", Static).update(self._path())

    def _path(self) -> Content:
        if self.STAGE not in PATH:
            return Content.styled(f" {tr('From kubeconfig contexts to a verified Istio mesh')}", "dim")
        here = PATH.index(self.STAGE)
        done, now, later = ("+", ">", ".") if self.wizard.ascii else ("✓", "●", "○")
        parts: list[tuple[str, str]] = []
        for index, stage in enumerate(PATH):
            glyph, style = (
                (done, "$text-success") if index < here else (now, "bold") if index == here else (later, "dim")
            )
            parts.append((f" {glyph}{rendered(TITLES[stage])}", style))
        return Content.assemble(*parts)

    def on_resize(self) -> None:
        """The head is aligned to the right edge."""
        self.show_head()

    # -- help and sentences

    @on(DescendantFocus)
    def _focused(self, event: DescendantFocus) -> None:
        from screens.fields import control_of

        control = control_of(event.widget)
        self.tell_help(control.field if control else None)

    def tell_help(self, field: Field | None) -> None:
        """The help line: of the question that has the focus, or of the screen."""
        text = tr("{question}: {help}", question=field.title, help=field.help) if field else rendered(self.HINT)
        place = self.query_one("#help", Static)
        place.update(Content(text))
        place.display = bool(text)

    def say(self, sentence: str, *, wrong: bool = False) -> None:
        """One sentence beside the buttons; `wrong` for what keeps one from going on."""
        place = self.query_one("#sentence", Static)
        sign = "x " if self.wizard.ascii else "✗ "
        told = rendered(sentence)
        place.update(Content(one_line(f"{sign}{told}" if wrong else told, 400)))
        place.set_class(wrong, "-wrong")

    @property
    def sentence(self) -> str:
        """What was said last."""
        return str(self.query_one("#sentence", Static).content)

    def action_help(self) -> None:
        """Help on the question that has the focus, or on the screen."""
        from screens.dialogs import Help, help_on
        from screens.fields import control_of

        control = control_of(self.focused)
        title, text = help_on(control.field) if control else (self.HEADING, self.screen_help())
        self.app.push_screen(Help(title, text))

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """The keys that do something now, with what they do in the person's language: the footer and the help show these."""
        return {key: _told(active) for key, active in super().active_bindings.items()}

    def screen_help(self) -> str:
        """The help text on the whole screen."""
        keys = "\n".join(
            dict.fromkeys(  # two keys that do the same may be shown as one
                f"{binding.key_display or binding.key:>10}  {binding.tooltip or binding.description}"
                for _, binding, enabled, _ in self.active_bindings.values()
                if enabled and binding.show and binding.description
            )
        )
        about = rendered(self.ABOUT) or (self.__class__.__doc__ or "").strip()
        return f"{about}\n\n{rendered(self.HINT)}\n\n{tr('Keys:')}\n{keys}"

    # -- the way

    def ready(self) -> bool:
        """Whether nothing is awaited any more, so that Next makes sense. The player of the demo waits for it."""
        return True

    def awaits(self) -> str:
        """What goes on by itself and must end before one can go on; empty: nothing. Nobody made a mistake then."""
        return ""

    def refuse(self) -> Refusal | None:
        """Why one cannot go on yet."""
        return None

    def leave(self) -> None:
        """Go on: the next stage."""
        self.wizard.go(PATH[PATH.index(self.STAGE) + 1])

    def action_next(self) -> None:
        """Go on, or say why not and put the focus there."""
        awaited = self.awaits()
        if awaited:
            self.say(f"{'...' if self.wizard.ascii else '…'} {rendered(awaited)}")
            return
        refusal = self.refuse()
        if refusal is None:
            self.leave()
            return
        sentence, widget = refusal
        self.say(sentence, wrong=True)
        if widget is not None:
            widget.focus()

    def close_filter(self) -> bool:
        """Show all rows again; False where none are filtered out."""
        for line in self.query("Filter.-open"):
            line.action_leave(True)  # type: ignore[attr-defined]  # only screens that filter know its class
            return True
        return False

    def action_back(self) -> None:
        """One stage back; Escape closes an open filter first."""
        if self.close_filter():
            return
        index = PATH.index(self.STAGE)
        self.wizard.go(PATH[index - 1] if index else "start")

    @on(Button.Pressed, "#next")
    def _next_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_next()

    @on(Button.Pressed, "#back")
    def _back_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Back and Next exist where their buttons do."""
        if action == "next":
            return bool(self.NEXT_LABEL)
        if action == "back":
            return bool(self.BACK_LABEL)
        return True

    def confirm(
        self, question: str, explanation: str, yes: str, then: Callable[[], object], no: str = msg("No")
    ) -> None:
        """Ask, and do it when the answer is yes."""
        from screens.dialogs import Confirm

        def answered(consent: bool | None) -> None:
            if consent:
                then()

        self.app.push_screen(Confirm(question, explanation, yes, no), answered)


def _told(active: ActiveBinding) -> ActiveBinding:
    binding = active.binding
    shown = replace(binding, description=rendered(binding.description), tooltip=rendered(binding.tooltip))
    return active._replace(binding=shown, tooltip=rendered(active.tooltip))
