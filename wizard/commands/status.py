"""`meshwizard status`: every step of a recorded mesh, probed afresh."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from wizard.commands.names import recorded
from wizard.console.offered import meshes
from wizard.console.output import columns
from wizard.console.settings import Settings, with_settings
from wizard.text import one_line, printable

if TYPE_CHECKING:
    from state import MeshState, StepRecord
    from wizard.console.planned import Found

_WORDS = {"done": "as wanted", "needed": "differs", "conflict": "conflict", "unknown": "not seen"}


@click.command("status")
@click.argument("name", required=False, shell_complete=meshes)
@click.option("--json", is_flag=True, help="One JSON object.")
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
        ended = "finished" if state.finished else "not finished"
        out.line(f"mesh {state.name}: last {state.operation} {ended}, {state.updated}")
        for line in _table(steps, state):
            out.line(line)
        for line in planned.halves(steps, made.resume_command):
            out.line(line)
        out.line(planned.summary(steps))
        if not state.finished:
            out.line(f"Go on with: {made.resume_command}")
    code = planned.exit_code(steps)
    return code or int(any(each.state != "done" for each in steps))


def _as_dict(step: Found, record: StepRecord | None) -> dict[str, Any]:
    last = None
    if record:
        last = {"status": record.status, "began": record.began, "ended": record.ended, "detail": record.detail}
    return {**step.as_dict(), "recorded": last}


def _table(steps: list[Found], state: MeshState) -> list[str]:
    rows = [("cluster", "step", "now", "last run")]
    details: dict[int, list[str]] = {}
    for each in steps:
        record = state.steps.get(each.step.id)
        last = f"{record.status} {record.ended or record.began}" if record else "never"
        rows.append((each.step.cluster or "all", each.step.title, _WORDS[each.state], last))
        drift = [one_line(difference, 600) for difference in each.differences]
        drift += [line for text in (each.what, each.remedy) if text for line in printable(text).splitlines()]
        details[len(rows) - 1] = drift
    lines: list[str] = []
    for number, line in enumerate(columns(rows)):
        lines.append(line)
        lines += [f"      {text}" for text in details.get(number, ())]
    return lines
