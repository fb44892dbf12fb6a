"""`meshwizard resume`: goes on with what was begun."""

from __future__ import annotations

from contextlib import closing

import click

from wizard.commands.names import recorded, the_name
from wizard.console import settings as doors
from wizard.console.help import Command, option
from wizard.console.offered import meshes
from wizard.console.output import has_terminal, is_dumb
from wizard.console.settings import Settings, consent_options, version_option, with_settings
from wizard.errors import BadInput
from wizard.messages import msg
from wizard.text import quoted


@click.command("resume", cls=Command)
@click.argument("name", required=False, shell_complete=meshes)
@option("--json", is_flag=True, help=msg("Events, one JSON object a line, and nothing else on stdout."))
@option("--screens", is_flag=True, help=msg("Show it on the whole screen, as the wizard does."))
@consent_options
@version_option
@with_settings
def command(
    settings: Settings,
    name: str | None,
    json: bool,
    screens: bool,
    take_over: bool,
    rebuilt: tuple[str, ...],
    version_step: bool,
    unverified: tuple[str, ...],
) -> int:
    """Go on with an unfinished mesh: an apply, or an uninstall. NAME may be left out where only one is recorded."""
    if screens:
        if take_over or rebuilt or version_step or unverified:
            what = msg("--take-over, --rebuilt, --unverified and --version-step are for the command line only")
            raise BadInput(what, msg("Leave out --screens."))
        return on_screens(settings, the_name(settings, name))
    from wizard.console.working import carry_out, prepared
    from wizard.operations.choice import kind_of, resumed

    mesh, state = recorded(settings, name)
    options = settings.options(take_over=take_over, rebuilt=rebuilt, version_step=version_step, unverified=unverified)
    with closing(prepared(settings, mesh, options, undo=kind_of(state).takes_back)) as made:
        return carry_out(resumed(made, state), settings.out, json=json).exit_code


def on_screens(settings: Settings, name: str) -> int:
    """Go on with this mesh on the whole screen. Raises BadInput where that cannot be."""
    from wizard.commands.screens import open_screens
    from wizard.operations.choice import kind_of

    _, state = recorded(settings, name)
    command = f"meshwizard resume {quoted(name)}{settings.place}"
    lines = msg("Leave out --screens: {command}", command=command)
    if not has_terminal() or is_dumb():
        raise BadInput(msg("there is no terminal here that can show whole screens"), lines)
    if kind_of(state).takes_back:
        raise BadInput(msg("{mesh} is being uninstalled, which goes on line by line", mesh=name), lines)
    return open_screens(settings, doors.outside_of(settings), settings.folder(), resume=name)
