"""`meshwizard resume`: goes on with what was begun."""

from __future__ import annotations

import click

from wizard.commands.names import recorded, the_name
from wizard.console import settings as doors
from wizard.console.offered import meshes
from wizard.console.output import has_terminal, is_dumb
from wizard.console.settings import Settings, consent_options, version_option, with_settings
from wizard.errors import BadInput


@click.command("resume")
@click.argument("name", required=False, shell_complete=meshes)
@click.option("--json", is_flag=True, help="Events, one JSON object a line, and nothing else on stdout.")
@click.option("--screens", is_flag=True, help="Show it on the whole screen, as the wizard does.")
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
            what = "--take-over, --rebuilt, --unverified and --version-step are for the command line only"
            raise BadInput(what, "Leave out --screens.")
        return on_screens(settings, the_name(settings, name))
    from wizard.commands.uninstall import take_back
    from wizard.console.leaving import take_leave
    from wizard.console.working import prepared, work

    session, state = recorded(settings, name)
    session.take_over, session.rebuilt, session.version_step = take_over, rebuilt, version_step
    session.unverified = unverified
    try:
        prepared(session, undo=state.operation == "uninstall")
        if state.operation == "uninstall":
            # It was agreed to when it began.
            return take_back(session, settings.out, json=json)
        # So was a cluster's leaving.
        forget = [str(name) for name in state.options.get("untouched") or ()]
        remove = [cluster.name for cluster in session.leaving if cluster.name not in forget]
        code = take_leave(session, settings.out, remove=remove, forget=forget, json=json)
        return code or work(session, settings.out, json=json)
    finally:
        session.close()


def on_screens(settings: Settings, name: str) -> int:
    """Go on with this mesh on the whole screen. Raises BadInput where that cannot be."""
    from wizard.commands.screens import open_screens

    session, state = recorded(settings, name)
    lines = f"Leave out --screens: {session.resume_command}"
    if not has_terminal() or is_dumb():
        raise BadInput("there is no terminal here that can show whole screens", lines)
    if state.operation == "uninstall":
        raise BadInput(f"{name} is being uninstalled, which goes on line by line", lines)
    return open_screens(settings, doors.outside_of(settings), settings.folder(), resume=name)
