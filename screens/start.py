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
from wizard.messages import counted, joined, msg
from wizard.messages.catalogue import rendered, tr
from wizard.messages.cells import padded
from wizard.text import one_line, quoted

if TYPE_CHECKING:
    from state import MeshState, StateFolder
    from state.records import Unreadable

EMBLEM = {"clusters": [{"name": "cluster1", "network": "network1"}, {"name": "cluster2", "network": "network2"}]}
NEW, RUNNING, WHY = "new", "running", "why"
ONE_AT_A_TIME = msg("One install at a time: the other one is still running (Ctrl+R).")
STATUS = {
    "running": msg("running"),
    "done": msg("done"),
    "failed": msg("failed"),
    "skipped": msg("skipped"),
    "undoing": msg("undoing"),
    "undone": msg("undone"),
}


class StartScreen(WizardScreen):
    """A new mesh, and those that are recorded."""

    STAGE = "start"
    HEADING = msg("Start")
    HINT = msg("Nothing is changed before the review: every step is shown first, with the commands that do the same.")
    ABOUT = msg("Begin a new mesh, go on with one that is unfinished, or look at what is recorded of one.")
    NEXT_LABEL = msg("Go")
    BACK_LABEL = ""
    CSS_PATH = "start.tcss"
    SHARED_CSS = ("wizard.tcss",)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "inspect", msg("Inspect")),
        Binding("w", "why", msg("Why")),
        Binding("e", "change", msg("Edit")),
        Binding("q", "app.leave", msg("Quit")),
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
                tr(
                    "meshwizard joins clusters into one Istio mesh: it finds what is there, shows what it will do, does it, "
                    "and proves that every cluster answers every other."
                )
            ),
            classes="lead",
            markup=False,
        )
        yield OptionList(
            Option(_prompt(msg("New mesh"), msg("choose contexts, topology, names")), id=NEW),
            id="choices",
            markup=False,
        )

    def first_focus(self) -> OptionList:
        """What one can do."""
        return self._options()

    def arrived(self) -> None:
        """List what is recorded; that reads files, so not here."""
        self.query_one(Picture).draw(EMBLEM)
        if self.wizard.running and self.wizard.active_run:
            name = self.wizard.active_run.prepared.mesh.name
            prompt = _prompt(msg("Back to {mesh}", mesh=name), msg("its install goes on"))
            self._options().add_option(Option(prompt, id=RUNNING))
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
        self._options().add_option(
            Option(_prompt(msg("Why no answer?"), msg("find out why a mesh does not answer")), id=WHY)
        )
        unfinished = [state for state in self._states.values() if isinstance(state, MeshState) and not state.finished]
        if unfinished and not self._options().highlighted:
            self.say(
                counted(
                    "{count} unfinished: choose it and press Enter to go on where it stopped.",
                    "{count} unfinished: choose it and press Enter to go on where it stopped.",
                    len(unfinished),
                )
            )

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
            what = getattr(state, "what", "") or msg(
                "{mesh} is being uninstalled; use `meshwizard uninstall {name}`",
                mesh=state.name,
                name=quoted(state.name),
            )
            return one_line(rendered(joined((what, getattr(state, "remedy", "")), " "))), self._options()
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
            self.say(ONE_AT_A_TIME, wrong=True)
        elif choice == WHY:
            self.action_why()
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
            self.say(msg("Choose a recorded mesh to edit: to let clusters join or leave it."))
        elif self.wizard.running:
            self.say(ONE_AT_A_TIME, wrong=True)
        else:
            self.wizard.change(document_in(state, self.wizard.folder))

    def action_why(self) -> None:
        """Why the highlighted mesh, or the only one, does not answer; of other meshes, how to find out."""
        from screens.dialogs import Help
        from screens.why import OTHERS, find_out

        state = self._chosen() or (next(iter(self._states.values())) if len(self._states) == 1 else None)
        if state is not None:
            find_out(self, state.name)
        elif self._states:
            self.say(msg("Choose a recorded mesh and press W."))
        else:
            self.app.push_screen(Help(msg("Why does a mesh not answer?"), OTHERS))

    def action_inspect(self) -> None:
        """What is recorded of the highlighted mesh."""
        from screens.dialogs import Help

        state = self._chosen()
        if state is None:
            self.say(msg("Choose a recorded mesh to inspect; `meshwizard status NAME` also looks at its clusters."))
            return
        self.app.push_screen(Help(msg("Mesh {mesh}", mesh=state.name), _inspection(state)))


def _summaries(folder: StateFolder) -> list[MeshState | Unreadable]:
    from state import StateError
    from wizard.errors import state_trouble

    try:
        return folder.summaries()
    except StateError as error:
        raise state_trouble(error) from error


def _prompt(title: str, rest: str) -> Content:
    name = one_line(rendered(title), 40)
    return Content.assemble((padded(name, 26), "bold"), (one_line(rendered(rest), 160), "dim"))


def _can_go_on(state: MeshState | Unreadable) -> bool:
    return getattr(state, "operation", "uninstall") != "uninstall"


def _told(state: MeshState | Unreadable) -> tuple[str, str]:
    from state import MeshState

    if not isinstance(state, MeshState):
        return msg("{mesh}: unreadable", mesh=state.name), state.what
    done = sum(record.status == "done" for record in state.steps.values())
    when = state.updated.replace("T", " ")[:16]
    if state.finished:
        gone = state.operation == "uninstall"
        told = msg("uninstalled {when}", when=when) if gone else msg("installed {when}", when=when)
        return msg("Check {mesh} again", mesh=state.name), told
    failed = [step for step, record in state.steps.items() if record.status == "failed"]
    if failed:
        far = counted(
            "{count} steps done, failed at {step}, {when}",
            "{count} steps done, failed at {step}, {when}",
            done,
            step=failed[0],
            when=when,
        )
    else:
        far = counted("{count} steps done, {when}", "{count} steps done, {when}", done, when=when)
    return msg("Resume {mesh}", mesh=state.name), far


def _inspection(state: MeshState | Unreadable) -> str:
    from state import MeshState
    from wizard.mesh.drawing import draw

    if not isinstance(state, MeshState):
        return one_line(rendered(joined((state.what, state.remedy), " ")), 1000)
    lines = [
        draw(state.document, width=60, say=rendered).plain(),
        "",
        tr("updated {when} by {writer}", when=state.updated, writer=state.written_by or "meshwizard"),
        "",
    ]
    for step, record in state.steps.items():
        status = padded(STATUS.get(record.status, record.status), 8)
        lines.append(f"{status} {one_line(step, 60)}  {one_line(rendered(record.detail), 120)}".rstrip())
    lines += ["", tr("`meshwizard status {name}` probes every step afresh.", name=quoted(state.name))]
    return "\n".join(lines)
