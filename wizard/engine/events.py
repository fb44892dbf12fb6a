"""What the engine says while it works. Every front end renders these and nothing else.

All times are seconds; `at` is wall clock (time.time()), durations come from a monotonic clock. Texts are printable already, and
messages where they are the program's own.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar


class Status(StrEnum):
    """Where a step is. `done`, `skipped`, `failed`, `conflict`, `blocked`, `undone` are final for a run."""

    WAITING = "waiting"  # for the steps it needs
    PROBING = "probing"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"  # by consent
    FAILED = "failed"
    CONFLICT = "conflict"  # a person must decide
    BLOCKED = "blocked"  # something it needs failed
    UNDOING = "undoing"
    UNDONE = "undone"


FINAL = frozenset({Status.DONE, Status.SKIPPED, Status.FAILED, Status.CONFLICT, Status.BLOCKED, Status.UNDONE})


@dataclass(frozen=True, kw_only=True)
class Event:
    """Steps may tell events of their own. `losable`: the next of its kind says as much again, so a slow reader may miss it."""

    losable: ClassVar[bool] = False

    at: float = field(default_factory=time.time)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for one JSON line: `event` is the class's name in lower case, plus its fields. Texts are in English."""
        return {"event": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """A run begins, with these steps (ids). `simulated`: on clusters of the demo."""

    mesh: str
    operation: str  # apply, departure, uninstall
    steps: tuple[str, ...]
    simulated: bool


@dataclass(frozen=True, kw_only=True)
class StepEvent(Event):
    """Something of one step. `step`: its id, which tells it from others and nothing else; empty where it is no step's. `kind`:
    what sort of step it is; `cluster`: where it works, None: in no single one; `peer`: the other cluster, where there is a step
    for each.
    """

    step: str
    cluster: str | None
    kind: str = ""
    peer: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepChanged(StepEvent):
    """A step took another status. `seconds`: how long it has worked. `detail`: one sentence; `remedy`: what to do.
    `failed_peers`: the other clusters that a failure befell; empty where it befell all with which the step has to do.
    """

    title: str
    status: Status
    detail: str = ""
    remedy: str = ""
    seconds: float = 0.0
    failed_peers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepSaid(StepEvent):
    """A line of progress. `output`: it is istioctl's own and one of many; otherwise it is for a person to read."""

    losable = True

    text: str
    output: bool = False


@dataclass(frozen=True, kw_only=True)
class StepWaits(StepEvent):
    """A step waits: for what, what it last saw, since when, until when (seconds; 0: as long as it takes)."""

    losable = True

    what: str
    seen: str
    elapsed: float
    deadline: float


@dataclass(frozen=True, kw_only=True)
class PersonNeeded(StepEvent):
    """A step cannot go on before a person has done something outside, and waits for that. `what`: what it
    waits for; `instructions`: lines to read and commands to copy. Said once; StepWaits then tells how long it has waited.
    """

    what: str
    instructions: str


@dataclass(frozen=True, kw_only=True)
class Paused(Event):
    """No further step starts, or they do again."""

    paused: bool


@dataclass(frozen=True, kw_only=True)
class RunEnded(Event):
    """The run is over. `exit_code` is that of the command line; `what` says how it went, `remedy` what to do next."""

    ok: bool
    exit_code: int
    what: str
    remedy: str
    seconds: float
