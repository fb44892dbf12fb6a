"""An istioctl that runs as a child would: beside the wizard, with its lock inherited, and able to outlive it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from wizard import process as programs
from wizard.clusters.kinds import EVENT, LEASE
from wizard.errors import Failed
from wizard.simulated.istioctl import SimulatedIstioctl
from wizard.simulated.machine import Machine

if TYPE_CHECKING:
    from tests.faults.machine.process import Process

from tests.faults.machine.process import Killed

_ENDS_WITHIN = 5.0  # real seconds that an orphan is kept waiting at most


class Child(threading.Thread):
    """One `istioctl install`. Where the wizard dies it dies too, or waits as an orphan until `let_go`."""

    def __init__(self, process: Process, machine: Machine, install: Callable[..., None]) -> None:
        super().__init__(name="istioctl", daemon=True)
        self._process = process
        self._machine = machine
        self._install = install
        self._locks = [os.dup(fd) for fd in programs.held()]  # as a child inherits them
        self._written = self._writes()
        self._go_on = threading.Event()
        self._end = False
        self.stop = False
        self.error: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            self._install(say=self._say, cancelled=self._look)
        except BaseException as error:
            self.error = error
        finally:
            for fd in self._locks:
                os.close(fd)
            self.done.set()

    def let_go(self, seconds: float) -> bool:
        """Let an orphan go on, for that long at most; whether it came to its own end."""
        self._go_on.set()
        finished = self.done.wait(seconds)
        self._end = True
        self.done.wait(_ENDS_WITHIN)
        return finished and self.error is None

    def _writes(self) -> int:
        """Grows with what is written in the cluster, but for what moves where nothing does: leases that are renewed, and events,
        which tell again and again why a Pod cannot be made.
        """
        store = self._machine.store
        return store.newest - sum(store.changes(LEASE, EVENT))

    def _say(self, text: str) -> None:
        self._process.progress()

    def _look(self) -> bool:
        """Called between its writes and while it waits."""
        if (written := self._writes()) > self._written:
            self._written = written
            self._process.progress()
            if not self._process.dead:
                self._process.between_writes()
        if self._process.dead:
            if not self._process.orphans_live:
                raise Killed
            self._go_on.wait(_ENDS_WITHIN)
            return self._end
        if self._process.quiet():
            raise Failed("istioctl install did not end within 15 min (nothing moves any more)", "")
        return self.stop


def install(process: Process, machine: Machine, istioctl: SimulatedIstioctl, cancelled: Callable[[], bool],
            call: Callable[..., None]) -> None:  # fmt: skip
    """Run one to its end, as `wizard.istio.istioctl` does."""
    child = Child(process, machine, call)
    process.children.append(child)
    child.start()
    while not child.done.wait(0.002):
        if process.dead:
            raise Killed
        if not child.stop and cancelled():
            child.stop = True
    if process.dead:
        raise Killed
    if child.error is not None:
        raise child.error


__all__ = ["Child", "install", "time"]
