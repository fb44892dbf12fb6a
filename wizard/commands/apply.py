"""`meshwizard apply`: makes it so, without questions."""

from __future__ import annotations

import click

from wizard.commands.names import from_file
from wizard.console.settings import Settings, with_settings


@click.command("apply")
@click.option("-f", "--file", "path", required=True, metavar="FILE", help="The mesh file.")
@click.option(
    "--yes", is_flag=True, help="Consent beforehand; apply asks nothing today, so scripts may always give it."
)
@click.option("--json", is_flag=True, help="Events, one JSON object a line, and nothing else on stdout.")
@with_settings
def command(settings: Settings, path: str, yes: bool, json: bool) -> int:
    """Do what `plan` shows, without questions, and verify it. May be run again at any time: what is done stays done.

    Whatever somebody else made is never overwritten: such a step ends in conflict, with exit code 3.
    """
    from wizard.console.working import prepared, work

    session = settings.session(from_file(path, settings))
    try:
        prepared(session)
        return work(session, settings.out, json=json)
    finally:
        session.close()
