"""Brings changes to the disk: one write at a time, shared by the threads that wait for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Event, Lock, Thread

from . import lock
from .errors import StateError
from .files import Directory
from .generations import FILE, KEEP, remove_all
from .medium import Medium
from .message import msg
from .records import MeshState, now
from .schema import LIMIT, Damaged, decode, encode

Change = Callable[[MeshState], MeshState]


@dataclass
class _Ticket:
    """A change on its way to the disk."""

    change: Change
    settled: Event = field(default_factory=Event)
    error: BaseException | None = None


class Writer:
    """Owns the open medium and the lock. All methods may be called from any thread.

    A thread of its own writes, all that waits at once: 50 lanes share a flush, and no interrupt hits half a write.
    """

    def __init__(
        self, directory: Directory, fd: int, medium: Medium, state: MeshState, stamp: Hashable | None, program: str
    ) -> None:
        """`directory` is where the lock behind `fd` stands; the state is written to `medium`, which may be the same."""
        self._directory = directory
        self._medium = medium
        self._lock_fd = fd
        self._state = state  # what the disk holds
        self._attempted: MeshState | None = None  # what it may hold after a write that failed half-way
        self._stamp = stamp  # of the file that holds `_state`
        self._program = program
        self._snapshot = (state, _copy(state))
        self._queue: SimpleQueue[_Ticket | None] = SimpleQueue()
        self._gate = Lock()  # nothing may be queued behind the None that ends the thread
        self._thread: Thread | None = None
        self._forgotten = False

    @property
    def lock_fd(self) -> int:
        if self._lock_fd < 0:
            raise StateError(msg("The journal of {mesh} is closed.", mesh=self._state.name))
        return self._lock_fd

    @property
    def lock_id(self) -> str:
        """See `lock.identity`."""
        return lock.identity(self.lock_fd)

    def snapshot(self) -> MeshState:
        """A copy of the state as last recorded."""
        kept, copy = self._snapshot
        state = self._state
        if kept is not state:
            copy = _copy(state)
            self._snapshot = (state, copy)
        return copy

    def record(self, change: Change) -> None:
        """Apply `change` to what the disk holds; durable on return. A StateError that `change` raises is passed on."""
        ticket = _Ticket(change)
        with self._gate:
            _ = self.lock_fd  # raises where it is closed
            if self._forgotten:
                raise StateError(msg("What was recorded of {mesh} was forgotten.", mesh=self._state.name))
            if self._thread is None:
                self._thread = Thread(target=self._run, name=f"state of {self._state.name}", daemon=True)
                self._thread.start()
            self._queue.put(ticket)
        ticket.settled.wait()
        if ticket.error is not None:
            raise ticket.error

    def forget(self) -> None:
        """Remove all generations, after what was queued, if the disk holds what we left there. The last that is done."""
        with self._gate:
            _ = self.lock_fd
            self._end_thread()
            self._base()
            remove_all(self._medium)
            self._forgotten = True

    def _end_thread(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        """What was queued is written first."""
        with self._gate:
            if self._lock_fd < 0:
                return
            self._end_thread()
            # Closed, not unlocked: unlocking would also take the lock from a child that still works.
            os.close(self._lock_fd)
            self._lock_fd = -1
            self._medium.close()
            self._directory.close()

    def _run(self) -> None:
        batch: list[_Ticket | None] = []
        while None not in batch:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            self._settle([ticket for ticket in batch if ticket])

    def _settle(self, batch: list[_Ticket]) -> None:
        try:
            base = new = self._base()
            for ticket in batch:
                try:
                    new = ticket.change(new)
                except StateError as error:
                    ticket.error = error
            if new is not base:
                self._write(replace(new, serial=base.serial + 1, updated=now(), written_by=self._program))
        except BaseException as error:  # whatever it is, those who wait must hear of it
            for ticket in batch:
                ticket.error = ticket.error or error
        finally:
            for ticket in batch:
                ticket.settled.set()

    def _write(self, new: MeshState) -> None:
        data = encode(new)
        self._attempted = new
        self._medium.replace(FILE, data, KEEP)
        self._stamp = self._medium.stamp(FILE)
        self._state, self._attempted = new, None

    def _base(self) -> MeshState:
        """What the disk holds, if it is what we left there; StateError if something else wrote meanwhile."""
        path = self._medium.label(FILE)
        if not lock.is_ours(self._directory, self.lock_fd):
            raise StateError(
                msg("The lock beside {file} was removed while this run held it.", file=self._directory.label(FILE)),
                msg("Start the command again."),
            )
        stamp = self._medium.stamp(FILE)
        if stamp not in (self._stamp, None):  # a file that was removed is simply written again
            try:
                found = decode(self._medium.read(FILE, LIMIT) or b"", self._state.name, path)[0]
            except Damaged as damage:
                what = msg("{path} {problem}: something else wrote it.", path=path, problem=damage.args[0])
                raise StateError(what, msg("Start the command again.")) from None
            if found not in (self._state, self._attempted):
                raise StateError(
                    msg(
                        "{path} was replaced by something else (serial {serial}, expected {expected}).",
                        path=path,
                        serial=found.serial,
                        expected=self._state.serial,
                    ),
                    msg("Start the command again: it goes on from the newest state of this mesh."),
                )
            self._state, self._stamp = found, stamp
        return self._state


def _copy(state: MeshState) -> MeshState:
    return replace(
        state,
        document=deepcopy(state.document),
        payload=deepcopy(state.payload),
        options=deepcopy(state.options),
        clusters=deepcopy(state.clusters),
        steps=dict(state.steps),
    )
