"""Save the mesh file: asks where, and overwrites only by consent. Used by the review and by the last screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wizard.errors import Failed
from wizard.text import one_line

if TYPE_CHECKING:
    from screens.base import WizardScreen
    from wizard.mesh.model import Mesh


def save_mesh(screen: WizardScreen, mesh: Mesh) -> None:
    """Ask for a path and write this mesh there."""
    from screens.dialogs import Ask

    def check(typed: str) -> str | None:
        path = Path(typed).expanduser()
        if path.is_dir():
            return f"{one_line(path)} is a folder"
        return None if path.absolute().parent.is_dir() else f"there is no folder {one_line(path.absolute().parent)}"

    def given(typed: str | None) -> None:
        if typed is None:
            return
        path = Path(typed).expanduser()
        if path.exists():
            screen.confirm(
                "Overwrite it?", f"{one_line(path)} exists already.", "Overwrite", lambda: _write(screen, mesh, path)
            )
        else:
            _write(screen, mesh, path)

    text = "The mesh as a file: `meshwizard apply -f FILE` does the same without questions."
    screen.app.push_screen(Ask("Save as mesh file", text, f"{mesh.name}.yaml", check), given)


def _write(screen: WizardScreen, mesh: Mesh, path: Path) -> None:
    def work() -> None:
        from wizard.mesh.meshfile import write_meshfile

        try:
            path.write_text(write_meshfile(mesh), encoding="utf-8")
        except OSError as error:
            raise Failed(f"{one_line(path)} could not be written: {error.strerror}.", "Choose another path.") from error

    screen.wizard.background(work, lambda _: screen.say(f"Saved as {one_line(path)}."))
