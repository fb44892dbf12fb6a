"""`meshwizard plan`: what would be done; changes nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from wizard.commands.names import from_file
from wizard.console.flags import mesh_file
from wizard.console.help import Command, option
from wizard.console.settings import Settings, version_option, with_settings
from wizard.messages import msg
from wizard.text import listing, one_line, quoted


@click.command("plan", cls=Command)
@mesh_file
@option("--json", is_flag=True, help=msg("The plan as one JSON object."))
@option(
    "--out",
    "kept",
    type=click.Path(path_type=Path),
    metavar="PLAN",
    help=msg("Also keep the plan in this file: `apply --plan PLAN` does that and nothing else."),
)
@option("--force", is_flag=True, help=msg("Overwrite PLAN."))
@version_option
@with_settings
def command(settings: Settings, path: str, json: bool, kept: Path | None, force: bool, version_step: bool) -> int:
    """Show what would be done: steps, differences, with -v the commands. Changes nothing.

    Exits 0 whether or not there is work, 3 where a step is in conflict, 1 where a cluster could not be looked at.

    \b
    The smallest mesh file:
      apiVersion: meshwizard/v1
      kind: Mesh
      name: mesh1
      clusters:
      - {name: cluster1, context: admin1@kubernetes, network: network1}
      - {name: cluster2, context: admin2@kubernetes, network: network2}
    """
    from wizard.console import planfile, planned
    from wizard.console.working import looked
    from wizard.mesh.files import files_of

    made, looks = looked(settings, from_file(path, settings), settings.options(version_step=version_step))
    with closing(made):
        mesh, steps = made.mesh, planned.found(made.plan, looks)
        if kept is not None:
            planfile.save(kept, mesh.name, made.approval(looks, ""), overwrite=force)
    out = settings.out
    leaving = [cluster.name for cluster in made.leaving]
    if json:
        needed = sum(each.state == "needed" for each in steps)
        shape = {
            "mesh": mesh.name,
            "steps": [each.as_dict() for each in steps],
            "needed": needed,
            "leaving": leaving,
            "files": [{"field": each.field, "path": str(each.path), "use": each.use} for each in files_of(mesh)],
            "halfLinked": planned.half_linked(steps),
        }
        out.json(shape)
    else:
        out.line(planned.drawing(mesh, steps))
        out.line()
        for line in planned.lines(steps, out):
            out.line(line)
        for line in planned.files(mesh):
            out.line(line)
        for line in planned.halves(steps, f"meshwizard apply -f {quoted(path)}{made.place}"):
            out.line(line)
        if leaving:
            out.line(msg("{clusters} would leave the mesh; apply asks for consent to that.", clusters=listing(leaving)))
        out.line(planned.summary(steps))
        if kept is not None:
            step = " --version-step" if version_step else ""
            do = f"meshwizard apply -f {quoted(path)} --plan {quoted(kept)}{step}{made.place}"
            told = msg(
                "Kept in {file}. This does it, and nothing else: {command}",
                file=one_line(kept),
                command=one_line(do, 600),
            )
            out.line(told)
    return planned.exit_code(steps)
