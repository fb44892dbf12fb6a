"""`meshwizard uninstall`: takes back, in reverse, only what the wizard made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from wizard.commands.names import recorded
from wizard.console.offered import meshes
from wizard.console.output import Output, has_terminal, losable
from wizard.console.settings import Settings, consent_options, with_settings
from wizard.errors import NeedsPerson
from wizard.text import one_line, quoted

if TYPE_CHECKING:
    from wizard.session import Session


@click.command("uninstall")
@click.argument("name", required=False, shell_complete=meshes)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", is_flag=True, help="Events, one JSON object a line, and nothing else on stdout. Needs --yes.")
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
    from wizard.console.working import prepared

    out = settings.out
    session, _ = recorded(settings, name, whole=True)
    session.take_over, session.rebuilt, session.unverified = take_over, rebuilt, unverified
    if not yes and (json or not has_terminal()):
        raise NeedsPerson(
            f"uninstalling {session.mesh.name} needs a consent, and there is nobody to ask; nothing was changed",
            f"Give it with: meshwizard uninstall {quoted(session.mesh.name)}{session.place} --yes",
        )
    try:
        prepared(session, undo=True)
        if not yes:
            for line in removal(session):
                out.line(line)
            if not click.confirm("Take this back now?", default=False):
                out.line("Nothing was changed.")
                return 0
        return take_back(session, out, json=json)
    finally:
        session.close()


def removal(session: Session) -> list[str]:
    """What will be taken back, cluster by cluster."""
    from wizard.engine.step import Step

    lines = [f"Of mesh {session.mesh.name} this will be taken back, last first, where the wizard made it:"]
    for cluster in session.mesh.clusters:
        # A step without an `undo` of its own made nothing that stays.
        titles = [
            step.title
            for step in reversed(session.plan.steps)
            if step.cluster == cluster.name and type(step).undo is not Step.undo
        ]
        lines.append(f"  {one_line(cluster.name)} (context {one_line(cluster.context)}):")
        lines += [f"    – {one_line(title)}" for title in titles]
    return lines


def take_back(session: Session, out: Output, *, json: bool = False) -> int:
    """Undo a prepared session, which forgets the mesh once all is undone; gives the exit code."""
    from wizard.console.working import work

    code = work(session, out, operation="uninstall", json=json)
    if code == 0 and not json:
        with losable():
            out.line(f"Left as it is: {_kept(session)}.")
    return code


def _kept(session: Session) -> str:
    """What of the certificates outlives the mesh."""
    certificates = session.mesh.certificates
    if certificates.source == "generate":
        return f"the root certificate and its key in {one_line(session.world.roots.place)}"
    if certificates.source == "existing":
        return "the secrets cacerts that were there before"
    return f"keys and certificates in {one_line(certificates.path)}"
