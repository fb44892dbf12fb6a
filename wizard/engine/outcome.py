"""How a run went, and what to do next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from wizard.engine.controls import Controls
from wizard.engine.events import Status
from wizard.engine.progress import BROKEN, Progress
from wizard.engine.step import Step
from wizard.errors import Trouble
from wizard.messages import counted, joined, msg
from wizard.text import duration

_GRAVEST = (1, 2, 5, 3, 4)  # one plain failure outweighs what waits for a person, which outweighs missing traffic


@dataclass(frozen=True)
class Outcome:
    """How a run went. `statuses` holds the last status of every step; `refused`: it ended before it began, since it was not what
    was agreed to.
    """

    ok: bool
    exit_code: int
    what: str
    remedy: str
    statuses: dict[str, Status]
    refused: bool = False


def outcome_of(
    progress: Progress, controls: Controls, goal: Collection[Status], *, name: str, resume: str, seconds: float
) -> Outcome:
    """What became of a run whose every step was to take a status of `goal`. `name`: the mesh; `resume`: the command that goes
    on with what is left, if there is any.
    """
    missing = [step for step in progress.plan.steps if progress.status[step.id] not in goal]
    if missing or controls.fatal:
        return _unfinished(progress, controls, missing, resume)
    count, time = len(progress.plan.steps), duration(seconds)
    if Status.UNDONE in goal:
        told = counted(
            "mesh {mesh}: all {count} steps taken back in {time}",
            "mesh {mesh}: all {count} steps taken back in {time}",
            count,
            mesh=name,
            time=time,
        )
    else:
        told = counted(
            "mesh {mesh}: all {count} steps done in {time}",
            "mesh {mesh}: all {count} steps done in {time}",
            count,
            mesh=name,
            time=time,
        )
    return Outcome(True, 0, told, "", dict(progress.status))


def _unfinished(progress: Progress, controls: Controls, missing: list[Step], resume: str) -> Outcome:
    status = progress.status
    troubles = [(step, progress.trouble[step.id]) for step in missing if status[step.id] in BROKEN - {Status.BLOCKED}]
    remedies = [trouble.remedy for _, trouble in troubles]
    if controls.fatal:
        code, what = controls.fatal.exit_code, controls.fatal.what
        remedies.insert(0, controls.fatal.remedy)
    elif troubles and not controls.aborted:
        codes = [trouble.exit_code for _, trouble in troubles]
        code = next((code for code in _GRAVEST if code in codes), 1)
        what = joined((_befell(step, trouble) for step, trouble in troubles), "; ")
    elif controls.draining:
        left = sum(1 for step in missing if status[step.id] is not Status.BLOCKED)
        code = 130
        what = counted("stopped by you; {count} steps are left", "stopped by you; {count} steps are left", left)
    else:
        code, what = 1, counted("{count} steps could not run", "{count} steps could not run", len(missing))
    remedies.append(msg("Go on with: {command}", command=resume) if resume else "")
    remedy = joined(dict.fromkeys(remedies))
    return Outcome(False, code, what, remedy, dict(status))


def _befell(step: Step, trouble: Trouble) -> str:
    if not step.cluster:
        return msg("{step}: {problem}", step=step.title, problem=trouble.what)
    return msg("{cluster}: {step}: {problem}", cluster=step.cluster, step=step.title, problem=trouble.what)
