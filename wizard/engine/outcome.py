"""How a run went, and what to do next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from wizard.engine.controls import Controls
from wizard.engine.events import Status
from wizard.engine.progress import BROKEN, Progress
from wizard.engine.step import Step
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
    done = "taken back" if Status.UNDONE in goal else "done"
    told = f"mesh {name}: all {len(progress.plan.steps)} steps {done} in {duration(seconds)}"
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
        what = "; ".join(f"{_at(step)}{step.title}: {trouble.what}" for step, trouble in troubles)
    elif controls.draining:
        left = sum(1 for step in missing if status[step.id] is not Status.BLOCKED)
        code, what = 130, f"stopped by you; {left} steps are left"
    else:
        code, what = 1, f"{len(missing)} steps could not run"
    remedies.append(f"Go on with: {resume}" if resume else "")
    remedy = "\n".join(dict.fromkeys(filter(None, remedies)))
    return Outcome(False, code, what, remedy, dict(status))


def _at(step: Step) -> str:
    return f"{step.cluster}: " if step.cluster else ""
