"""Works on one step: applies or undoes it, in one of the engine's threads, and accounts for how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from wizard.engine.approval import Approval
from wizard.engine.controls import Controls
from wizard.engine.events import Event, PersonNeeded, Status
from wizard.engine.progress import Progress
from wizard.engine.record import Record, unexpected
from wizard.engine.step import Conflict, Done, Job, Needed, Shared, Step, Surroundings
from wizard.errors import Failed, Interrupted, NeedsPerson, Trouble
from wizard.messages import counted, joined, msg
from wizard.text import one_line

log = logging.getLogger(__name__)


class Worker:
    """What happens to a step once the schedule lets it start. Its methods may be called by many threads at once."""

    def __init__(
        self,
        world: Surroundings,
        progress: Progress,
        controls: Controls,
        record: Record,
        *,
        approval: Approval | None,
        attended: bool,
        sleep: Callable[[float], None],
    ) -> None:
        """As `Engine` says; `progress.changed` is held wherever `busy` is read or changed."""
        self.busy: dict[str | None, int] = {}
        """Cluster → how many steps are at work in its lane."""
        self._world = world
        self._progress = progress
        self._controls = controls
        self._record = record
        self._approval = approval
        self._attended = attended
        self._sleep = sleep
        self._shared = Shared()
        self._applied: set[str] = set()

    def take(self, step: Step) -> None:
        """The step gets a place in its cluster's lane. Under `progress.changed`."""
        self.busy[step.cluster] = self.busy.get(step.cluster, 0) + 1
        self._progress.status[step.id] = Status.PROBING

    def work_on(self, step: Step, act: Callable[[Step], None]) -> None:
        """Do one step: `act`, which is `apply` or `undo`, and account for how it ended."""
        try:
            self._act(step, act)
        except BaseException:
            self._controls.abort()  # the program is ending; how the step ended may be told to nobody, so none may wait
            raise
        finally:
            with self._progress.changed:
                if step.id in self._controls.attending:
                    self._controls.attending.discard(step.id)
                    self._controls.consented.discard(step.id)
                else:
                    self.busy[step.cluster] -= 1
                self._progress.changed.notify_all()

    def _act(self, step: Step, act: Callable[[Step], None]) -> None:
        began = time.monotonic()
        try:
            act(step)
        except Trouble as trouble:
            self._fail(step, trouble, time.monotonic() - began)
        except Exception as error:  # a mistake of ours must not take the other lanes down
            log.exception("step %s", step.id)
            self._fail(step, unexpected(error), time.monotonic() - began)

    def apply(self, step: Step) -> None:
        """Make it as wanted, where it is not. Raises Trouble."""
        looked = self._progress.take_look(step.id)
        if isinstance(looked, Done) and not any(id in self._applied for id in step.needs + step.joins):
            self._done(step, looked, 0.0)
            return
        began = time.monotonic()
        self._progress.change(step, Status.PROBING)
        probe = step.probe(self._world)
        if self._approval and isinstance(looked, Trouble):
            self._approval.check_step(step, probe)  # it could not be compared before
        if isinstance(probe, Conflict):
            raise NeedsPerson(probe.what, probe.remedy)
        if isinstance(probe, Needed):
            self._progress.change(step, Status.RUNNING, _summary(probe))
            self._record.begin(step)
            if not step.guard:
                with self._progress.changed:
                    self._applied.add(step.id)
            step.apply(self._world, self._job(step, beside=step.joins + step.awaits))
            probe = Done() if step.guard else self._settled(step)
        self._done(step, probe, time.monotonic() - began)

    def _settled(self, step: Step) -> Done:
        """What a step that was applied looks like now."""
        after = step.probe(self._world)
        if isinstance(after, Conflict):
            raise NeedsPerson(after.what, after.remedy)
        if isinstance(after, Needed):
            raise Failed(
                msg("applied, but still not as wanted: {differences}", differences=_summary(after)),
                msg("Somebody else may be changing it."),
            )
        return Done(after.note)  # what there was to hear was told while it worked

    def _done(self, step: Step, done: Done, seconds: float) -> None:
        self._record.done(step, done.note)
        for event in done.events:
            self._progress.tell(event)
        self._progress.change(step, Status.DONE, done.note, seconds=seconds)

    def undo(self, step: Step) -> None:
        """Take it back. Raises Trouble."""
        began = time.monotonic()
        if not step.guard or step.leaves:
            self._progress.change(step, Status.UNDOING)
            self._record.begin(step, undo=True)
            step.undo(self._world, self._job(step, beside=()))
            self._record.undone(step)
        self._progress.change(step, Status.UNDONE, seconds=time.monotonic() - began)

    def _fail(self, step: Step, trouble: Trouble, seconds: float) -> None:
        controls = self._controls
        stopped = isinstance(trouble, Interrupted) and not controls.aborted
        if step.id in controls.consented:
            status = Status.SKIPPED
        elif stopped and controls.draining and step.id in controls.attending:
            status = Status.WAITING  # left, to be gone on with; it did not fail
        elif stopped:
            status = Status.BLOCKED
        elif isinstance(trouble, NeedsPerson):
            status = Status.CONFLICT
        else:
            status = Status.FAILED
        if controls.fatal is None:
            self._record.failed(step, status, trouble.what)
        with self._progress.changed:
            self._progress.trouble[step.id] = trouble
            self._progress.change(
                step, status, trouble.what, remedy=trouble.remedy, seconds=seconds, failed_peers=trouble.peers
            )

    def _job(self, step: Step, beside: tuple[str, ...]) -> Job:
        """What a step may use at work. `beside`: steps whose failure ends it; none when it is taken back, since that needs
        nothing but what was built on it to be gone.
        """
        controls = self._controls

        def stopped() -> str | None:
            if controls.aborted:
                return msg("stopped by you")
            return next((msg("{step} failed", step=id) for id in beside if self._progress.broken(id)), None)

        def leaving() -> str | None:
            if step.id in controls.consented:
                return msg("skipped by you")
            return msg("stopped by you") if controls.draining else None

        def emit(event: Event) -> None:
            if isinstance(event, PersonNeeded):
                self._attend(step)
            self._progress.tell(event)

        return Job(step, emit, stopped, self._shared, self._sleep, attended=self._attended, leaving=leaving)

    def _attend(self, step: Step) -> None:
        """A step begins to wait for a person: its cluster's lane is free for others meanwhile."""
        with self._progress.changed:
            if step.id not in self._controls.attending:
                self._controls.attending.add(step.id)
                self.busy[step.cluster] -= 1
                self._progress.changed.notify_all()


def _summary(probe: Needed) -> str:
    told = joined((difference.told for difference in probe.differences[:3]), "; ")
    more = len(probe.differences) - 3
    if more > 0:
        told = counted("{differences}; and {count} more", "{differences}; and {count} more", more, differences=told)
    return one_line(told)
