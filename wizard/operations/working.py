"""Runs an operation: under the mesh's lock and its leases, recorded, and told to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from state import MeshState, StateError, WrongCluster
from wizard import process
from wizard.clusters.lease import Holder, Lease, this_run
from wizard.clusters.statesecret import StateSecrets, secret_name
from wizard.engine.delivery import Delivery
from wizard.engine.engine import Engine
from wizard.engine.events import Event, StepSaid
from wizard.errors import NeedsPerson, state_trouble
from wizard.fence import Fence
from wizard.messages import joined, msg
from wizard.operations.operation import Operation
from wizard.operations.recorded import stamp
from wizard.operations.recorder import Recorder
from wizard.text import one_line, quoted


@contextmanager
def working(
    operation: Operation, listener: Callable[[Event], None], *, linger: bool = False, attended: bool = False
) -> Iterator[Engine]:
    """An engine for `Operation.run`, holding the mesh's lock and writing its state until the block ends. `linger`, `attended`: as
    `Engine` says. Raises Busy where another run holds the mesh; Stale, here or as the run's end, where something else would be
    done than was agreed to; NeedsPerson where the operation must not begin.
    """
    prepared, options = operation.prepared, operation.prepared.options
    operation.check()
    try:
        journal = prepared.folder.open(operation.mesh.name)
    except StateError as error:
        raise state_trouble(error) from error
    holder = this_run(journal.lock_id)
    # Not those that left: a lease that a killed run leaves there, no later run would give up.
    held = [each.name for each in operation.mesh.clusters if each.name not in operation.untouched]
    fence = Fence(
        {name: prepared.world.cluster(name) for name in held},
        operation.mesh.name,
        holder,
        resume=prepared.resume_command,
        take_over=options.take_over,
        unverified=options.unverified,
    )
    # What changes a cluster inherits the lock: an istioctl that outlives us keeps a second writer out until it ends.
    # Whoever watches is waited for last: neither lock nor lease stays because he is slow.
    with Delivery(listener) as told, journal, process.holding(journal.lock_fd), fence:
        _hold_state(operation, fence, holder, told.put)
        operation.refuse(journal.state)
        recorder = Recorder(journal, fence)
        if operation.approval:
            leaving = [cluster.name for cluster in prepared.leaving]
            operation.approval.check_place(stamp(journal.state), prepared.identities, leaving)
        else:
            _start(operation, recorder, journal.state)
        if journal.recovered:
            told.put(StepSaid(step="", cluster=None, text=one_line(journal.recovered)))
        engine = Engine(
            operation.plan,
            fence.world(prepared.world),
            recorder,
            told.put,
            mesh=operation.mesh.name,
            resume=prepared.resume_command,
            linger=linger,
            attended=attended,
            approval=operation.approval,
            agreed=(lambda: _start(operation, recorder, journal.state)) if operation.approval else (lambda: None),
        )
        told.hurry_when(lambda: engine.controls.aborted)
        fence.watch(engine.controls)
        yield engine
        if engine.succeeded:
            fence.give_up()
            if operation.ends_work:
                recorder.finish()
            if operation.forgets:
                # Still under the lock: what somebody begins after this run is not ours to forget.
                recorder.forget()


def _start(operation: Operation, recorder: Recorder, state: MeshState) -> None:
    prepared = operation.prepared
    clusters = {name: dict(facts) for name, facts in operation.places.items()}
    for name, uid in prepared.identities.items():
        clusters.setdefault(name, {})["uid"] = uid
    try:
        recorder.start(
            operation.name,
            operation.mesh,
            payload=operation.payload,
            options={"istioctl": prepared.world.istioctl.path},
            clusters=clusters,
            anew=prepared.options.rebuilt,
        )
    except WrongCluster as wrong:
        raise _wrong_cluster(wrong, operation, state) from wrong


def _wrong_cluster(wrong: WrongCluster, operation: Operation, state: MeshState) -> NeedsPerson:
    prepared = operation.prepared
    rebuilt = prepared.options.rebuilt
    others = [
        name
        for name, uid in prepared.identities.items()
        if name not in rebuilt and (state.clusters.get(name) or {}).get("uid", uid) != uid
    ]
    consent = " ".join(f"--rebuilt {quoted(name)}" for name in (*rebuilt, *others))
    command = f"meshwizard {operation.resumed_by} {quoted(prepared.mesh.name)}{prepared.place} {consent}"
    anew = msg("Where it was made anew under its old name, say so: {command}", command=command)
    return NeedsPerson(wrong.what, joined((wrong.remedy, anew), " "))


def _hold_state(operation: Operation, fence: Fence, holder: Holder, emit: Callable[[Event], None]) -> None:
    """Where the state is kept in a cluster, keep others from it before the first record: a write of theirs between two of
    a run that works would end it.
    """
    shelf = operation.prepared.folder.shelf
    if not isinstance(shelf, StateSecrets):
        return
    lease = Lease(
        shelf.cluster,
        secret_name(operation.mesh.name),
        holder,
        namespace=shelf.namespace,
        resume=operation.prepared.resume_command,
        on_lost=fence.lost,
    )
    fence.hold(lease, lambda text: emit(StepSaid(step="", cluster=None, text=one_line(text, 1000))))
