"""Review: every step with its differences, and the commands that do the same. Nothing was changed until here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static, TabbedContent, TabPane

from screens.base import Refusal, WizardScreen
from screens.draft import stage_of
from screens.filtering import Filter
from screens.lines import Line, Lines, Piece
from screens.picture import Picture
from screens.stages import TITLES
from wizard.errors import BadInput, Trouble
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
AGAIN = "Look again: R on the review screen."
DIFFERENCES = 6  # shown per step; the plan command shows all


class ReviewScreen(WizardScreen):
    """What will be done, step by step, compared with what the clusters hold now. Install is the first thing that changes
    anything; a conflict or an unreachable cluster is settled before.
    """

    STAGE = "review"
    HEADING = "Review: nothing was changed yet"
    NEXT_LABEL = "Install"
    CSS_PATH = "review.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "tab('drawing')", "Drawing", show=False),
        Binding("2", "tab('steps')", "Steps", show=False),
        Binding("3", "tab('commands')", "Commands", show=False),
        Binding("c", "copy", "Copy commands"),
        Binding("s", "save", "Save mesh file"),
        Binding("r", "again", "Look again"),
        Binding(
            "slash", "find", "Filter", key_display="/", tooltip="Show only steps with this in their cluster or title"
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
            with TabPane("1 Drawing", id="drawing"):
                yield Picture(id="picture", ascii_only=self.wizard.ascii)
                yield Lines(id="summary", wrap=True)
            with TabPane("2 Steps", id="steps"):
                yield Lines(id="step-lines", wrap=True, most=MOST_LINES)
            with TabPane("3 Commands", id="commands"):
                yield Static("What a person could type instead; C copies it.", classes="note", markup=False)
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
        self.say("Looking at the clusters; this changes nothing …")
        self.query_one("#summary", Lines).show([[Piece("Comparing every step with the clusters …", "working")]])
        signs = PLAIN_SIGNS if self.wizard.ascii else SIGNS

        def look() -> tuple[Operation, dict[str, Look], list[Found], list[Found]]:
            from wizard.operations.recorded import state_of
            from wizard.operations.resumed import first

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
        lines: list[Line] = [[Piece(self._sign("broken")), Piece(one_line(trouble.what, 900), "broken")]]
        for mistake in getattr(trouble, "mistakes", ()):
            where = TITLES[stage_of(mistake.path)]
            lines.append([Piece("   "), Piece(one_line(mistake, 600)), Piece(f"  (screen {where})", "muted")])
        if trouble.remedy:
            lines.append([Piece("  "), Piece(one_line(trouble.remedy, 900))])
        self._obstacles = [one_line(f"{trouble.what} {trouble.remedy}")]
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
        yield [Piece(f"Istio {istio.version or '?'}", "name"), Piece(f" from {one_line(istio.hub)} with "),
               Piece(one_line(prepared.world.istioctl.path))]  # fmt: skip
        clusters = listing(cluster.name for cluster in prepared.mesh.clusters[:6])
        more = f" and {len(prepared.mesh.clusters) - 6} more" if len(prepared.mesh.clusters) > 6 else ""
        yield [Piece(f"{len(prepared.plan.steps)} steps", "name"), Piece(f" for {clusters}{more}: "),
               Piece(f"{needed} to do", "working"), Piece(", "), Piece(f"{done} done already", "ok")]  # fmt: skip
        for file in files_of(prepared.mesh):
            yield [Piece("file ", "muted"), Piece(one_line(file, 600))]
        for obstacle in self._obstacles:
            yield [Piece(self._sign("broken"), "broken"), Piece(obstacle, "broken")]
        if not self._obstacles:
            yield [Piece("2 shows the steps, 3 the commands that do the same. Install begins the work.", "muted")]

    # -- filtering

    def _show_only(self, text: str) -> None:
        """The steps with this in their cluster or title."""
        wanted = text.lower()
        for place, found in (("#step-lines", self._steps), ("#command-lines", self._typed)):
            lines = [
                line
                for step, lines in found
                if wanted in f"{step.cluster or ''} {step.title}".lower()
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
        return "" if self._looked else "Still looking at the clusters."

    def refuse(self) -> Refusal | None:
        """Nothing stands in the way."""
        if self.wizard.running:
            return "Another install is running; Ctrl+R shows it.", None
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
        text = (
            f"{names} belonged to this mesh and is not in it any more. What the wizard made there is taken back first, and "
            "the other clusters forget it. For a cluster that is gone for good: `meshwizard apply --forget NAME`."
        )
        self.app.push_screen(Confirm(f"Take {names} out of the mesh?", text, "Take it out", "Back"), self._begin)

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
        self.say(
            "The commands were sent to the terminal's clipboard (OSC 52)." if lines.text else "Nothing to copy yet."
        )

    def action_save(self) -> None:
        """As a mesh file."""
        from screens.saving import save_mesh

        if self._operation is None:
            self.say("The mesh is saved once it was looked at.", wrong=True)
            return
        save_mesh(self, self._operation.prepared.mesh)


def _step(step: Step, look: Look | None, signs: Mapping[str, str]) -> Iterator[Line]:
    from wizard.engine.step import Conflict, Done, Needed

    role, word, rest = "waiting", "checked first", list[str]()
    match look:
        case Done(note):
            role, word, rest = "ok", "done", [note] if note else []
        case Needed(differences):
            role, word, rest = "working", "to do", [str(one) for one in differences[:DIFFERENCES]]
            if len(differences) > DIFFERENCES:
                rest.append(f"and {len(differences) - DIFFERENCES} more; `meshwizard plan` shows all")
        case Conflict(what, remedy):
            role, word, rest = "broken", "conflict", [what, remedy]
        case Trouble():
            role, word, rest = "broken", "trouble", [look.what, look.remedy]
        case _:
            pass
    where = f"{step.cluster}: " if step.cluster else ""
    yield [Piece(f"{signs[role]}{word:<14}", role), Piece(where, "box"), Piece(one_line(step.title), "name")]
    for text in rest:
        if text:
            yield [Piece(" " * 16), Piece(one_line(text, 400), "broken" if role == "broken" else "muted")]


def _obstacles(plan: Plan, looks: dict[str, Look]) -> Iterator[str]:
    from wizard.engine.step import Conflict

    said = set()
    for step in plan.steps:
        look = looks.get(step.id)
        if isinstance(look, Conflict | Trouble) and look.what not in said:
            said.add(look.what)
            where = f"{step.cluster}: " if step.cluster else ""
            yield one_line(f"{where}{look.what} {look.remedy}", 600)


def _commands(step: Step) -> Iterator[Line]:
    commands = step.commands()
    if not commands:
        return
    where = f"{step.cluster}: " if step.cluster else ""
    yield [Piece(f"# {where}{one_line(step.title)}", "title")]
    for command in commands:
        if command.why:
            yield [Piece(f"# {one_line(command.why)}", "muted")]
        for line in command.text.splitlines():
            yield [Piece(line, "command")]
    yield []
