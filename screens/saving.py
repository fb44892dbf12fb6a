"""Save the mesh file: asks where, and overwrites only by consent. Used by the review and by the last screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wizard.errors import BadInput
from wizard.messages import msg
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
            return msg("{path} is a folder", path=one_line(path))
        folder = path.absolute().parent
        return None if is_folder(folder) else msg("there is no folder {folder}", folder=one_line(folder))

    def given(typed: str | None) -> None:
        if typed is None:
            return
        path = expanded(typed)
        if is_there(path):
            screen.wizard.background(lambda: _text_for(path, mesh), lambda told: confirm(path, told[1]))
        else:
            _write(screen, mesh, path)

    def confirm(path: Path, kept: bool) -> None:
        name = one_line(path)
        explanation = (
            msg("{path} exists already. Your comments and the order of its keys stay.", path=name)
            if kept
            else msg("{path} exists already. It is replaced as a whole: nothing of it stays.", path=name)
        )
        screen.confirm(
            msg("Overwrite it?"), explanation, msg("Overwrite"), lambda: _write(screen, mesh, path, promised=kept)
        )

    text = msg("The mesh as a file: `meshwizard apply -f FILE` does the same without questions.")
    screen.app.push_screen(Ask(msg("Save as mesh file"), text, f"{mesh.name}.yaml", check), given)


def _text_for(path: Path, mesh: Mesh) -> tuple[str, bool]:
    from wizard.mesh.inplace import text_for

    return text_for(path, mesh)


def _write(screen: WizardScreen, mesh: Mesh, path: Path, *, promised: bool = False) -> None:
    """`promised`: the person was told that what they wrote stays. Then it does, or nothing is written."""

    def work() -> None:
        from wizard.console.files import write

        text, kept = _text_for(path, mesh)
        if promised and not kept:
            raise BadInput(
                msg("{path} was changed in between, and is left as it is", path=one_line(path)), msg("Save it again.")
            )
        write(path, text, overwrite=True, mode=0o644)

    screen.wizard.background(work, lambda _: screen.say(msg("Saved as {path}.", path=one_line(path))))
