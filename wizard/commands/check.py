"""`meshwizard check`: preflight alone."""

from __future__ import annotations

from contextlib import closing

import click

from wizard.commands.names import from_file
from wizard.console.flags import mesh_file
from wizard.console.help import Command, option
from wizard.console.settings import Settings, with_settings
from wizard.messages import counted, msg
from wizard.messages.catalogue import rendered
from wizard.messages.cells import padded, widest
from wizard.text import one_line, printable

_MARKS = {"ok": ("✔", "green"), "warning": ("⚠", "yellow"), "error": ("✘", "red")}


@click.command("check", cls=Command)
@mesh_file
@option("--json", is_flag=True, help=msg("One JSON object."))
@with_settings
def command(settings: Settings, path: str, json: bool) -> int:
    """Look whether the clusters are fit for the mesh: versions, rights, clocks, ports. Changes nothing.

    Exits 1 where something would make the install fail, 3 where only a person can decide it; warnings alone exit 0.
    """
    from wizard.checks.finding import Finding
    from wizard.checks.preflight import check
    from wizard.checks.settled import unsettled
    from wizard.console.background import reading
    from wizard.console.consent import consenting
    from wizard.console.working import prepared
    from wizard.plan import RIGHTS

    out = settings.out
    made = prepared(settings, from_file(path, settings, looking=True), looking=True)

    def work() -> list[Finding]:
        findings = check(made.mesh, made.world, RIGHTS)
        why = made.unsettled
        if why is not None and not any(each.severity == "error" for each in findings):
            findings.append(unsettled(why))
        return findings

    with closing(made):
        findings = consenting(lambda: reading(work))
    broken = [finding for finding in findings if finding.severity == "error"]
    errors = len(broken)
    warnings = sum(finding.severity == "warning" for finding in findings)
    if json:
        shape = {
            "mesh": made.mesh.name,
            "ok": not errors,
            "findings": [
                {
                    "check": finding.check,
                    "cluster": finding.cluster,
                    "severity": finding.severity,
                    "text": printable(finding.text),
                    "remedy": printable(finding.remedy),
                    "docs": finding.docs,
                }
                for finding in findings
            ],
        }
        out.json(shape)
    else:
        width = widest(finding.cluster or "" for finding in findings)
        for finding in findings:
            mark, color = _MARKS[finding.severity]
            name = padded(finding.cluster or "", width)
            out.line(f"{out.style(mark, color)} {name}  {rendered(one_line(finding.text, 600))}")
            if finding.severity != "ok" and finding.remedy:
                out.line(f"  {' ' * width}  {rendered(one_line(finding.remedy, 600))}")
            if out.verbose and finding.severity != "ok":
                out.line(f"  {' ' * width}  {finding.docs}")
        out.line(_summary(len(findings), errors, warnings))
    return 0 if not broken else 3 if all(finding.person for finding in broken) else 1


def _summary(checks: int, errors: int, warnings: int) -> str:
    return msg(
        "{checks}: {errors}, {warnings}",
        checks=counted("{count} checks", "{count} checks", checks),
        errors=counted("{count} errors", "{count} errors", errors),
        warnings=counted("{count} warnings", "{count} warnings", warnings),
    )
