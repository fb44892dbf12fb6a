"""Save the mesh file: asks where, and overwrites only by consent. Used by the review and by the last screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wizard.paths import expanded, is_folder, is_there
from wizard.text import one_line

if TYPE_CHECKING:
    from screens.base import WizardScreen
    from wizard.mesh.model import Mesh


def save_mesh(screen: WizardScreen, mesh: Mesh) -> None:
    """Ask for a path and write this mesh there."""
    from screens.dialogs import Ask

    def check(typed: str) -> str | None:
        path = expanded(typed)
        if is_folder(path):
            return f"{one_line(path)} is a folder"
        return None if is_folder(path.absolute().parent) else f"there is no folder {one_line(path.absolute().parent)}"

    def given(typed: str | None) -> None:
        if typed is None:
            return
        path = expanded(typed)
        if is_there(path):
            screen.confirm(
                "Overwrite it?", f"{one_line(path)} exists already.", "Overwrite", lambda: _write(screen, mesh, path)
            )
        else:
            _write(screen, mesh, path)

    text = "The mesh as a file: `meshwizard apply -f FILE` does the same without questions."
    screen.app.push_screen(Ask("Save as mesh file", text, f"{mesh.name}.yaml", check), given)


def _write(screen: WizardScreen, mesh: Mesh, path: Path) -> None:
    def work() -> None:
        from wizard.console.files import write
        from wizard.mesh.meshfile import write_meshfile

        write(path, write_meshfile(mesh), overwrite=True, mode=0o644)

    screen.wizard.background(work, lambda _: screen.say(f"Saved as {one_line(path)}."))
