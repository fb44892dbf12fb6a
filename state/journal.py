"""The one writer of a mesh's state. What a method records is on the disk before the method returns."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import replace
from typing import Any

from .errors import WrongCluster
from .files import Directory
from .guard import plain, text
from .medium import Medium
from .message import msg
from .records import END_STATUSES, OPERATION, EndStatus, MeshState, StepRecord, now
from .writer import Writer

LONGEST_DETAIL = 500  # characters; the rest belongs into the log


class Journal:
    """Made by `StateFolder.open`; a context manager. All methods may be called from any thread.

    Changes made at the same time by several threads share one write. Every recording method raises StateWriteFailed
    where the disk refuses, StateError where the files were taken away or changed by something else, and ValueError,
    before anything is recorded, for a secret or for what is not plain JSON data. When it raises, nothing was recorded.
    """

    def __init__(
        self,
        directory: Directory,
        fd: int,
        medium: Medium,
        state: MeshState,
        stamp: Hashable | None,
        recovered: str | None,
        program: str,
    ) -> None:
        """`fd`: of the lock that is held. `medium`: where generations are kept. `stamp`: of the generation that `state` was
        read from; None: there was none. `recovered`: what is told of files that could not be believed. `program`: its version.
        """
        self.recovered = recovered
        """A sentence, if files could not be believed: where they are now and what is used. Else None."""
        self._writer = Writer(directory, fd, medium, state, stamp, program)
        self._started = False

    @property
    def state(self) -> MeshState:
        """The state as last recorded. A copy: changing what is inside changes nothing here."""
        return self._writer.snapshot()

    @property
    def lock_fd(self) -> int:
        """For `pass_fds`: the mesh stays locked as long as a child that inherited it lives."""
        return self._writer.lock_fd

    @property
    def lock_id(self) -> str:
        """Names the kernel lock that this journal holds: whoever had it under the same name, before, is gone."""
        return self._writer.lock_id

    def start(
        self,
        operation: str,
        document: Mapping[str, Any],
        options: Mapping[str, Any],
        clusters: Mapping[str, Mapping[str, Any]],
        *,
        payload: Mapping[str, Any] | None = None,
        anew: Collection[str] = (),
    ) -> None:
        """Begin a run or go on with one; must come before anything else is recorded.

        Step records are kept, except by an apply after an uninstall that ended well. Facts about clusters are merged
        into the known ones, as `identify` does; a cluster that is not named any more is kept, for uninstall needs it.
        `payload`: what the operation is about, beside the mesh. `anew`: clusters of which the person says that they are others
        under the old name. What was known of them, and of the steps in them, is forgotten.
        """
        if not OPERATION.fullmatch(operation):
            raise ValueError(f"{operation!r} is not an operation")
        new_document, new_options = plain(document, "document"), plain(options, "options")
        new_clusters, new_payload = plain(clusters, "clusters"), plain(payload or {}, "payload")

        def change(state: MeshState) -> MeshState:
            afresh = operation == "apply" and state.operation == "uninstall" and state.finished
            state = _without(state, anew)
            for cluster, facts in new_clusters.items():
                state = _identified(state, cluster, facts)
            return replace(
                state,
                operation=operation,
                finished=False,
                document=new_document,
                payload=new_payload,
                options=new_options,
                steps={} if afresh else state.steps,
            )

        self._writer.record(change)
        self._started = True

    def begin(self, step_id: str, inputs: str, *, undo: bool = False) -> None:
        """Record the intent to run a step, or to take it back. Call before any effect."""
        self._require_start()
        text(step_id, "the step's id")
        text(inputs, "the step's inputs")

        def change(state: MeshState) -> MeshState:
            old = state.steps.get(step_id)
            record = StepRecord(
                status="undoing" if undo else "running",
                inputs=inputs,
                attempt=old.attempt + 1 if old else 1,
                began=now(),
                extra=old.extra if old else {},
            )
            return replace(state, finished=False, steps={**state.steps, step_id: record})

        self._writer.record(change)

    def end(self, step_id: str, status: EndStatus, detail: str = "") -> None:
        """Record how a step ended. One that never began (adopted, skipped) gets a record with attempt 0; one that ended
        so before, and did not begin since, keeps its record.

        `detail` is one sentence, cut after 500 characters. ValueError if it holds a secret: pass foreign text through
        `redact` first.
        """
        self._require_start()
        if status not in END_STATUSES:
            raise ValueError(f"{status!r} does not end a step")
        text(step_id, "the step's id")
        short = text(detail, "detail")
        if len(short) > LONGEST_DETAIL:
            short = f"{short[: LONGEST_DETAIL - 1]}…"

        def change(state: MeshState) -> MeshState:
            moment = now()
            old = state.steps.get(step_id) or StepRecord(status="running", inputs="", attempt=0, began=moment)
            if (old.status, old.detail) == (status, short):
                return state  # it ended so before, and did nothing since
            record = replace(old, status=status, ended=moment, detail=short)
            return replace(state, steps={**state.steps, step_id: record})

        self._writer.record(change)

    def identify(self, cluster: str, **facts: Any) -> None:
        """Add facts about a cluster. Its `uid`, once known, is a pin: WrongCluster where another one is given."""
        self._require_start()
        name, new = text(cluster, "the cluster's name"), plain(facts, "a fact")
        self._writer.record(lambda state: _identified(state, name, new))

    def finish(self, ok: bool) -> None:
        """Record whether the operation ended well."""
        self._require_start()
        self._writer.record(lambda state: replace(state, finished=ok))

    def forget(self) -> None:
        """Remove all that is remembered of the mesh, if nothing else wrote meanwhile; nothing can be recorded after that. The
        lock file and any logs stay.
        """
        self._writer.forget()

    def close(self) -> None:
        """Give the mesh back, after what other threads are recording. May be called twice; later recordings raise StateError."""
        self._writer.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_start(self) -> None:
        if not self._started:
            raise RuntimeError("Journal.start comes first")


def _without(state: MeshState, names: Collection[str]) -> MeshState:
    return replace(
        state,
        clusters={name: facts for name, facts in state.clusters.items() if name not in names},
        steps={id: record for id, record in state.steps.items() if id.partition("/")[0] not in names},
    )


def _identified(state: MeshState, cluster: str, facts: Mapping[str, Any]) -> MeshState:
    known = state.clusters.get(cluster, {})
    pinned, given = known.get("uid"), facts.get("uid")
    if pinned and given and pinned != given:
        raise WrongCluster(
            msg(
                "{cluster} was the cluster with UID {pinned}; its context now leads to {found}.",
                cluster=cluster,
                pinned=pinned,
                found=given,
            ),
            msg("Point the context at the right cluster."),
        )
    return replace(state, clusters={**state.clusters, cluster: {**known, **facts}})
