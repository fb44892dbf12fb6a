"""Done: what stands, where things are kept, what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from screens.base import WizardScreen
from screens.farewell import next_commands
from screens.lines import Line, Lines, Piece
from screens.picture import Picture
from wizard.text import duration, one_line, quoted


class DoneScreen(WizardScreen):
    """The mesh stands and is proven. Save it as a mesh file to repeat, extend or remove it later."""

    STAGE = "done"
    HEADING = "Done"
    NEXT_LABEL = "Finish"
    CSS_PATH = "done.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "save", "Save mesh file"),
        Binding("c", "copy", "Copy commands"),
        Binding("q", "app.leave", "Quit", show=False),
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
        self.query_one(Picture).draw(run.prepared.mesh, run.view.board.links, run.view.board.counts)
        self.query_one("#summary", Lines).show(self._summary())
        self.query_one("#next").focus()

    def _summary(self) -> Iterator[Line]:
        run = self.wizard.active_run
        if run is None:
            return
        mesh, view = run.prepared.mesh, run.view
        sign = "+" if self.wizard.ascii else "✓"
        said = f" is verified: {view.passed} steps in {duration(view.elapsed)}, {len(mesh.clusters)} clusters"
        yield [Piece(f"{sign} Mesh {mesh.name}", "ok"), Piece(f"{said}, Istio {mesh.istio.version or '?'}")]
        yield [Piece("Root key   ", "muted"), Piece(one_line(run.prepared.world.roots.place)),
               Piece("  keep it: a new cluster needs it", "muted")]  # fmt: skip
        if not self.wizard.outside.simulated:
            yield [Piece("State      ", "muted"), Piece(one_line(self.wizard.folder.place))]
        if self.wizard.log_file:
            yield [Piece("Log        ", "muted"), Piece(one_line(self.wizard.log_file))]
        yield []
        yield [Piece("Next", "title")]
        for command, why in self._commands():
            yield [Piece(f"  {command:<36} ", "command"), Piece(why, "muted")]
        if not self.wizard.outside.simulated:
            yield [Piece("  S saves the mesh file; then: ", "muted"),
                   Piece(f"meshwizard export -f {quoted(f'{mesh.name}.yaml')} --as runbook", "command")]  # fmt: skip

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
        self.say("The commands were sent to the terminal's clipboard (OSC 52).")
