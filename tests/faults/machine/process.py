"""One run of the wizard, from its start to its end or its death.

Everything it does outside goes through a door here: requests to clusters, istioctl, the root's key, changes of files. Each is
counted, may fail, and may be the one before or after which the run is killed: from then on no door opens to it any more, in
whatever thread, so nothing it might still want to do happens, as after SIGKILL.
"""

from __future__ import annotations

import errno
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unittest.mock import patch

from tests.faults.machine.tally import Violation, count
from tests.faults.machine.times import GLANCE, QUIET, Waits
from wizard.clusters import lease
from wizard.clusters.kinds import LEASE, Kind, Object, Ref, ref_of
from wizard.clusters.port import Executed, Right, ServerVersion
from wizard.engine.events import Event
from wizard.engine.outcome import Outcome
from wizard.engine.step import Conflict, Step
from wizard.engine.worker import Worker
from wizard.errors import Failed, Mistake, NotAllowed, Trouble, Unreachable
from wizard.mesh import model
from wizard.mesh.model import Mesh
from wizard.simulated.cluster import SimulatedCluster
from wizard.world import RootStore, World

if TYPE_CHECKING:
    from tests.faults.machine.child import Child
    from tests.faults.machine.world import Place

T = TypeVar("T")
_here = threading.local()


class Killed(BaseException):
    """The run is dead. Never caught by what is tested."""


@dataclass(frozen=True)
class Death:
    """When a run is killed: at that door of that kind, before or after its effect. `machine`: so are its children."""

    door: str  # write (a request that changes something, or an istioctl), file, child (a write of istioctl's own), root, read
    number: int
    after: bool
    machine: bool = False


@dataclass
class Fault:
    """Something that goes wrong `times` times from the `start`th fitting door on, in the cluster of that number."""

    kind: str
    cluster: int
    start: int
    times: int
    met: int = 0
    fired: int = 0

    def hits(self) -> bool:
        self.met += 1
        hit = self.start <= self.met < self.start + self.times
        self.fired += hit
        return hit


@dataclass
class Ended:
    """How a run ended. `code` is what the program would exit with; None: it was killed."""

    code: int | None
    what: str
    remedy: str = ""
    outcome: Outcome | None = None
    trouble: Trouble | None = None


