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
    """Send requests from every cluster until each has heard every cluster. Exits 4 where one stays unheard.

    NAME may be left out where only one mesh is recorded.
    """
    from wizard.console import files
    from wizard.console.background import reading
    from wizard.console.consent import consenting
    from wizard.console.progress import Lines, heard
    from wizard.console.working import prepared
    from wizard.verification import failure, verify

    out = settings.out
    if junit:
        files.check(junit)
    mesh, _ = recorded(settings, name)
    made = prepared(settings, mesh)
    listener = _nobody if json else Lines(out, made.mesh)
    with closing(made):
        verdicts = consenting(lambda: reading(lambda: verify(made.plan, made.world, listener)))
    if json:
        out.json(_shape(made.mesh, verdicts))
    else:
        for verdict in verdicts:
            mark = out.style("✔", "green") if verdict.ok else out.style("✘", "red")
            answers = heard(verdict.counts.items(), verdict.missing, verdict.errors)
            out.line(f"{mark} {tr('{cluster}: {heard}', cluster=verdict.cluster, heard=answers)}")
    failed = failure(verdicts)
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
    from xml.etree import ElementTree as ET

    suite = ET.Element("testsuite", name=f"meshwizard verify {mesh.name}")
    failures = 0
    for verdict in verdicts:
        for target in mesh.clusters:
            version = mesh.sample_version(target.name)
            case = ET.SubElement(
                suite, "testcase", classname=f"{mesh.name}.{verdict.cluster}", name=f"hears {target.name} ({version})",
                time=f"{verdict.seconds:.3f}",
            )  # fmt: skip
            if version in verdict.missing or (not verdict.ok and not verdict.missing):
                failures += 1
                failure = ET.SubElement(case, "failure", message=f"no answer from {version}")
                failure.text = _xml(one_line(verdict.last))
    tests = len(verdicts) * len(mesh.clusters)
    suite.attrib |= {"tests": str(tests), "failures": str(failures), "errors": "0", "skipped": "0"}
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    # XML 1.0 has no place for these two either; the rest was replaced when the text became printable.
    return text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
