"""Start: a new mesh, or one that is unfinished or stands already."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.base import Refusal, WizardScreen
from screens.picture import Picture
from wizard.text import one_line, quoted

if TYPE_CHECKING:
    from state import MeshState, StateFolder
    from state.records import Unreadable

EMBLEM = {"clusters": [{"name": "cluster1", "network": "network1"}, {"name": "cluster2", "network": "network2"}]}
NEW, RUNNING = "new", "running"


class StartScreen(WizardScreen):
    """Begin a new mesh, go on with one that is unfinished, or look at what is recorded of one."""

    STAGE = "start"
    HEADING = "Start"
    HINT = "Nothing is changed before the review: every step is shown first, with the commands that do the same."
    NEXT_LABEL = "Go"
    BACK_LABEL = ""
    CSS_PATH = "start.tcss"
    SHARED_CSS = ("wizard.tcss",)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "inspect", "Inspect"),
        Binding("e", "change", "Edit"),
        Binding("q", "app.leave", "Quit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._states: dict[str, MeshState | Unreadable] = {}
        self._loaded = False

    def body(self) -> ComposeResult:
        """What the program is, and what one can do."""
        yield Picture(id="emblem", ascii_only=self.wizard.ascii)
        yield Static(
            Content(
                "meshwizard joins clusters into one Istio mesh: it finds what is there, shows what it will do, does it, "
                "and proves that every cluster answers every other."
            ),
            classes="lead",
            markup=False,
        )
        yield OptionList(
            Option(_prompt("New mesh", "choose contexts, topology, names"), id=NEW), id="choices", markup=False
        )

    def first_focus(self) -> OptionList:
        """What one can do."""
        return self._options()

    def arrived(self) -> None:
        """List what is recorded; that reads files, so not here."""
        self.query_one(Picture).draw(EMBLEM)
        if self.wizard.running and self.wizard.active_run:
            name = self.wizard.active_run.prepared.mesh.name
            self._options().add_option(Option(_prompt(f"Back to {name}", "its install goes on"), id=RUNNING))
            self._options().highlighted = 1
        else:
            self._options().highlighted = 0
        self.wizard.background(lambda: _summaries(self.wizard.folder), self._listed)

    def _options(self) -> OptionList:
        return self.query_one("#choices", OptionList)

    def _listed(self, found: list[MeshState | Unreadable]) -> None:
        self._loaded = True
        if not self.stands:
            return
        run = self.wizard.active_run
        busy = run.prepared.mesh.name if run and run.alive else ""
        from state import MeshState

        for state in sorted(found, key=lambda state: isinstance(state, MeshState) and state.finished):
            if state.name == busy:
                continue
            self._states[state.name] = state
            self._options().add_option(Option(_prompt(*_told(state)), id=f"mesh:{state.name}"))
        unfinished = [state for state in self._states.values() if isinstance(state, MeshState) and not state.finished]
        if unfinished and not self._options().highlighted:
            self.say(f"{len(unfinished)} unfinished: choose it and press Enter to go on where it stopped.")

    def ready(self) -> bool:
        """Once the recorded meshes are listed."""
        return self._loaded

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_next()

    def refuse(self) -> Refusal | None:
        """Only a finished or unreadable mesh cannot be gone on with."""
        state = self._chosen()
        if state is not None and not _can_go_on(state):
            what = (
                getattr(state, "what", "")
                or f"{state.name} is being uninstalled; use `meshwizard uninstall {quoted(state.name)}`"
            )
            return one_line(f"{what} {getattr(state, 'remedy', '')}"), self._options()
        return None

    def _chosen(self) -> MeshState | Unreadable | None:
        options = self._options()
        if options.highlighted is None:
            return None
        name = options.get_option_at_index(options.highlighted).id or NEW
        return self._states.get(name.removeprefix("mesh:")) if name.startswith("mesh:") else None

    def leave(self) -> None:
        """New, resumed, or back to what runs."""
        options = self._options()
        choice = options.get_option_at_index(options.highlighted or 0).id or NEW
        if choice == RUNNING:
            self.wizard.go("install")
        elif self.wizard.running:
            self.say("One install at a time: the other one is still running (Ctrl+R).", wrong=True)
        elif choice == NEW:
            self.wizard.go("contexts")
        else:
            self.wizard.resume(choice.removeprefix("mesh:"))

    def action_change(self) -> None:
        """Take up the highlighted mesh's answers: clusters join and leave it, everything can be answered otherwise."""
        from state import MeshState
        from wizard.sharedstate import document_in

        state = self._chosen()
        if not isinstance(state, MeshState) or not _can_go_on(state):
            self.say("Choose a recorded mesh to edit: to let clusters join or leave it.")
        elif self.wizard.running:
            self.say("One install at a time: the other one is still running (Ctrl+R).", wrong=True)
        else:
            self.wizard.change(document_in(state, self.wizard.folder))

    def action_inspect(self) -> None:
        """What is recorded of the highlighted mesh."""
        from screens.dialogs import Help

        state = self._chosen()
        if state is None:
            self.say("Choose a recorded mesh to inspect; `meshwizard status NAME` also looks at its clusters.")
            return
        self.app.push_screen(Help(f"Mesh {state.name}", _inspection(state)))


def _summaries(folder: StateFolder) -> list[MeshState | Unreadable]:
    from state import StateError
    from wizard.errors import state_trouble

    try:
        return folder.summaries()
    except StateError as error:
        raise state_trouble(error) from error


def _prompt(title: str, rest: str) -> Content:
    return Content.assemble((f"{one_line(title, 40):<26}", "bold"), (one_line(rest, 160), "dim"))


def _can_go_on(state: MeshState | Unreadable) -> bool:
    return getattr(state, "operation", "uninstall") != "uninstall"


def _told(state: MeshState | Unreadable) -> tuple[str, str]:
    from state import MeshState

    if not isinstance(state, MeshState):
        return f"{state.name}: unreadable", state.what
    done = sum(record.status == "done" for record in state.steps.values())
    when = state.updated.replace("T", " ")[:16]
    if state.finished:
        verb = "uninstalled" if state.operation == "uninstall" else "installed"
        return f"Check {state.name} again", f"{verb} {when}"
    failed = [step for step, record in state.steps.items() if record.status == "failed"]
    stopped = f", failed at {failed[0]}" if failed else ""
    return f"Resume {state.name}", f"{done} steps done{stopped}, {when}"


def _inspection(state: MeshState | Unreadable) -> str:
    from state import MeshState
    from wizard.mesh.drawing import draw

    if not isinstance(state, MeshState):
        return one_line(f"{state.what} {state.remedy}", 1000)
    lines = [
        draw(state.document, width=60).plain(),
        "",
        f"updated {state.updated} by {state.written_by or 'meshwizard'}",
        "",
    ]
    for step, record in state.steps.items():
        lines.append(f"{record.status:<8} {one_line(step, 60)}  {one_line(record.detail, 120)}".rstrip())
    lines += ["", f"`meshwizard status {quoted(state.name)}` probes every step afresh."]
    return "\n".join(lines)