class Process:
    """One run. `death` and `faults` are what befalls it."""

    def __init__(self, place: Place, death: Death | None = None, faults: Sequence[Fault] = (), rival: int = 0) -> None:
        """`rival`: at which of its writes another run of the same mesh tries to begin; 0: none does."""
        self.place = place
        self.death = death
        self.faults = list(faults)
        self.rival = rival
        self.dead = False
        self.orphans_live = not (death and death.machine)
        self.children: list[Child] = []
        self.met: dict[str, int] = {}
        self.writes: list[str] = []
        self.vain: list[str] = []
        self.said: list[str] = []
        self.errors: list[str] = []
        self._lock = threading.Lock()
        self._still = 0.0  # seconds
        self._looked = time.monotonic()
        self.waits = Waits(self.quiet)

    # -- what it is told

    def hear(self, event: Event) -> None:
        """The listener of its events."""
        if self.dead:
            raise Killed
        self.said.append(repr(event))
        if type(event).__name__ == "StepChanged":
            self.progress()

    def progress(self) -> None:
        self._still = 0.0

    def quiet(self) -> bool:
        """Whether nothing moves any more. Who waits asks this all the time; while nobody can ask, the machine is busy."""
        now = time.monotonic()
        self._still += min(now - self._looked, GLANCE)
        self._looked = now
        return self._still > QUIET

    def sleep(self, seconds: float) -> None:
        if self.dead:
            raise Killed
        self.waits.sleep(seconds)

    # -- the doors

    def die(self) -> None:
        with self._lock:
            if not self.dead:
                self.dead = True
                count(
                    f"crash:{'after' if self.death and self.death.after else 'before'} {self.death and self.death.door}"
                )

    def pass_door(self, door: str, effect: Callable[[], T], half: Callable[[], object] | None = None) -> T:
        """Go through a door, if it still opens."""
        with self._lock:
            if self.dead:
                raise Killed
            number = self.met[door] = self.met.get(door, 0) + 1
        last = self.death is not None and (self.death.door, self.death.number) == (door, number)
        if last and self.death and not self.death.after:
            if half is not None:
                half()
            self.die()
        if self.dead:
            raise Killed
        result = effect()
        if last:
            self.die()
        if self.dead:
            raise Killed
        return result

    def on_disk(self, name: str, effect: Callable[[], T], half: Callable[[], object] | None) -> T:
        def faulty() -> T:
            for fault in self.faults:
                if fault.kind in ("disk full", "disk error") and fault.hits():
                    number = errno.ENOSPC if fault.kind == "disk full" else errno.EIO
                    raise OSError(number, f"planted at {name}")
            return effect()

        return self.pass_door("file", faulty, half)

    def between_writes(self) -> None:
        """istioctl has written something and is about to go on."""
        self.pass_door("child", lambda: None)
        for fault in self.faults:
            if fault.kind == "istioctl ends" and fault.hits():
                raise Failed("istioctl install: Error: planted, exit 1", "")

    def request(self, cluster: Door | None, kind: Kind | None, effect: Callable[[], T], *, changes: str = "") -> T:
        """A request to a cluster, or an istioctl; `changes` says what it changes, empty where it only reads."""
        lost = False
        if cluster is not None:
            for fault in self.faults:
                if fault.cluster != cluster.number:
                    continue
                match fault.kind:
                    case "unreachable" if fault.hits():
                        raise Unreachable(f"{cluster.name}: planted: connection refused", "")
                    case "server error" if fault.hits():
                        raise Failed(f"{cluster.name}: planted: Internal Server Error", "")
                    case "forbidden" if changes and kind is not None and fault.hits():
                        raise NotAllowed(f"{cluster.name}: planted: not allowed: {changes}", "")
                    case "answer lost" if changes and fault.hits():
                        lost = True
                    case "slow" if fault.hits():
                        time.sleep(0.003)
                    case "lease clock" if changes and fault.hits():
                        self.place.lease_clock.jump(3600)
        if changes and kind != LEASE:
            self.must_be_begun(changes)
        result = self.pass_door("write" if changes else "read", effect)
        if changes and kind != LEASE:
            self.progress()
            self.writes.append(f"{_here.step}: {changes}")
            with self._lock:
                rival = self.rival and len(self.writes) == self.rival
                self.rival = 0 if rival else self.rival
            if rival:
                self.place.rival()
        if lost:
            raise Unreachable(f"{cluster.name if cluster else ''}: planted: the answer was lost", "")
        return result

    def must_be_begun(self, changes: str) -> None:
        step = getattr(_here, "step", None)
        if step is None:
            raise self.wrong(f"changed outside of any step: {changes}")
        status = self.place.recorded(step)
        if not self.dead and status not in ("running", "undoing"):
            raise self.wrong(f"{step} changed something ({changes}) while the disk says {status!r} of it")

    def wrong(self, text: str) -> Violation:
        """A violation, kept also where a thread swallows it."""
        self.errors.append(text)
        return Violation(text)

    # -- being alive

    @contextmanager
    def alive(self) -> Iterator[None]:
        """What it is patched with while it lives."""
        lease_times = lease.Times(look=0.004, renew=0.15, retry=0.05)  # also how soon those of a dead run notice
        worker = lambda *args, **kwargs: MortalWorker(self, *args, **kwargs)  # noqa: E731
        with ExitStack() as stack:
            for where, what in (
                ("wizard.engine.engine.Worker", worker),
                ("wizard.engine.step.time", self.waits),
                ("wizard.probes.curlpod.time", self.waits),
                ("wizard.steps.reach.time", self.waits),
                ("wizard.clusters.lease.time", self.place.lease_clock),
                ("wizard.clusters.lease.TIMES", lease_times),
                ("state.files.os", self.place.disk),
            ):
                stack.enter_context(patch(where, what))
            handler = _Errors(self)
            logging.getLogger().addHandler(handler)
            stack.callback(logging.getLogger().removeHandler, handler)
            hook = threading.excepthook
            threading.excepthook = self._uncaught
            stack.callback(setattr, threading, "excepthook", hook)
            stack.callback(_await_leases)
            self.place.disk.process = self
            stack.callback(setattr, self.place.disk, "process", None)
            yield

    def _uncaught(self, args: Any) -> None:
        if not isinstance(args.exc_value, Killed):
            self.errors.append(f"uncaught in {args.thread}: {args.exc_value!r}")


