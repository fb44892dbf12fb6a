"""`meshwizard uninstall`: takes back, in reverse, only what the wizard made."""

from __future__ import annotations

from contextlib import closing

import click

from wizard.commands.names import recorded
from wizard.console.help import Command, option
from wizard.console.offered import meshes
from wizard.console.output import has_terminal
from wizard.console.settings import Settings, consent_options, with_settings
from wizard.messages import msg


@click.command("uninstall", cls=Command)
@click.argument("name", required=False, shell_complete=meshes)
@option("--yes", is_flag=True, help=msg("Do not ask."))
@option("--json", is_flag=True, help=msg("Events, one JSON object a line, and nothing else on stdout. Needs --yes."))
@consent_options
@with_settings
def command(
    settings: Settings,
    name: str | None,
    yes: bool,
    json: bool,
    take_over: bool,
    rebuilt: tuple[str, ...],
    unverified: tuple[str, ...],
) -> int:
    """Undo a mesh: in reverse, and only what the wizard made. NAME may be left out where only one is recorded."""
    from wizard.console.consent import agreed
    from wizard.console.working import carry_out, prepared
    from wizard.operations.uninstall import Uninstall, unasked

    mesh, _ = recorded(settings, name, whole=True)
    if not yes and (json or not has_terminal()):
        raise unasked(mesh.name, settings.place)  # before a cluster is looked at
    options = settings.options(take_over=take_over, rebuilt=rebuilt, unverified=unverified)
    with closing(prepared(settings, mesh, options, undo=True)) as made:
        operation = Uninstall(made)
        if not yes and not agreed(operation, settings.out, json=json):
            return 0
        return carry_out(operation, settings.out, json=json).exit_code
