"""The engine's journal over the state file: what it cannot write is told as Trouble."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from state import Journal, StateError, WrongCluster, redact
from wizard.errors import state_trouble
from wizard.fence import Fence
from wizard.mesh.document import document_of
from wizard.mesh.model import Mesh


class Recorder:
    """Records one run. Implements `wizard.engine.record.Journal`."""

    def __init__(self, journal: Journal, fence: Fence) -> None:
        self._journal = journal
        self._fence = fence

    def start(
        self,
        operation: str,
        mesh: Mesh,
        *,
        payload: Mapping[str, Any],
        options: Mapping[str, Any],
        clusters: Mapping[str, Mapping[str, Any]],
        anew: Collection[str],
    ) -> None:
        """As `state.Journal.start`; raises WrongCluster, too, where a name leads to another cluster than is recorded."""
        self._durably(
            lambda: self._journal.start(operation, document_of(mesh), options, clusters, payload=payload, anew=anew)
        )

    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None:
        # Only what begins something needs the leases: a finished mesh costs no writing request.
        self._fence.take()
        self._durably(lambda: self._journal.begin(step, inputs, undo=undo))

    def end(self, step: str, status: Any, detail: str = "") -> None:
        self._durably(lambda: self._journal.end(step, status, redact(detail)))

    def finish(self) -> None:
        """Nothing is left to be gone on with."""
        self._durably(lambda: self._journal.finish(True))

    def forget(self) -> None:
        """Nothing is remembered of the mesh any more."""
        self._durably(self._journal.forget)

    def _durably(self, write: Callable[[], None]) -> None:
        try:
            write()
        except WrongCluster:
            raise
        except StateError as error:
            raise state_trouble(error) from error
