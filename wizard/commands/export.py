"""`meshwizard export`: the whole install as a script that a person can read and run."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.commands.names import from_file
from wizard.console.flags import mesh_file
from wizard.console.help import Command, option
from wizard.console.settings import Settings, with_settings
from wizard.errors import BadInput
from wizard.messages import msg
from wizard.messages.catalogue import rendered
from wizard.text import one_line, quoted

if TYPE_CHECKING:
    from wizard.engine.step import Plan
    from wizard.mesh.model import Mesh


@click.command("export", cls=Command)
@mesh_file
@option(
    "--as", "form", type=click.Choice(["runbook"]), default="runbook", help=msg("What to make of it: a bash script.")
)
@option("-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help=msg("Write it there instead of stdout."))
@option("--force", is_flag=True, help=msg("Overwrite OUT."))
@with_settings
def command(settings: Settings, path: str, form: str, output: Path | None, force: bool) -> int:
    """Write the install as a shell script: every command, in order, with why.

    Where the mesh file gives istio.version and every address and port, nothing is asked; otherwise the clusters are looked
    at to find what is left open.
    """
    from wizard.runbook import render

    wished = from_file(path)
    if wished.adopted:
        raise BadInput(
            msg("others made mesh {mesh}: there is nothing that an install of ours would do", mesh=wished.name),
            msg("See what is otherwise than the file says: {command}", command=f"meshwizard plan -f {quoted(path)}"),
        )
    mesh, plan = _settled(settings, wished)
    text = render(mesh, plan, rendered)
    if output is None:
        settings.out.data(text.removesuffix("\n"))
        return 0
    from wizard.console.files import write

    write(output, text, overwrite=force, mode=0o755)
    settings.out.line(msg("Written to {file}.", file=one_line(output)))
    return 0


def _settled(settings: Settings, mesh: Mesh) -> tuple[Mesh, Plan]:
    from wizard.plan import plan_of
    from wizard.resolve import is_settled

    if is_settled(mesh):
        return mesh, plan_of(mesh)
    from wizard.console.working import prepared

    with closing(prepared(settings, mesh)) as made:
        return made.mesh, made.plan