def _await_leases() -> None:
    """The threads that renew leases end by themselves; they must not outlive the run."""
    for thread in threading.enumerate():
        if thread.name.startswith("lease of "):
            thread.join(5)


class _Errors(logging.Handler):
    """What the wizard logs: unexpected errors are violations, all of it is searched for secrets."""

    def __init__(self, process: Process) -> None:
        super().__init__(logging.INFO)
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(("wizard", "state")):
            return
        text = self.format(record)
        self._process.said.append(text)
        if record.levelno >= logging.ERROR:
            self._process.errors.append(text)


class MortalWorker(Worker):
    """The engine's own; only, its threads end where the run was killed, and it is known which step a thread works for."""

    def __init__(self, process: Process, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "sleep": process.sleep})
        self._process = process

    def work_on(self, step: Step, act: Callable[[Step], None]) -> None:
        _here.step = step.id
        try:
            super().work_on(step, act)
        except BaseException as error:
            if not isinstance(error, Killed):
                self._process.errors.append(repr(error))
        finally:
            _here.step = None


@dataclass
class Door:
    """A cluster as this run reaches it."""

    process: Process
    inner: SimulatedCluster
    number: int
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.inner.name

    @property
    def server(self) -> str:
        return self.inner.server

    @property
    def verified(self) -> bool:
        return self.inner.verified

    def version(self) -> ServerVersion:
        return self.process.request(self, None, self.inner.version)

    def identity(self) -> str:
        return self.process.request(self, None, self.inner.identity)

    def get(self, ref: Ref) -> Object | None:
        return self.process.request(self, ref.kind, lambda: self.inner.get(ref))

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        return self.process.request(self, kind, lambda: self.inner.objects(kind, namespace, labels))

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        ref = ref_of(manifest)
        call = lambda: self.inner.apply(manifest, force=force, dry_run=dry_run)  # noqa: E731
        if dry_run:
            return self.process.request(self, ref.kind, call)
        return self._write(ref, "apply", call)

    def create(self, manifest: Object) -> Object:
        return self._write(ref_of(manifest), "create", lambda: self.inner.create(manifest))

    def replace(self, manifest: Object) -> Object:
        return self._write(ref_of(manifest), "replace", lambda: self.inner.replace(manifest))

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        return self._write(ref, "delete", lambda: self.inner.delete(ref, uid=uid, version=version))

    def denied(self, rights: Sequence[Right]) -> list[Right]:
        return self.process.request(self, None, lambda: self.inner.denied(rights))

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        call = lambda: self.inner.execute(pod, container, argv, seconds=seconds, stdin=stdin)  # noqa: E731
        return self.process.request(self, pod.kind, call)

    def logs(self, pod: Ref, container: str, *, lines: int = 20, previous: bool = False) -> str:
        call = lambda: self.inner.logs(pod, container, lines=lines, previous=previous)  # noqa: E731
        return self.process.request(self, pod.kind, call)

    def close(self) -> None:
        self.inner.close()

    def _write(self, ref: Ref, verb: str, call: Callable[[], T]) -> T:
        place, what = self.process.place, f"{verb} {ref}"
        if place.is_foreign(self.number, ref):
            raise self.process.wrong(f"{what} in {self.name} would touch what somebody else made")

        def effect() -> T:
            before = self._version(ref)
            result = call()
            if before is not None and before == self._version(ref):
                self.process.vain.append(f"{getattr(_here, 'step', None)}: {what} in {self.name}")
            place.look_at_roots(self.process, ref)
            return result

        return self.process.request(self, ref.kind, effect, changes=f"{what} in {self.name}")

    def _version(self, ref: Ref) -> str | None:
        record = self.inner.machine.store.find(ref)
        return str(record.manifest["metadata"]["resourceVersion"]) if record else None


