"""`meshwizard verify`: traffic from every cluster to every cluster."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wizard.commands.names import recorded
from wizard.console.help import Command, option
from wizard.console.offered import meshes
from wizard.console.settings import Settings, with_settings
from wizard.errors import Trouble
from wizard.messages import msg
from wizard.messages.catalogue import tr
from wizard.text import one_line, printable

if TYPE_CHECKING:
    from wizard.engine.events import Event
    from wizard.mesh.model import Mesh
    from wizard.verification import Verdict


@click.command("verify", cls=Command)
@click.argument("name", required=False, shell_complete=meshes)
@option("--json", is_flag=True, help=msg("One JSON object."))
@option("--junit", type=click.Path(path_type=Path), metavar="FILE", help=msg("Also write a JUnit report."))
@with_settings
def command(settings: Settings, name: str | None, json: bool, junit: Path | None) -> int:
    """Send requests from every cluster until each has heard every cluster. Exits 4 where one stays unheard, and names the cause.

    Where all is heard it warns of what will break later.

    NAME may be left out where only one mesh is recorded.
    """
    from wizard.console import diagnosed, files
    from wizard.console.background import reading
    from wizard.console.consent import consenting
    from wizard.console.progress import Lines, heard
    from wizard.console.working import prepared
    from wizard.verification import explained, failure, verify

    out = settings.out
    if junit:
        files.check(junit)
    mesh, _ = recorded(settings, name)
    made = prepared(settings, mesh)
    listener = _nobody if json else Lines(out, made.mesh)
    with closing(made):
        verdicts = consenting(lambda: reading(lambda: verify(made.plan, made.world, listener)))
        diagnosis = reading(lambda: explained(made.mesh, made.world, verdicts))
    failed = failure(verdicts, diagnosis)
    if json:
        out.json({**_shape(made.mesh, verdicts), "findings": diagnosed.findings(diagnosis)})
    else:
        for verdict in verdicts:
            mark = out.style("✔", "green") if verdict.ok else out.style("✘", "red")
            answers = heard(verdict.counts.items(), verdict.missing, verdict.errors)
            out.line(f"{mark} {tr('{cluster}: {heard}', cluster=verdict.cluster, heard=answers)}")
        if not failed:
            diagnosed.warn(diagnosis, out, mended_by=made.resume_command)
    if junit:
        try:
            files.write(junit, junit_report(made.mesh, verdicts), overwrite=True, mode=0o644)
        except Trouble as unwritten:
            if not failed:
                raise
            out.trouble(unwritten)  # what was found weighs more
    if failed:
        raise failed
    return 0


def _nobody(event: Event) -> None:
    """Progress that nobody asked for."""


def _shape(mesh: Mesh, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "mesh": mesh.name,
        "ok": all(verdict.ok for verdict in verdicts),
        "clusters": {
            verdict.cluster: {
                "ok": verdict.ok,
                "counts": dict(verdict.counts),
                "missing": list(verdict.missing),
                "errors": verdict.errors,
                "last": one_line(verdict.last),
                "remedy": printable(verdict.remedy),
                "seconds": round(verdict.seconds, 3),
            }
            for verdict in verdicts
        },
    }


def junit_report(mesh: Mesh, verdicts: Sequence[Verdict]) -> str:
    """The verdicts as JUnit XML: one test case for each pair of clusters, failed where no answer came."""
    from wizard.console.junit import Case, report

    cases = []
    for verdict in verdicts:
        for target in mesh.clusters:
            version = mesh.sample_version(target.name)
            unheard = version in verdict.missing or (not verdict.ok and not verdict.missing)
            failed = f"no answer from {version}" if unheard else ""
            name = f"hears {target.name} ({version})"
            told = one_line(verdict.last)
            cases.append(Case(f"{mesh.name}.{verdict.cluster}", name, verdict.seconds, failed=failed, told=told))
    return report(f"meshwizard verify {mesh.name}", cases)
