"""What whoever watches a run may do to it, from any thread at any time."""

from __future__ import annotations

from wizard.engine.events import Paused, Status, StepSaid
from wizard.engine.progress import Progress
from wizard.errors import Trouble
from wizard.messages import msg
from wizard.text import one_line


class Controls:
    """Every call returns at once. The engine looks here before it starts a step and while one waits."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._changed = progress.changed
        self.paused = False
        self.draining = False
        self.aborted = False
        self.fatal: Trouble | None = None  # what the run ends with
        self.attending: set[str] = set()  # steps that wait for a person
        self.consented: set[str] = set()  # of those, the ones that the person skipped

    def say(self, cluster: str, text: str) -> None:
        """Tell those who watch something of a cluster that is no step's, made printable."""
        self._progress.tell(StepSaid(step="", cluster=cluster, text=one_line(text, 1000)))

    def pause(self, paused: bool = True) -> None:
        """Start no further steps until called again with False; what runs goes on."""
        with self._changed:
            self.paused = paused
            self._progress.tell(Paused(paused=paused))
            self._changed.notify_all()

    def retry(self, id: str) -> None:
        """Try a failed step again, and what it blocked. KeyError for an unknown step."""
        with self._changed:
            if self._progress.broken(id):
                self._progress.take_look(id)
                self._progress.change(self._progress.plan.step(id), Status.WAITING)
                self._unblock()

    def skip(self, id: str) -> None:
        """Count a failed step, or one that waits for a person, as done, because a person said so; what it blocked goes on."""
        with self._changed:
            if id in self.attending:
                self.consented.add(id)
            if self._progress.broken(id) and self._progress.status[id] is not Status.BLOCKED:
                self._progress.change(self._progress.plan.step(id), Status.SKIPPED, msg("skipped by you"))
                self._unblock()
            self._changed.notify_all()

    def drain(self) -> None:
        """Start nothing new, let what runs come to its end, then stop. What a first Ctrl-C does."""
        with self._changed:
            self.draining = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Stop now: waits end, child processes are ended. What was done stays recorded."""
        with self._changed:
            self.draining = self.aborted = True
            self._changed.notify_all()

    def give_up(self, trouble: Trouble) -> None:
        """Abort because of this trouble, which the run then ends with; nothing more is recorded."""
        self.end_with(trouble)
        self.abort()

    def end_with(self, trouble: Trouble) -> None:
        """Drain because of this trouble, which the run then ends with. The first one counts."""
        with self._changed:
            self.fatal = self.fatal or trouble
            self.draining = True
            self._changed.notify_all()

    def _unblock(self) -> None:
        for step in self._progress.plan.steps:
            if self._progress.status[step.id] is Status.BLOCKED:
                self._progress.change(step, Status.WAITING)
