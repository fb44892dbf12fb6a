"""A diagnosis as a person reads it, as JSON, and as a JUnit report."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from wizard.checks.finding import Finding, Pair
from wizard.checks.standing.diagnosis import Diagnosis
from wizard.checks.standing.view import Traffic
from wizard.console.junit import Case, report
from wizard.console.output import Output
from wizard.console.progress import heard
from wizard.mesh.model import Mesh
from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr
from wizard.text import listing, one_line, printable

_MARKS = {"ok": ("✔", "green"), "unsure": ("?", "cyan"), "warning": ("⚠", "yellow"), "error": ("✘", "red")}
_LONG = 2000  # characters that a sentence may have


def show(diagnosis: Diagnosis, mesh: Mesh, out: Output, *, mended_by: str) -> None:
    """Tell a person: the cause, what was found beside it, what is not sure, what was heard. `mended_by`: the command that runs
    our steps; empty where none does.
    """
    if diagnosis.cause:
        _finding(diagnosis.cause, out, mended_by, whole=True)
    elif diagnosis.broken:
        mark = out.style("✘", "red")
        out.line(
            f"{mark} {rendered(msg('No cause was found for what does not pass: {pairs}.', pairs=_arrows(diagnosis.broken)))}"
        )
    sure = [each for each in diagnosis.also if each.severity in ("error", "warning")]
    if sure:
        if diagnosis.cause or diagnosis.broken:
            out.line()
            out.line(msg("Also:"))
        for each in sure:
            _finding(each, out, mended_by, whole=out.verbose)
    unsure = [each for each in diagnosis.also if each.severity == "unsure"]
    if unsure:
        if diagnosis.broken or sure or diagnosis.cause:
            out.line()
        out.line(msg("Not sure:") if out.verbose else msg("Not sure (-v tells more):"))
        for each in unsure:
            if out.verbose:
                _finding(each, out, mended_by, whole=True)
            else:
                out.line(f"{out.style(*_MARKS['unsure'])} {rendered(one_line(each.text, 300))}")
    if diagnosis.findings or diagnosis.broken:
        out.line()
    for line in _traffic(diagnosis, mesh, out):
        out.line(line)


def warn(diagnosis: Diagnosis, out: Output, *, mended_by: str) -> None:
    """Tell what is wrong although everything answers. `mended_by`: as above."""
    for each in diagnosis.findings:
        if each.severity in ("error", "warning"):
            _finding(replace(each, severity="warning"), out, mended_by, whole=out.verbose)


def findings(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """What was found, as plain data, the cause first."""
    return [_as_dict(each) for each in diagnosis.findings]


def shape(diagnosis: Diagnosis, mesh: Mesh, *, ok: bool) -> dict[str, Any]:
    """All of it as plain data."""
    return {
        "mesh": mesh.name,
        "ok": ok,
        "proven": diagnosis.proven,
        "cause": _as_dict(diagnosis.cause) if diagnosis.cause else None,
        "findings": findings(diagnosis),
        "traffic": {
            name: {
                "counts": dict(told.heard.answers) if told.heard else {},
                "missing": _missing(told, mesh),
                "error": one_line(told.heard.error if told.heard else told.problem, 600),
            }
            for name, told in diagnosis.traffic.items()
        },
    }


def junit(diagnosis: Diagnosis, mesh: Mesh, pairs: Collection[Pair] | None) -> str:
    """All of it as JUnit XML: a test case for each pair of clusters that was in question, and one for each error and warning."""
    cases = []
    for name, told in diagnosis.traffic.items():
        for target in mesh.clusters:
            if pairs is not None and (name, target.name) not in pairs:
                continue
            version = mesh.sample_version(target.name)
            cases.append(
                Case(
                    f"{mesh.name}.{name}",
                    f"hears {target.name} ({version})",
                    failed=f"no answer from {version}" if (name, target.name) in diagnosis.broken else "",
                    untried="" if told.heard else "no request could be sent",
                    told=told.heard.error if told.heard else told.problem,
                )
            )
    for each in diagnosis.findings:
        if each.severity in ("error", "warning"):
            more = "\n".join(part for part in (*each.evidence, each.remedy, *each.commands, each.docs) if part)
            cases.append(
                Case(f"{mesh.name}.{each.cluster}", f"{each.check}: {each.object}", failed=each.text, told=more)
            )
    return report(f"meshwizard diagnose {mesh.name}", cases)


def _finding(each: Finding, out: Output, mended_by: str, *, whole: bool) -> None:
    out.line(f"{out.style(*_MARKS[each.severity])} {rendered(one_line(each.text, _LONG))}")
    if whole:
        for line in each.evidence:
            out.line(f"    {rendered(one_line(line, _LONG))}")
    if each.remedy:
        out.line(f"  {rendered(one_line(each.remedy, _LONG))}")
    # As they are, so that they can be copied.
    for command in each.commands:
        for line in printable(command).splitlines():
            out.line(f"    {line}")
    if each.step and mended_by:
        out.line(f"  {tr('Mended by: {command}', command=mended_by)}")
    if whole:
        out.line(f"  {tr('More about it: {page}', page=each.docs)}")


def _traffic(diagnosis: Diagnosis, mesh: Mesh, out: Output) -> Iterator[str]:
    for name, told in diagnosis.traffic.items():
        if told.heard is None:
            mark, text = "unsure", _unsent(told.problem)
        else:
            missing = _missing(told, mesh)
            mark, text = "error" if missing else "ok", heard(told.heard.answers.items(), missing, 0)
            if missing and told.heard.error:
                text = msg("{heard}; {problem}", heard=text, problem=one_line(told.heard.error, 600))
        yield f"{out.style(*_MARKS[mark])} {tr('{cluster}: {heard}', cluster=name, heard=text)}"


def _unsent(problem: str) -> str:
    return msg("no request could be sent: {problem}", problem=one_line(problem, 600))


def _missing(told: Traffic, mesh: Mesh) -> list[str]:
    versions = [mesh.sample_version(each.name) for each in mesh.clusters]
    return [version for version in versions if told.heard is None or not told.heard.answers[version]]


def _arrows(pairs: Collection[Pair]) -> str:
    return listing(f"{source} → {target}" for source, target in sorted(pairs))


def _as_dict(each: Finding) -> dict[str, Any]:
    return {
        "check": each.check,
        "layer": each.layer,
        "severity": each.severity,
        "cluster": each.cluster,
        "object": printable(each.object),
        "text": printable(each.text),
        "short": printable(each.short),
        "evidence": [printable(line) for line in each.evidence],
        "remedy": printable(each.remedy),
        "commands": [printable(command) for command in each.commands],
        "step": each.step,
        "breaks": [list(pair) for pair in each.breaks],
        "docs": each.docs,
    }
