"""The demo's root certificates: in memory, and gone with it."""

from __future__ import annotations

import threading

from wizard.engine.step import Conflict
from wizard.errors import NeedsPerson
from wizard.messages import msg
from wizard.world import RootStore


class MemoryRoots(RootStore):
    """The mesh's root certificate, in memory."""

    place = msg("memory (simulated)")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: tuple[bytes, bytes] | None = None

    def load(self) -> tuple[bytes, bytes] | None:
        with self._lock:
            return self._kept

    def obstacle(self) -> Conflict | None:
        return None

    def save(self, certificate: bytes, key: bytes) -> None:
        with self._lock:
            if self._kept is not None:
                raise NeedsPerson(
                    msg("{place} holds a root certificate already", place=self.place), msg("Start a new demo.")
                )
            self._kept = (certificate, key)

    def lose(self) -> None:
        """It is not there any more, as on the machine of a colleague."""
        with self._lock:
            self._kept = None
