"""Done: what stands, where things are kept, what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from screens.base import WizardScreen
from screens.farewell import next_commands
from screens.lines import Line, Lines, Piece, spans
from screens.picture import Picture
from wizard.messages import counted, msg
from wizard.messages.catalogue import rendered, tr
from wizard.messages.cells import padded, widest
from wizard.text import duration, one_line, quoted

ROOT_KEY, STATE, LOG = msg("Root key"), msg("State"), msg("Log")


class DoneScreen(WizardScreen):
    """What was made, and the ways on from there."""

    STAGE = "done"
    HEADING = msg("Done")
    ABOUT = msg("The mesh stands and is proven. Save it as a mesh file to repeat, extend or remove it later.")
    NEXT_LABEL = msg("Finish")
    CSS_PATH = "done.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", msg("Save mesh file")),
        Binding("c", "copy", msg("Copy commands")),
        Binding("q", "app.leave", msg("Quit"), show=False),
    ]

    def body(self) -> ComposeResult:
        """The drawing with its last counts, and the summary."""
        yield Picture(id="picture", ascii_only=self.wizard.ascii)
        yield Lines(id="summary", wrap=True)

    def first_focus(self) -> Lines:
        """The summary; Ctrl+N or Enter on Finish ends."""
        return self.query_one("#summary", Lines)

    def arrived(self) -> None:
        """Tell it."""
        run = self.wizard.active_run
        if run is None:
            return
        self.query_one(Picture).draw(
            run.prepared.mesh, run.view.board.links, run.view.board.counts, run.view.board.causes
        )
        self.query_one("#summary", Lines).show(self._summary())
        self.query_one("#next").focus()

    def _summary(self) -> Iterator[Line]:
        run = self.wizard.active_run
        if run is None:
            return
        mesh, view = run.prepared.mesh, run.view
        sign = "+" if self.wizard.ascii else "✓"
        verified = counted(
            "{mesh} is verified: {count} steps in {time}, {clusters}, Istio {version}",
            "{mesh} is verified: {count} steps in {time}, {clusters}, Istio {version}",
            view.passed,
            mesh=msg("Mesh {mesh}", mesh=mesh.name),
            time=duration(view.elapsed),
            clusters=counted("{count} clusters", "{count} clusters", len(mesh.clusters)),
            version=mesh.istio.version or "?",
        )
        yield spans(verified, before=f"{sign} ", mesh="ok")
        yield [_label(ROOT_KEY), Piece(rendered(one_line(run.prepared.world.roots.place))),
               Piece(f"  {tr('keep it: a new cluster needs it')}", "muted")]  # fmt: skip
        if not self.wizard.outside.simulated:
            yield [_label(STATE), Piece(rendered(one_line(self.wizard.folder.place)))]
        if self.wizard.log_file:
            yield [_label(LOG), Piece(one_line(self.wizard.log_file))]
        yield []
        yield [Piece(tr("Next"), "title")]
        for command, why in self._commands():
            yield [Piece(f"  {padded(command, 36)} ", "command"), Piece(why, "muted")]
        if not self.wizard.outside.simulated:
            export = f"meshwizard export -f {quoted(f'{mesh.name}.yaml')} --as runbook"
            saves = msg("S saves the mesh file; then: {command}", command=export)
            yield spans(saves, "muted", before="  ", command="command")

    def _commands(self) -> list[tuple[str, str]]:
        run, wizard = self.wizard.active_run, self.wizard
        return next_commands(run, simulated=wizard.outside.simulated) if run else []

    def leave(self) -> None:
        """The end."""
        self.wizard.finish()

    def action_back(self) -> None:
        """To the counts again."""
        self.wizard.go("verify")

    def action_save(self) -> None:
        """As a mesh file."""
        from screens.saving import save_mesh

        if self.wizard.active_run:
            save_mesh(self, self.wizard.active_run.prepared.mesh)

    def action_copy(self) -> None:
        """The next commands into the clipboard."""
        self.app.copy_to_clipboard("\n".join(command for command, _ in self._commands()))
        self.say(msg("The commands were sent to the terminal's clipboard (OSC 52)."))


def _label(text: str) -> Piece:
    """What stands before a place; all places stand below each other."""
    return Piece(padded(text, widest((ROOT_KEY, STATE, LOG)) + 3), "muted")
