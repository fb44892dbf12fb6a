"""Review: every step with its differences, and the commands that do the same. Nothing was changed until here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static, TabbedContent, TabPane

from screens.base import Refusal, WizardScreen
from screens.draft import stage_of
from screens.filtering import Filter
from screens.lines import Line, Lines, Piece, spans
from screens.picture import Picture
from screens.stages import TITLES
from wizard.errors import BadInput, Trouble
from wizard.messages import counted, joined, msg
from wizard.messages.catalogue import rendered, tr
from wizard.messages.cells import padded, widest
from wizard.text import listing, one_line

if TYPE_CHECKING:
    from wizard.engine.progress import Look
    from wizard.engine.step import Plan, Step
    from wizard.operations.operation import Operation
    from wizard.operations.prepared import Prepared

MOST_LINES = 500_000  # two hundred clusters with all their remote secrets, from the first line on
Found = tuple["Step", list[Line]]  # a step, and what is shown of it
SIGNS = {"ok": "✓ ", "broken": "✗ ", "working": "● ", "waiting": "○ "}
PLAIN_SIGNS = {"ok": "+ ", "broken": "x ", "working": "* ", "waiting": ". "}
TABS = {"drawing": msg("Drawing"), "steps": msg("Steps"), "commands": msg("Commands")}
WORDS = {  # what a look at a step found
    "first": msg("checked first"),
    "done": msg("done"),
    "needed": msg("to do"),
    "conflict": msg("conflict"),
    "trouble": msg("trouble"),
}
AGAIN = msg("Look again: R on the review screen.")
DIFFERENCES = 6  # shown per step; the plan command shows all


class ReviewScreen(WizardScreen):
    """What will be done, step by step, compared with what the clusters hold now."""

    STAGE = "review"
    HEADING = msg("Review: nothing was changed yet")
    ABOUT = msg(
        "What will be done, step by step, compared with what the clusters hold now. Install is the first thing that changes "
        "anything; a conflict or an unreachable cluster is settled before."
    )
    NEXT_LABEL = msg("Install")
    CSS_PATH = "review.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "tab('drawing')", TABS["drawing"], show=False),
        Binding("2", "tab('steps')", TABS["steps"], show=False),
        Binding("3", "tab('commands')", TABS["commands"], show=False),
        Binding("c", "copy", msg("Copy commands")),
        Binding("s", "save", msg("Save mesh file")),
        Binding("r", "again", msg("Look again")),
        Binding(
            "slash",
            "find",
            msg("Filter"),
            key_display="/",
            tooltip=msg("Show only steps with this in their cluster or title"),
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._operation: Operation | None = None  # what begins where it is agreed to
        self._obstacles: list[str] = []
        self._looking = False
        self._looked = False
        self._steps: list[Found] = []
        self._typed: list[Found] = []

    def body(self) -> ComposeResult:
        """Three views of one plan."""
        yield Filter()
        with TabbedContent(initial="drawing"):
            with TabPane(Content(f"1 {rendered(TABS['drawing'])}"), id="drawing"):
                yield Picture(id="picture", ascii_only=self.wizard.ascii)
                yield Lines(id="summary", wrap=True)
            with TabPane(Content(f"2 {rendered(TABS['steps'])}"), id="steps"):
                yield Lines(id="step-lines", wrap=True, most=MOST_LINES)
            with TabPane(Content(f"3 {rendered(TABS['commands'])}"), id="commands"):
                yield Static(tr("What a person could type instead; C copies it."), classes="note", markup=False)
                yield Lines(id="command-lines", most=MOST_LINES, sideways=True)

    def first_focus(self) -> None:
        """Nothing until there is something to confirm."""

    def arrived(self) -> None:
        """Look."""
        self.action_again()

    # -- looking

    def action_again(self) -> None:
        """Prepare the mesh and compare it with the clusters."""
        if self._looking:
            return
        from wizard.mesh.document import mesh_from

        document = self.wizard.draft.document()
        self.query_one(Picture).draw(document)
        try:
            mesh = mesh_from(self.wizard.draft.wanted())
        except BadInput as bad:
            self._refused(bad)
            return
        self._looking, self._looked, self._obstacles = True, False, []
        self.say(msg("Looking at the clusters; this changes nothing …"))
        self.query_one("#summary", Lines).show([[Piece(tr("Comparing every step with the clusters …"), "working")]])
        signs = PLAIN_SIGNS if self.wizard.ascii else SIGNS

        def look() -> tuple[Operation, dict[str, Look], list[Found], list[Found]]:
            from wizard.operations.choice import first
            from wizard.operations.recorded import state_of

            made = self.wizard.prepare(mesh)
            looks = made.look()
            shown = made.approval(looks, AGAIN)
            operation = first(made, state_of(made.folder, made.mesh.name), agreed=shown)
            # Fifty clusters make some fifty thousand lines: the keys should not wait for them.
            steps = [(step, list(_step(step, looks.get(step.id), signs))) for step in made.plan.steps]
            return operation, looks, steps, [(step, list(_commands(step))) for step in made.plan.steps]

        self.wizard.background(look, lambda found: self._compared(*found), self._refused)

    def _refused(self, trouble: Trouble) -> None:
        self._looking, self._looked = False, True
        lines: list[Line] = [[Piece(self._sign("broken")), Piece(rendered(one_line(trouble.what, 900)), "broken")]]
        for mistake in getattr(trouble, "mistakes", ()):
            where = tr("(screen {screen})", screen=TITLES[stage_of(mistake.path)])
            told = rendered(one_line(mistake.told, 600))
            lines.append([Piece("   "), Piece(told), Piece(f"  {where}", "muted")])
        if trouble.remedy:
            lines.append([Piece("  "), Piece(rendered(one_line(trouble.remedy, 900)))])
        self._obstacles = [one_line(joined((trouble.what, trouble.remedy), " "))]
        if self.stands:
            self.query_one("#summary", Lines).show(lines)
            self.say(self._obstacles[0], wrong=True)

    def _sign(self, role: str) -> str:
        return (PLAIN_SIGNS if self.wizard.ascii else SIGNS)[role]

    def _compared(self, operation: Operation, looks: dict[str, Look], steps: list[Found], typed: list[Found]) -> None:
        self._looking, self._looked, self._operation = False, True, operation
        if not self.stands:
            return
        prepared = operation.prepared
        self._obstacles = list(_obstacles(prepared.plan, looks))
        self.query_one(Picture).draw(prepared.mesh)
        self.query_one("#summary", Lines).show(self._summary(prepared, looks))
        self._steps, self._typed = steps, typed
        self._show_only("")
        if self._obstacles:
            self.say(self._obstacles[0], wrong=True)
        else:
            self.say("")
            self.query_one("#next").focus()

    def _summary(self, prepared: Prepared, looks: dict[str, Look]) -> Iterator[Line]:
        from wizard.engine.step import Done, Needed
        from wizard.mesh.files import files_of

        done = sum(isinstance(look, Done) for look in looks.values())
        needed = sum(isinstance(look, Needed) for look in looks.values())
        istio = prepared.mesh.istio
        from_there = msg(
            "{istio} from {hub} with {istioctl}",
            istio=msg("Istio {version}", version=istio.version or "?"),
            hub=one_line(istio.hub),
            istioctl=one_line(prepared.world.istioctl.path),
        )
        yield spans(from_there, istio="name", istioctl="label")
        to_do = msg(
            "{steps} for {clusters}: {needed}, {done}",
            steps=counted("{count} steps", "{count} steps", len(prepared.plan.steps)),
            clusters=_named([cluster.name for cluster in prepared.mesh.clusters]),
            needed=counted("{count} to do", "{count} to do", needed),
            done=counted("{count} done already", "{count} done already", done),
        )
        yield spans(to_do, steps="name", needed="working", done="ok")
        for file in files_of(prepared.mesh):
            yield spans(msg("file {file}", file=one_line(file.told, 600)), "muted", file="label")
        for obstacle in self._obstacles:
            yield [Piece(self._sign("broken"), "broken"), Piece(rendered(obstacle), "broken")]
        if not self._obstacles:
            yield [Piece(tr("2 shows the steps, 3 the commands that do the same. Install begins the work."), "muted")]

    # -- filtering

    def _show_only(self, text: str) -> None:
        """The steps with this in their cluster or title."""
        wanted = text.lower()
        for place, found in (("#step-lines", self._steps), ("#command-lines", self._typed)):
            lines = [
                line
                for step, lines in found
                if wanted in f"{step.cluster or ''} {rendered(step.title)}".lower()
                for line in lines
            ]
            self.query_one(place, Lines).show(lines)

    def action_find(self) -> None:
        """Ask which steps to show."""
        if self.query_one(TabbedContent).active == "drawing":
            self.query_one(TabbedContent).active = "steps"
        self.query_one(Filter).open()

    @on(Filter.Typed)
    def _filter(self, event: Filter.Typed) -> None:
        event.stop()
        self._show_only(event.text)

    @on(Filter.Left)
    def _filtered(self, event: Filter.Left) -> None:
        event.stop()
        self.action_tab(self.query_one(TabbedContent).active)

    # -- doing

    def ready(self) -> bool:
        """Once the clusters were looked at."""
        return self._looked

    def awaits(self) -> str:
        """The look at the clusters."""
        return "" if self._looked else msg("Still looking at the clusters.")

    def refuse(self) -> Refusal | None:
        """Nothing stands in the way."""
        if self.wizard.running:
            return msg("Another install is running; Ctrl+R shows it."), None
        if self._obstacles:
            return self._obstacles[0], self.query_one("#step-lines", Lines)
        return None

    def leave(self) -> None:
        """Begin, once it was agreed to what leaves the mesh."""
        leaving = self._operation.prepared.leaving if self._operation else ()
        if not leaving:
            self._begin(True)
            return
        from screens.dialogs import Confirm

        names = listing(one_line(cluster.name, 63) for cluster in leaving)
        text = msg(
            "{clusters} belonged to this mesh and is not in it any more. What the wizard made there is taken back first, and "
            "the other clusters forget it. For a cluster that is gone for good: `meshwizard apply --forget NAME`.",
            clusters=names,
        )
        question = msg("Take {clusters} out of the mesh?", clusters=names)
        self.app.push_screen(Confirm(question, text, msg("Take it out"), msg("Back")), self._begin)

    def _begin(self, agreed: bool | None) -> None:
        if agreed and self._operation:
            self.wizard.start_run(self._operation)
            self.wizard.go("install")

    def action_tab(self, tab: str) -> None:
        """Show that view, and let the keys scroll it."""
        self.query_one(TabbedContent).active = tab
        target = {"steps": "#step-lines", "commands": "#command-lines", "drawing": "#summary"}[tab]
        self.call_after_refresh(self.query_one(target).focus)

    def action_copy(self) -> None:
        """The commands into the terminal's clipboard."""
        lines = self.query_one("#command-lines", Lines)
        self.app.copy_to_clipboard(lines.text)
        sent = msg("The commands were sent to the terminal's clipboard (OSC 52).")
        self.say(sent if lines.text else msg("Nothing to copy yet."))

    def action_save(self) -> None:
        """As a mesh file."""
        from screens.saving import save_mesh

        if self._operation is None:
            self.say(msg("The mesh is saved once it was looked at."), wrong=True)
            return
        save_mesh(self, self._operation.prepared.mesh)


