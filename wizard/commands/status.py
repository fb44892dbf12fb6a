"""`meshwizard status`: every step of a recorded mesh, probed afresh."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from wizard.commands.names import recorded
from wizard.console.help import Command, option
from wizard.console.offered import meshes
from wizard.console.output import columns
from wizard.console.settings import Settings, with_settings
from wizard.messages import msg
from wizard.messages.catalogue import rendered
from wizard.text import one_line, printable

if TYPE_CHECKING:
    from state import MeshState, StepRecord
    from wizard.console.planned import Found

_WORDS = {
    "done": msg("as wanted"),
    "needed": msg("differs"),
    "conflict": msg("conflict"),
    "unknown": msg("not seen"),
}
# Of what a run recorded of a step.
_STATUSES = {
    "waiting": msg("waiting"),
    "probing": msg("probing"),
    "running": msg("running"),
    "done": msg("done"),
    "skipped": msg("skipped"),
    "failed": msg("failed"),
    "conflict": msg("conflict"),
    "blocked": msg("blocked"),
    "undoing": msg("undoing"),
    "undone": msg("undone"),
}


@click.command("status", cls=Command)
@click.argument("name", required=False, shell_complete=meshes)
@option("--json", is_flag=True, help=msg("One JSON object."))
@with_settings
def command(settings: Settings, name: str | None, json: bool) -> int:
    """Look at every step of a mesh now: is it still as wanted, and how did its last run end? Changes nothing.

    Exits 0 where all is as wanted, 3 where there is a conflict, else 1. NAME may be left out where only one is recorded.
    """
    from wizard.console import planned
    from wizard.console.working import looked

    mesh, state = recorded(settings, name)
    made, looks = looked(settings, mesh)
    with closing(made):
        steps = planned.found(made.plan, looks)
    out = settings.out
    if json:
        shape = {
            "mesh": state.name,
            "operation": state.operation,
            "finished": state.finished,
            "updated": state.updated,
            "steps": [_as_dict(each, state.steps.get(each.step.id)) for each in steps],
            "halfLinked": planned.half_linked(steps),
        }
        out.json(shape)
    else:
        out.line(planned.drawing(made.mesh, steps))
        out.line()
        told = {"mesh": state.name, "operation": state.operation, "time": state.updated}
        out.line(
            msg("mesh {mesh}: last {operation} finished, {time}", **told)
            if state.finished
            else msg("mesh {mesh}: last {operation} not finished, {time}", **told)
        )
        for line in _table(steps, state):
            out.line(line)
        for line in planned.halves(steps, made.resume_command):
            out.line(line)
        out.line(planned.summary(steps))
        if not state.finished:
            out.line(msg("Go on with: {command}", command=made.resume_command))
    code = planned.exit_code(steps)
    return code or int(any(each.state != "done" for each in steps))


def _as_dict(step: Found, record: StepRecord | None) -> dict[str, Any]:
    last = None
    if record:
        last = {"status": record.status, "began": record.began, "ended": record.ended, "detail": record.detail}
    return {**step.as_dict(), "recorded": last}


def _table(steps: list[Found], state: MeshState) -> list[str]:
    rows: list[tuple[str, ...]] = [(msg("cluster"), msg("step"), msg("now"), msg("last run"))]
    details: dict[int, list[str]] = {}
    for each in steps:
        record = state.steps.get(each.step.id)
        rows.append((each.step.cluster or msg("all"), each.step.title, _WORDS[each.state], _last(record)))
        drift = [rendered(one_line(difference.told, 600)) for difference in each.differences]
        drift += [line for text in (each.what, each.remedy) if text for line in rendered(printable(text)).splitlines()]
        details[len(rows) - 1] = drift
    lines: list[str] = []
    for number, line in enumerate(columns(rows)):
        lines.append(line)
        lines += [f"      {text}" for text in details.get(number, ())]
    return lines


def _last(record: StepRecord | None) -> str:
    if record is None:
        return msg("never")
    status = _STATUSES.get(record.status, record.status)
    return msg("{status} {time}", status=status, time=record.ended or record.began)
