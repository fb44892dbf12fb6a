"""`meshwizard apply`: makes it so, without questions."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from wizard.commands.names import from_file
from wizard.console.flags import mesh_file
from wizard.console.help import Command, option
from wizard.console.settings import Settings, consent_options, version_option, with_settings
from wizard.messages import msg
from wizard.text import quoted


@click.command("apply", cls=Command)
@mesh_file
@option("--yes", is_flag=True, help=msg("Consent beforehand; apply asks nothing today, so scripts may always give it."))
@option("--json", is_flag=True, help=msg("Events, one JSON object a line, and nothing else on stdout."))
@option(
    "--remove",
    multiple=True,
    metavar="NAME",
    help=msg("Consent: take this cluster, which is not in the file any more, out."),
)
@option(
    "--forget",
    multiple=True,
    metavar="NAME",
    help=msg("The same, but touch nothing in that cluster: it is gone for good."),
)
@option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="PLAN",
    help=msg("Do what this plan says, made by `plan --out PLAN`, or nothing: where it went stale, exit with 3."),
)
@consent_options
@version_option
@with_settings
def command(
    settings: Settings,
    path: str,
    yes: bool,
    json: bool,
    remove: tuple[str, ...],
    forget: tuple[str, ...],
    plan: Path | None,
    take_over: bool,
    rebuilt: tuple[str, ...],
    version_step: bool,
    unverified: tuple[str, ...],
) -> int:
    """Do what `plan` shows, without questions, and verify it. May be run again at any time: what is done stays done.

    Whatever somebody else made is never overwritten: such a step ends in conflict, with exit code 3. A cluster added to the
    file joins the mesh; one taken out of it leaves the mesh, by consent.

    A plan is stale where the mesh file asks for something else since, another run worked on the mesh, or a step would do
    what was not shown. Interrupted, it is gone on with by `resume`, which needs no plan.
    """
    from wizard.console import planfile
    from wizard.console.consent import agreed
    from wizard.console.working import carry_out, prepared
    from wizard.operations.choice import wanted

    mesh = from_file(path, settings)
    approval = None
    if plan is not None:
        again = f"meshwizard plan -f {quoted(path)} --out {quoted(plan)} --force{settings.place}"
        approval = planfile.load(plan, mesh.name, msg("Look again: {command}", command=again))
    options = settings.options(take_over=take_over, rebuilt=rebuilt, version_step=version_step, unverified=unverified)
    with closing(prepared(settings, mesh, options)) as made:
        operation = wanted(made, agreed=approval, remove=remove, forget=forget)
        agreed(operation, settings.out, json=json)
        return carry_out(operation, settings.out, json=json).exit_code
