"""`meshwizard resume`: goes on with what was begun."""

from __future__ import annotations

import click

from wizard.commands.names import recorded
from wizard.console.settings import Settings, with_settings


@click.command("resume")
@click.argument("name", required=False)
@click.option("--json", is_flag=True, help="Events, one JSON object a line, and nothing else on stdout.")
@with_settings
def command(settings: Settings, name: str | None, json: bool) -> int:
    """Go on with an unfinished mesh: an apply, or an uninstall. NAME may be left out where only one is recorded."""
    from wizard.commands.uninstall import take_back
    from wizard.console.leaving import take_leave
    from wizard.console.working import prepared, work

    session, state = recorded(settings, name)
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
