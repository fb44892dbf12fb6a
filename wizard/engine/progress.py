"""Where every step of a run is, told to those who watch as it changes."""

from __future__ import annotations

import threading
from collections.abc import Callable

from wizard.engine.events import Event, Status, StepChanged
from wizard.engine.step import Done, Plan, Probe, Step
from wizard.errors import Trouble

SATISFIED = frozenset({Status.DONE, Status.SKIPPED})
BROKEN = frozenset({Status.FAILED, Status.CONFLICT, Status.BLOCKED})


Look = Probe | Trouble


class Progress:
    """The status of each step, and its last trouble. `changed` guards all that the threads of a run share, and is notified when
    something of it changes.
    """

    def __init__(self, plan: Plan, emit: Callable[[Event], None]) -> None:
        """`emit` is called under the lock, so that events come in the order of what they tell; it must not block."""
        self.plan = plan
        self._emit = emit
        self.changed = threading.Condition()
        self.status: dict[str, Status] = {step.id: Status.WAITING for step in plan.steps}
        self.trouble: dict[str, Trouble] = {}
        self.looked: dict[str, Look] = {}  # what the first look found of a step, as long as that counts

    def tell(self, event: Event) -> None:
        """Tell those who watch something."""
        with self.changed:
            self._emit(event)

    def tell_all(self) -> None:
        """Tell of every step where it is."""
        for step in self.plan.steps:
            self.change(step, self.status[step.id])

    def change(
        self, step: Step, status: Status, detail: str = "", *, remedy: str = "", seconds: float = 0.0,
        failed_peers: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """The step takes this status. `seconds`: how long it has worked; `failed_peers`: see `StepChanged`."""
        with self.changed:
            self.status[step.id] = status
            self._emit(
                StepChanged(
                    **step.named(),
                    title=step.title,
                    status=status,
                    detail=detail,
                    remedy=remedy,
                    seconds=seconds,
                    failed_peers=failed_peers,
                )
            )
            self.changed.notify_all()

    def take_look(self, id: str) -> Look | None:
        """What the first look found of this step, which counts no more from then on."""
        with self.changed:
            return self.looked.pop(id, None)

    def seen_done(self) -> set[str]:
        """The steps that the first look found as wanted, as far as that counts."""
        with self.changed:
            return {id for id, result in self.looked.items() if isinstance(result, Done)}

    def broken(self, id: str) -> bool:
        """Whether this step failed, waits for a decision, or for something that does."""
        return self.status[id] in BROKEN
