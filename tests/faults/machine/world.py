"""All that outlives a run: clusters, state folder, root; and what must hold of them at any time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from state import StateDamaged, StateError, StateFolder
from tests.faults.machine.disk import Disk
from tests.faults.machine.picture import contents, decoded, root_in
from tests.faults.machine.process import Death, DoorToAll, Ended, Fault, Killed, Process, recorded_status
from tests.faults.machine.shapes import NAME, REGISTRY_PASSWORD, Shape, scratch
from tests.faults.machine.strangers import SECRET_OF_THEIRS, belongings, kept, plant
from tests.faults.machine.tally import Violation, count
from tests.faults.machine.times import LeaseClock
from wizard.clusters.kinds import JOB, LEASE, NAMESPACE, SECRET, Object, Ref, ref_of
from wizard.engine.events import Status
from wizard.engine.outcome import Outcome
from wizard.engine.schedule import dependants
from wizard.engine.step import Plan
from wizard.errors import BadInput, Trouble
from wizard.mesh.model import Cluster, Mesh
from wizard.operations.apply import Apply
from wizard.operations.choice import first, kind_of, resumed
from wizard.operations.operation import Operation
from wizard.operations.options import RunOptions
from wizard.operations.prepared import Prepared, prepare
from wizard.operations.recorded import saved_mesh, state_of, wanted_mesh
from wizard.operations.uninstall import Uninstall
from wizard.operations.working import working
from wizard.probes import curlpod
from wizard.simulated.machine import Machine

CACERTS = Ref(SECRET, "cacerts", "istio-system")
SYSTEM = Ref(NAMESPACE, "istio-system")
_BROKEN = (Status.FAILED, Status.CONFLICT)


class Place:
    """The clusters and the state folder of one sequence."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.outside = shape.outside()
        self.mesh = shape.mesh()
        self.scratch = scratch("sequence")
        self.folder = StateFolder(self.scratch / "state")
        self.disk = Disk()
        self.lease_clock = LeaseClock()
        self.take_over = False
        self.leaving: tuple[Cluster, ...] = ()  # out of the mesh file, and not yet out of the mesh
        self.some_left = False
        self.settled = self.mesh
        self.taken_back = False  # all of the mesh or a cluster of it, once
        self.story: list[str] = [repr(shape)]
        self.copies: list[bytes] = []
        self.planted_root = False
        self.lost_roots: dict[Machine, Object | None] = {}  # whose cacerts somebody meddled with → what was there
        self.others_roots: set[str | None] = set()
        self.lost_records: set[int] = set()  # machines that do not tell any more which CRDs were there before the mesh
        self.lost_namespaces: set[Machine] = set()
        self.damaged = False
        self.readable = True  # the state, when it was looked at last
        self.lost_lock = False  # the kernel's lock went with the state, so a Lease that is left tells of a stranger
        self.broken = False
        self._serial: tuple[str, int] = ("", 0)
        plant(self.outside, shape)
        self.foreign = {
            (number, ref_of(live)): kept(live)
            for number, machine in enumerate(self.outside.machines, 1)
            for live in belongings(machine)
        }
        self.before = [contents(machine) for machine in self.outside.machines]

    # -- what runs may ask

    def number(self, cluster: Cluster) -> int:
        """The number of the machine that this cluster is."""
        return self.outside.machine(cluster.context).index

    def machine(self, number: int) -> Machine:
        return self.outside.machines[(number - 1) % len(self.outside.machines)]

    def is_foreign(self, number: int, ref: Ref) -> bool:
        """Whether somebody else made this object. In the namespaces that were there the wizard may join."""
        return (number, ref) in self.foreign and ref.kind.kind != "Namespace"

    def recorded(self, step: str) -> str | None:
        return recorded_status(self.folder.path_of(NAME) / "state.json", step)

    def look_at_roots(self, process: Process, ref: Ref) -> None:
        """Called after every write: there are never two roots."""
        if ref == CACERTS and not self.planted_root:
            roots = {root for machine in self.outside.machines if (root := root_in(machine))}
            if len(roots) > 1:
                raise process.wrong(f"two roots in the clusters: {sorted(roots)}")

    def rival(self) -> None:
        """Another run of the same mesh begins while one works."""
        other = Process(self)
        try:
            made = prepare(self.mesh, DoorToAll(other), StateFolder(self.folder.folder))
            with working(Apply(made), other.hear):
                raise self.violation("a second run could begin while the first one works")
        except Trouble as trouble:
            count(f"rival:{type(trouble).__name__}")
        if other.writes:
            raise self.violation(f"a second run changed something: {other.writes}")

    # -- runs

    def run(
        self, operation: str, *, death: Death | None = None, faults: Sequence[Fault] = (), rival: int = 0
    ) -> tuple[Process, Ended]:
        """One run of the wizard: apply, resume, uninstall or look; then everything is looked at."""
        body: Callable[[Process], Ended] = {
            "apply": self._apply, "resume": self._resume, "uninstall": self._uninstall, "look": self._look,
        }[operation]  # fmt: skip
        began = time.monotonic()
        process = Process(self, death, faults, rival)
        self.lease_clock.hurry(self.lost_lock)
        with process.alive():
            try:
                ended = body(process)
            except Killed:
                ended = Ended(None, "killed")
            except Trouble as trouble:
                ended = Ended(trouble.exit_code, trouble.what, trouble.remedy, trouble=trouble)
            except StateError as error:
                ended = Ended(1, error.what, error.remedy)
            except Violation:
                raise
            except Exception as error:
                raise self.violation(f"{operation} raised {error!r}") from error
            if process.dead:
                ended = Ended(None, "killed")
            self._release(process)
            if process.dead or any(fault.fired for fault in faults):
                self._end_probes()
        took = f"after {time.monotonic() - began:.1f} s"
        told = f"{operation} {death or ''} {faults or ''} → {ended.code} {took}: {ended.what} | {ended.remedy}"
        self.story.append(told)
        for fault in faults:
            if fault.fired:
                count(f"fault:{fault.kind}")
        count(f"run:{operation}")
        count(f"exit:{ended.code}")
        self.take_over = "--take-over" in ended.remedy
        self.last = process
        self.check(process)
        if ended.code is not None and self.readable:  # what only says that it cannot be read leaves it as it is
            self.damaged = False
        if ended.code == 0 and operation != "look":
            self.lost_lock = self.lost_lock and bool(self.leases())
            if not self.lost_lock and not faults and (left := self.leases()):
                raise self.violation(f"a run that had nothing to do left the leases of a dead one: {left}")
            if operation == "apply":
                self.leaving = ()
        return process, ended

    def _prepared(self, process: Process, mesh: Mesh, *, undo: bool = False) -> Prepared:
        options = RunOptions(take_over=self.take_over)
        return prepare(mesh, DoorToAll(process), StateFolder(self.folder.folder), options, undo=undo)

    def _apply(self, process: Process) -> Ended:
        made = self._prepared(process, self.mesh)
        return self._work(process, first(made, state_of(made.folder, NAME)))

    def _resume(self, process: Process) -> Ended:
        """As `meshwizard resume` does; with nothing to go on with, a person applies the mesh file again."""
        try:
            mesh, state = saved_mesh(StateFolder(self.folder.folder), NAME)
        except BadInput:
            return self._apply(process)
        if kind_of(state).takes_back:
            return self._uninstall(process)
        return self._work(process, resumed(self._prepared(process, wanted_mesh(mesh, state)), state))

    def _uninstall(self, process: Process) -> Ended:
        mesh, _ = saved_mesh(StateFolder(self.folder.folder), NAME)
        operation = Uninstall(self._prepared(process, mesh, undo=True))
        self.taken_back = True
        with working(operation, process.hear) as engine:
            outcome = operation.run(engine)
        self._orderly(process, operation.plan, outcome, engine.controls.fatal, undo=True)
        return _ended(outcome)

    def _work(self, process: Process, operation: Operation) -> Ended:
        self.settled = operation.prepared.mesh
        while True:
            self.taken_back = self.taken_back or operation.direction == "backward"
            with working(operation, process.hear) as engine:
                outcome = operation.run(engine)
            following = operation.then() if outcome.ok else None
            if following is None:
                break
            count(f"run:{operation.name}")
            operation = following
        if operation.direction == "forward":
            self._orderly(process, operation.plan, outcome, engine.controls.fatal)
        return _ended(outcome)

    def _look(self, process: Process) -> Ended:
        """What plan and status do."""
        before = self._files()
        self.folder.summaries()
        try:
            self._prepared(process, self.mesh).look()
        finally:
            if process.writes or process.met.get("file"):
                raise self.violation(f"looking changed something: {process.writes}, {process.met}")
            if self._files() != before:
                raise self.violation("looking changed the state folder")
        return Ended(0, "looked")

    def _release(self, process: Process) -> None:
        """Orphans of a run that was killed: while they live nobody else gets the mesh; then they come to their end."""
        orphans = [child for child in process.children if not child.done.is_set()]
        if not orphans:
            return
        if process.dead and process.orphans_live:
            count("orphan:istioctl", len(orphans))
            self.disk.process = None
            other = Process(self)
            try:
                with working(Apply(self._prepared(other, self.mesh)), other.hear):
                    if not all(child.done.wait(0.5) for child in orphans):  # one may just have come to its end
                        raise self.violation("a run could begin while an orphaned istioctl still works")
            except Trouble as trouble:
                count(f"orphan:{type(trouble).__name__}")
        for child in orphans:
            if child.let_go(0.3):
                count("orphan:finished")
        if any(not child.done.is_set() for child in process.children):
            raise self.violation("the rig's istioctl did not end")

    def _end_probes(self) -> None:
        """Kubernetes ends and removes what a run left to try addresses with that was killed, or could not remove it; here at
        once.
        """
        for machine in self.outside.machines:
            with machine.settled():
                for live in machine.listed(JOB, SYSTEM.name, curlpod.LABEL):
                    machine.store.remove(ref_of(live))
                machine.settle()

    def _orderly(
        self, process: Process, plan: Plan, outcome: Outcome, fatal: Trouble | None, *, undo: bool = False
    ) -> None:
        """A failure stops only what depends on it, and all of that."""
        if process.dead or fatal is not None:
            return
        forward = {step.id: list(step.needs + step.joins + step.awaits) for step in plan.steps}
        needs = dependants(plan) if undo else forward
        statuses = outcome.statuses
        for step in plan.steps:
            above: set[str] = set()
            left = {step.id}
            while left := {id for each in left for id in needs[each]} - above:
                above |= left
            broken = [id for id in above if statuses[id] in _BROKEN]
            status = statuses[step.id]
            if status is Status.BLOCKED and not broken:
                raise process.wrong(f"{step.id} was blocked, though nothing failed that it depends on: {statuses}")
            if not broken and status not in (*_BROKEN, Status.DONE, Status.UNDONE):
                raise process.wrong(f"{step.id} is {status}, though nothing failed that it depends on: {statuses}")

    # -- the mesh file

    def change_mesh(self, mesh: Mesh) -> None:
        """A person edits the mesh file."""
        self.story.append(
            f"the mesh file: {[cluster.name for cluster in mesh.clusters]}, {mesh.istio.image_pull_policy}"
        )
        names = {cluster.name for cluster in mesh.clusters}
        gone = tuple(cluster for cluster in self.mesh.clusters if cluster.name not in names)
        self.some_left = self.some_left or bool(gone)
        self.leaving = (*(each for each in self.leaving if each.name not in names), *gone)
        self.mesh = mesh

    def known(self) -> bool:
        """Whether the state tells which clusters the mesh has; where it is lost, none can be taken out of it."""
        try:
            return self.folder.read(NAME) is not None
        except StateError:
            return False

    def remember_leaving(self) -> None:
        """Without the state nobody knows which clusters were being taken out: a person puts them back."""
        if self.known():
            return
        for cluster in self.leaving:
            self.story.append(f"{cluster.name} is put back into the mesh file")
            remote = "primary-remote" if cluster.role == "remote" else self.mesh.topology
            self.mesh = replace(self.mesh, clusters=(*self.mesh.clusters, cluster), topology=remote)
        self.leaving = ()

    # -- what must hold

    def violation(self, text: str) -> Violation:
        self.broken = True
        return Violation("\n".join([text, "after:", *(f"  {line}" for line in self.story)]))

    def check(self, process: Process | None = None) -> None:
        """What holds after anything."""
        if process is not None:
            if process.errors:
                trace = "\n    ".join(process.writes)
                raise self.violation(f"{process.errors[0]}\n  it wrote:\n    {trace}")
            if process.vain and not process.faults:
                raise self.violation(f"wrote what stood there already: {process.vain}")
            if (
                process.writes
                and not process.dead
                and not process.faults
                and not self.lost_lock
                and (left := self.leases())
            ):
                raise self.violation(f"leases are left: {left}")
        self._check_foreign()
        self._check_state()
        self._check_secrets(process)

    def leases(self) -> list[str]:
        """The clusters that somebody, by their Lease, works in."""
        ref = Ref(LEASE, f"meshwizard-{NAME}", "kube-system")
        return [m.context for m in self.outside.machines if not m.unreachable and m.store.find(ref)]

    def _check_foreign(self) -> None:
        for (number, ref), before in self.foreign.items():
            live = self.machine(number).store.find(ref)
            if live is None or kept(live.manifest) != before:
                raise self.violation(
                    f"{ref} of cluster {number} was somebody else's: {live and live.manifest}, not {before}"
                )

    def _check_state(self) -> None:
        try:
            state = self.folder.read(NAME)
            self.readable = True
        except StateDamaged:
            self.readable = False
            if not self.damaged:
                raise self.violation("the state cannot be read, though nobody damaged it") from None
            return
        if state is None:
            return
        lineage, serial = self._serial
        if state.lineage == lineage and state.serial < serial and not self.damaged:
            raise self.violation(f"the state's serial fell from {serial} to {state.serial}")
        self._serial = (state.lineage, state.serial)

    def _check_secrets(self, process: Process | None) -> None:
        """No secret in what is kept or said."""
        said = "\n".join(process.said) if process else ""
        kept = b"".join(self._files().values()).decode(errors="replace")
        for secret in self._canaries():
            if secret in said or secret in kept:
                raise self.violation(f"a secret was {'said' if secret in said else 'kept'}: {secret}")

    def _canaries(self) -> set[str]:
        found = {REGISTRY_PASSWORD, SECRET_OF_THEIRS}
        contents = list(self.outside.roots(NAME).load() or ())[1:]
        for machine in self.outside.machines:
            for record in machine.store.all(SECRET):
                for name, text in zip(record.manifest.get("data") or {}, decoded(record.manifest), strict=True):
                    if name.endswith("key.pem"):
                        contents.append(text)
                    elif name == "token":
                        found.add(text.decode())
        for key in contents:
            found.add(key.decode().splitlines()[1])
        return {secret for secret in found if secret}

    def _files(self) -> dict[str, bytes]:
        folder = self.folder.folder / NAME
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))} if folder.is_dir() else {}

    def close(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)


def _ended(outcome: Outcome) -> Ended:
    return Ended(outcome.exit_code, outcome.what, outcome.remedy, outcome)