def _named(clusters: Sequence[str]) -> str:
    """The first of them by their names."""
    names, more = listing(clusters[:6]), len(clusters) - 6
    return (
        counted("{clusters} and {count} more", "{clusters} and {count} more", more, clusters=names)
        if more > 0
        else names
    )


def _step(step: Step, look: Look | None, signs: Mapping[str, str]) -> Iterator[Line]:
    from wizard.engine.step import Conflict, Done, Needed

    role, found, rest = "waiting", "first", list[str]()
    match look:
        case Done(note):
            role, found, rest = "ok", "done", [note] if note else []
        case Needed(differences):
            role, found, rest = "working", "needed", [one.told for one in differences[:DIFFERENCES]]
            more = len(differences) - DIFFERENCES
            if more > 0:
                rest.append(
                    counted(
                        "and {count} more; `meshwizard plan` shows all",
                        "and {count} more; `meshwizard plan` shows all",
                        more,
                    )
                )
        case Conflict(what, remedy):
            role, found, rest = "broken", "conflict", [what, remedy]
        case Trouble():
            role, found, rest = "broken", "trouble", [look.what, look.remedy]
        case _:
            pass
    where = f"{step.cluster}: " if step.cluster else ""
    head = signs[role] + padded(WORDS[found], widest(WORDS.values()) + 1)
    yield [Piece(head, role), Piece(where, "box"), Piece(rendered(one_line(step.title)), "name")]
    for text in rest:
        if text:
            told = rendered(one_line(text, 400))
            yield [Piece(" " * cell_len(head)), Piece(told, "broken" if role == "broken" else "muted")]


def _obstacles(plan: Plan, looks: dict[str, Look]) -> Iterator[str]:
    from wizard.engine.step import Conflict

    said = set()
    for step in plan.steps:
        look = looks.get(step.id)
        if isinstance(look, Conflict | Trouble) and look.what not in said:
            said.add(look.what)
            told = joined((look.what, look.remedy), " ")
            if step.cluster:
                told = msg("{cluster}: {problem}", cluster=step.cluster, problem=told)
            yield one_line(told, 600)


def _commands(step: Step) -> Iterator[Line]:
    commands = step.commands()
    if not commands:
        return
    where = f"{step.cluster}: " if step.cluster else ""
    yield [Piece(f"# {where}{rendered(one_line(step.title))}", "title")]
    for command in commands:
        if command.why:
            yield [Piece(f"# {rendered(one_line(command.why))}", "muted")]
        for line in command.text.splitlines():
            yield [Piece(line, "command")]
    yield []
