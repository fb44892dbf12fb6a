"""One mesh being worked on: what every front end does with it, in the order it must happen.

`prepare` connects and finds what was left open (addresses, ports), `look` compares with the clusters, `engine` takes
the lock and gives the engine that works. All block: call them from a thread.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from state import Journal as StateJournal
from state import MeshState, StateBusy, StateError, StateFolder, WrongCluster, redact
from wizard import process
from wizard.engine.engine import Engine, Look
from wizard.engine.events import Event, StepSaid
from wizard.engine.step import Plan, World
from wizard.errors import BadInput, Busy, Failed, NeedsPerson
from wizard.mesh.document import document_of, mesh_from
from wizard.mesh.model import Mesh
from wizard.outside import Outside
from wizard.plan import plan_of
from wizard.resolve import check_istioctl, check_overlays, identities, resolve
from wizard.text import one_line


class Session:
    """A mesh, the world its steps work in, and where its progress is kept."""

    def __init__(
        self,
        mesh: Mesh,
        outside: Outside,
        folder: StateFolder,
        *,
        istioctl: str | None = None,
        given_folder: bool = False,
    ) -> None:
        """`given_folder`: the folder is not the default one, so a command that resumes must name it."""
        self.wished = mesh
        self.mesh = mesh
        self.folder = folder
        self._outside = outside
        self._istioctl = istioctl
        self._given_folder = given_folder
        self._world: World | None = None
        self._identities: dict[str, str] = {}
        self.plan = Plan(())

    @property
    def world(self) -> World:
        """The world, once prepared."""
        if self._world is None:
            raise RuntimeError("prepare() comes first")
        return self._world

    @property
    def resume_command(self) -> str:
        """What a person types to go on with this mesh."""
        place = f" --state-dir {shlex.quote(str(self.folder.folder))}" if self._given_folder else ""
        return f"meshwizard resume {self.mesh.name}{place}"

    def prepare(self) -> None:
        """Check istioctl, connect, and settle what the mesh file leaves open. Raises Trouble; changes nothing."""
        mistakes = self._outside.mistakes(self.wished)
        if mistakes:
            raise BadInput("the mesh's contexts cannot be used; nothing was touched", "Correct them.", mistakes)
        check_overlays(self.wished)
        state = self._state()
        self._world = self._outside.world(self.wished, self._istioctl or _istioctl_of(state))
        with ThreadPoolExecutor(max_workers=1) as aside:
            # istioctl takes its time to start; the first connection to a cluster does, too.
            asked = aside.submit(check_istioctl, self.wished, self._world)
            self._identities = identities(self.wished, self._world)
            version = asked.result()
        mesh = _settled_before(self.wished, state)
        self.mesh = resolve(replace(mesh, istio=replace(mesh.istio, version=version)), self._world)
        self.plan = plan_of(self.mesh)

    def look(self) -> dict[str, Look]:
        """Probe every step but the guards; changes nothing, records nothing."""
        return Engine(self.plan, self.world, _NoJournal(), lambda _: None, mesh=self.mesh.name).look()

    @contextmanager
    def engine(
        self, listener: Callable[[Event], None], *, linger: bool = False, operation: str = "apply"
    ) -> Iterator[Engine]:
        """An engine for this mesh, holding its lock and writing its state until the block ends. Raises Busy where
        another run holds the mesh.
        """
        try:
            journal = self.folder.open(self.mesh.name)
        except StateBusy as busy:
            raise Busy(busy.what, busy.remedy) from busy
        except StateError as error:
            raise Failed(error.what, error.remedy) from error
        # Children inherit the lock: an istioctl that outlives us keeps a second writer out until it ends.
        with journal, process.holding(journal.lock_fd):
            recorder = _Recorder(journal)
            pins = {name: {"uid": uid} for name, uid in self._identities.items()}
            recorder.start(operation, self.mesh, {"istioctl": self.world.istioctl.path}, pins)
            if journal.recovered:
                listener(StepSaid(step="", cluster=None, text=one_line(journal.recovered)))
            engine = Engine(
                self.plan,
                self.world,
                recorder,
                listener,
                mesh=self.mesh.name,
                resume=self.resume_command,
                linger=linger,
            )
            yield engine
            recorder.finish(engine.succeeded)

    def close(self) -> None:
        """Give up all connections."""
        if self._world:
            for cluster in self._world.clusters.values():
                cluster.close()

    def _state(self) -> MeshState | None:
        try:
            return self.folder.read(self.wished.name)
        except StateError:
            return None  # the clusters are the truth; opening the state for the work will say what is wrong with it


class _NoJournal:
    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None: ...

    def end(self, step: str, status: str, detail: str = "") -> None: ...


class _Recorder:
    """The engine's journal over the state file, with its errors told as Trouble."""

    def __init__(self, journal: StateJournal) -> None:
        self._journal = journal

    def start(
        self, operation: Any, mesh: Mesh, options: Mapping[str, Any], pins: Mapping[str, Mapping[str, Any]]
    ) -> None:
        try:
            self._durably(lambda: self._journal.start(operation, document_of(mesh), dict(options), dict(pins)))
        except WrongCluster as wrong:
            raise NeedsPerson(wrong.what, wrong.remedy) from wrong

    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None:
        self._durably(lambda: self._journal.begin(step, inputs))

    def end(self, step: str, status: Any, detail: str = "") -> None:
        self._durably(lambda: self._journal.end(step, status, redact(detail)))

    def finish(self, ok: bool) -> None:
        self._durably(lambda: self._journal.finish(ok))

    def _durably(self, write: Callable[[], None]) -> None:
        try:
            write()
        except WrongCluster:
            raise
        except StateError as error:
            raise Failed(error.what, error.remedy) from error


def saved_mesh(folder: StateFolder, name: str) -> tuple[Mesh, MeshState]:
    """The mesh of that name as its state file holds it. Raises BadInput where there is none or it cannot be read."""
    try:
        state = folder.read(name)
    except StateError as error:
        raise BadInput(error.what, error.remedy) from error
    if state is None:
        known = ", ".join(folder.names()) or "none"
        raise BadInput(f"no mesh {name!r} is recorded in {folder.folder}", f"Recorded are: {known}.")
    return mesh_from(dict(state.document), source=f"the state of {name}"), state


def _istioctl_of(state: MeshState | None) -> str | None:
    path = state.options.get("istioctl") if state else None
    return str(path) if path and Path(str(path)).exists() else None


def _settled_before(wished: Mesh, state: MeshState | None) -> Mesh:
    """Addresses and ports that were found in an earlier run stay what they were, so that a resume asks for the same
    mesh even when a cluster cannot be looked at.
    """
    if state is None:
        return wished
    try:
        before = mesh_from(dict(state.document))
    except BadInput:
        return wished
    mesh = wished
    for cluster in wished.clusters:
        old = next(
            (old for old in before.clusters if old.name == cluster.name and old.context == cluster.context), None
        )
        if old is None:
            continue
        gateway = replace(
            cluster.gateway,
            address=cluster.gateway.address or old.gateway.address,
            port=cluster.gateway.port or old.gateway.port,
        )
        mesh = mesh.with_cluster(replace(cluster, api_server=cluster.api_server or old.api_server, gateway=gateway))
    return mesh