@dataclass
class DoorToIstioctl:
    """The istioctl as this run starts it."""

    process: Process
    world: World

    @property
    def path(self) -> str:
        return self.world.istioctl.path

    def version(self) -> str:
        return self.process.request(None, None, self.world.istioctl.version)

    def manifest(self, operator: str, overlays: Sequence[Path]) -> list[Object]:
        return self.process.request(None, None, lambda: self.world.istioctl.manifest(operator, overlays))

    def install(
        self, cluster: model.Cluster, operator: str, overlays: Sequence[Path], *,
        say: Callable[[str], None], cancelled: Callable[[], bool], seconds: float,
    ) -> None:  # fmt: skip
        from tests.faults.machine.child import install

        machine = self.process.place.outside.machine(cluster.context)

        def call(say: Callable[[str], None], cancelled: Callable[[], bool]) -> None:
            self.world.istioctl.install(cluster, operator, overlays, say=say, cancelled=cancelled, seconds=seconds)

        self._spawn(cluster, "install", lambda: install(self.process, machine, self.world.istioctl, cancelled, call))

    def remote_secret(self, cluster: model.Cluster, *, server: str) -> Object:
        return self._spawn(
            cluster, "create-remote-secret", lambda: self.world.istioctl.remote_secret(cluster, server=server)
        )

    def _spawn(self, cluster: model.Cluster, verb: str, effect: Callable[[], T]) -> T:
        door = Door(self.process, self.world.clusters[cluster.name], self.process.place.number(cluster))  # type: ignore[arg-type]
        return self.process.request(door, None, effect, changes=f"istioctl {verb} in {cluster.name}")


class DoorToRoots(RootStore):
    """The root's key as this run reaches it."""

    def __init__(self, process: Process, inner: RootStore) -> None:
        self._process = process
        self._inner = inner
        self.place = inner.place

    def load(self) -> tuple[bytes, bytes] | None:
        return self._process.pass_door("read", self._inner.load)

    def obstacle(self) -> Conflict | None:
        return self._process.pass_door("read", self._inner.obstacle)

    def save(self, certificate: bytes, key: bytes) -> None:
        self._process.must_be_begun("the root's key")
        self._process.pass_door("root", lambda: self._inner.save(certificate, key))
        self._process.writes.append("root-ca: the root's key")


class DoorToAll:
    """The outside as this run sees it: implements what `wizard.operations` needs of `wizard.outside.Outside`."""

    simulated = False  # so that certificates are read from the person's folder

    def __init__(self, process: Process) -> None:
        self._process = process

    def mistakes(self, mesh: Mesh, *, looking: bool = False) -> tuple[Mistake, ...]:
        return ()

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        process = self._process
        inner = process.place.outside.world(mesh, istioctl)
        clusters = {
            each.name: Door(process, inner.clusters[each.name], process.place.number(each))  # type: ignore[arg-type]
            for each in mesh.clusters
        }
        return World(clusters, DoorToIstioctl(process, inner), DoorToRoots(process, inner.roots), simulated=False)


def recorded_status(file: Path, step: str) -> str | None:
    """What the disk says of a step now."""
    try:
        return _statuses(file.read_bytes()).get(step)
    except (OSError, ValueError, KeyError):
        return None


@lru_cache(maxsize=4)
def _statuses(data: bytes) -> dict[str, str]:
    return {step: record["status"] for step, record in json.loads(data)["state"]["steps"].items()}
