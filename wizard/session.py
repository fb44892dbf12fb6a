"""One mesh being worked on: what every front end does with it, in the order it must happen.

`prepare` connects and finds what was left open (addresses, ports), `look` compares with the clusters, `engine` takes
the lock and gives the engine that works. All block: call them from a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from state import Journal as StateJournal
from state import MeshState, StateDamaged, StateError, StateFolder, StateTooNew, WrongCluster, redact
from wizard import process
from wizard.clusters.contexts import SIMULATED_KUBECONFIG
from wizard.clusters.lease import Holder, Lease, this_run
from wizard.clusters.statesecret import StateSecrets, secret_name
from wizard.engine.approval import Approval, seen
from wizard.engine.delivery import Delivery
from wizard.engine.engine import Engine
from wizard.engine.events import Event, StepSaid
from wizard.engine.progress import Look
from wizard.engine.step import Plan
from wizard.errors import BadInput, Mistake, NeedsPerson, Trouble, state_trouble
from wizard.fence import Fence
from wizard.istio.overlaid import domain_mistakes, unseen_namespaces
from wizard.istio.overlays import conflicting_overlays, unreadable_overlays
from wizard.mesh.document import document_of, mesh_from
from wizard.mesh.model import Cluster, Mesh
from wizard.outside import Outside
from wizard.paths import is_there
from wizard.plan import departure_of, plan_of
from wizard.resolve import check_istioctl, identities, nodes_of, on_nodes, resolve
from wizard.sharedstate import document_in, istioctl_in
from wizard.steps.certificates import certificate_mistakes
from wizard.steps.install import runs_istiod
from wizard.steps.namespace import namespace_labels
from wizard.steps.pullsecret import file_mistakes
from wizard.text import listing, one_line, quoted
from wizard.world import World


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
        self._before: Mesh | None = None
        self._places: dict[str, dict[str, Any]] = {}  # cluster → what is to be recorded of its gateway's addresses
        self.plan = Plan(())
        self.passing = False
        """Whether nothing of it outlives the program, as with the demo's clusters."""
        self.take_over = False
        """Whether a person consents to take clusters over from a run on another machine that gives no sign of life."""
        self.version_step = False
        """Whether a person consents to an older Istio than stands, or to one that is more than one minor version newer."""
        self.rebuilt: Collection[str] = ()
        """Clusters that, as a person says, were made anew under their old names: nothing that is recorded of them counts."""
        self.unverified: Collection[str] = ()
        """Clusters that a person consents to send keys to, though it is not verified who answers there."""
        self.agreed: Approval | None = None
        """What a person agreed to: what would do anything else is refused, until work on it began."""
        self.unsettled: Trouble | None = None
        self._departed = False
        self.leaving: tuple[Cluster, ...] = ()
        """Clusters that belonged to the mesh and are not in it any more, once prepared: what they have of it, and what
        others hold of them, is taken back by `departure`, by consent only.
        """

    @property
    def world(self) -> World:
        """The world, once prepared."""
        if self._world is None:
            raise RuntimeError("prepare() comes first")
        return self._world

    @property
    def resume_command(self) -> str:
        """What a person types to go on with this mesh; empty where nothing of it outlives the program."""
        if self.passing:
            return ""
        return f"meshwizard resume {quoted(self.mesh.name)}{self.place}"

    @property
    def place(self) -> str:
        """The options, after a space, that say where this mesh's state is; empty where it is in its usual place."""
        shared = f" --state {quoted(self.folder.place)}" if self.folder.shelf else ""
        return shared + (f" --state-dir {quoted(self.folder.folder)}" if self._given_folder else "")

    def prepare(self, *, undo: bool = False, looking: bool = False) -> None:
        """Check istioctl, connect, and settle what the mesh file leaves open. Raises Trouble; changes nothing. `undo`: the
        mesh is to be taken back, which needs no files of the person's: they may be gone. `looking`: its clusters are only to be
        looked at, each for itself; where one keeps the mesh from being settled, `unsettled` says why.
        """
        mistakes = self._outside.mistakes(self.wished, looking=looking)
        if mistakes:
            raise _unusable(self.wished, mistakes)
        if not undo:
            _refuse((*unreadable_overlays(self.wished), *file_mistakes(self.wished)))
        names = [cluster.name for cluster in self.wished.clusters]
        strangers = [name for name in (*self.rebuilt, *self.unverified) if name not in names]
        if strangers:
            raise BadInput(
                f"{listing(map(one_line, strangers))} is no cluster of mesh {self.wished.name}; nothing was touched",
                f"Its clusters are {listing(names)}.",
            )
        state = self._state()
        self._before = _mesh_before(state, self.folder)
        if not undo and state is not None:
            _refuse_other_places(self.wished, self._before, state, self.rebuilt)
        self.leaving = tuple(each for each in (self._before.clusters if self._before else ()) if each.name not in names)
        if self.folder.shelf and self.leaving:
            self.leaving = self._found_again(self.leaving)
        known = replace(self.wished, clusters=self.wished.clusters + self.leaving)
        self._world = self._outside.world(known, self._istioctl or _istioctl_of(state, self.folder))
        with ThreadPoolExecutor(max_workers=1) as aside:
            # istioctl takes its time to start; the first connection to a cluster does, too.
            asked = aside.submit(check_istioctl, self.wished, self._world)
            self._identities = identities(self.wished, self._world, lenient=looking)
            version = asked.result()
        mesh = _settled_before(self.wished, self._before, self.rebuilt)
        mesh = replace(mesh, istio=replace(mesh.istio, version=version))
        chosen = () if undo else _chosen_by_us(self.wished, state)
        before = {} if undo else _of_nodes_before(state, self.rebuilt)
        self.mesh = mesh
        try:
            nodes = nodes_of(mesh, self._world)
            self.mesh = resolve(mesh, self._world, self.wished, nodes=nodes, chosen=chosen, of_nodes=before, undo=undo)
        except Trouble as trouble:
            if not looking or (isinstance(trouble, BadInput) and trouble.mistakes):
                raise
            self.unsettled = trouble
            return
        self._places = {
            each.name: {
                # Of the address alone, a later run could not tell whether a person gave it.
                "chosen": (each.gateway.address or "") if each.name in chosen else "",
                "onNodes": on_nodes(each, nodes[each.name], before.get(each.name, ())),
            }
            for each in self.mesh.clusters
        }
        self.plan = plan_of(self.mesh, version_step=self.version_step)
        if undo:
            return
        _refuse((*conflicting_overlays(self.mesh), *domain_mistakes(self.mesh)))
        _refuse(unseen_namespaces(self.mesh, partial(namespace_labels, self.mesh, world=self._world)))
        answering = [
            each for each in self.mesh.clusters if each.name in self._identities and runs_istiod(self.mesh, each)
        ]
        _refuse(certificate_mistakes(self.mesh, self._world, answering))

    def _found_again(self, clusters: tuple[Cluster, ...]) -> tuple[Cluster, ...]:
        """With the kubeconfigs of the wished mesh that hold their contexts: a state in a cluster gives none."""
        files = list(dict.fromkeys(each.kubeconfig for each in self.wished.clusters if each.kubeconfig))
        places = {entry.context: entry.kubeconfig for entry in reversed(self._outside.contexts(files) if files else [])}
        return tuple(replace(each, kubeconfig=places.get(each.context)) for each in clusters)

    def look(self) -> dict[str, Look]:
        """Probe every step but the guards; changes nothing, records nothing."""
        return Engine(self.plan, self.world, _NoJournal(), lambda _: None, mesh=self.mesh.name).look()

    def approval(self, looks: Mapping[str, Look], again: str) -> Approval:
        """What a person agrees to who was shown these looks. `again`: how to look again, in a sentence."""
        leaving = [cluster.name for cluster in self.leaving]
        return Approval(seen(self.plan, looks), again, _stamp(self._state()), dict(self._identities), leaving)

    @contextmanager
    def engine(
        self,
        listener: Callable[[Event], None],
        *,
        linger: bool = False,
        attended: bool = False,
        operation: str = "apply",
    ) -> Iterator[Engine]:
        """An engine for this mesh, holding its lock and writing its state until the block ends. Raises Busy where
        another run holds the mesh. `attended`: a person watches, so manual steps wait instead of failing. NeedsPerson while
        clusters are `leaving`: the state would forget them, and what they hold of the mesh would stay for ever. Stale, here
        or as the run's end, where it would do something else than was `agreed`.
        """
        with self._working(self.mesh, self.plan, listener, linger, attended, operation, {}) as engine:
            yield engine

    @contextmanager
    def departure(
        self, listener: Callable[[Event], None], *, untouched: Collection[str] | None = None, linger: bool = False
    ) -> Iterator[Engine]:
        """An engine whose `undo` takes the `leaving` clusters out of the mesh, all but what is in those `untouched`; None: in
        those that an earlier run, which this one goes on with, was to leave untouched. The state keeps naming them until it
        is done, so that it can be gone on with.
        """
        if self._before is None or not self.leaving:
            raise RuntimeError("no cluster leaves this mesh")
        names = [cluster.name for cluster in self.leaving]
        if untouched is None:
            state = self._state()
            untouched = [name for name in (state.options.get("untouched") or () if state else ()) if name in names]
        if self.agreed:
            self.agreed.check_place(_stamp(self._state()), self._identities, names)
            self.agreed.check(self.plan, self.look())
            # This run itself changes these now.
            self.agreed = replace(self.agreed, state=None, leaving=names)
        mesh = replace(self._before, istio=replace(self._before.istio, version=self.mesh.istio.version))
        plan = departure_of(mesh, names, untouched=untouched)
        options = {"leaving": names, "untouched": list(untouched)}
        with self._working(mesh, plan, listener, linger, False, "apply", options) as engine:
            yield engine
            self._departed = engine.succeeded

    @contextmanager
    def _working(
        self,
        mesh: Mesh,
        plan: Plan,
        listener: Callable[[Event], None],
        linger: bool,
        attended: bool,
        operation: str,
        options: Mapping[str, Any],
    ) -> Iterator[Engine]:
        try:
            journal = self.folder.open(mesh.name)
        except StateError as error:
            raise state_trouble(error) from error
        holder = this_run(journal.lock_id)
        untouched = options.get("untouched") or ()
        # Not those that left: a lease that a killed run leaves there, no later run would give up.
        clusters = {each.name: self.world.cluster(each.name) for each in mesh.clusters if each.name not in untouched}
        fence = Fence(
            clusters,
            mesh.name,
            holder,
            resume=self.resume_command,
            take_over=self.take_over,
            unverified=self.unverified,
        )
        # What changes a cluster inherits the lock: an istioctl that outlives us keeps a second writer out until it ends.
        # Whoever watches is waited for last: neither lock nor lease stays because he is slow.
        with Delivery(listener) as told, journal, process.holding(journal.lock_fd), fence:
            self._hold_state(fence, holder, told.put)
            if not options:
                self._refuse_to_forget(journal.state)
            recorder = _Recorder(journal, fence)
            pins = {name: dict(facts) for name, facts in (self._places if operation == "apply" else {}).items()}
            for name, uid in self._identities.items():
                pins.setdefault(name, {})["uid"] = uid
            approval = None if options else self.agreed
            if approval:
                leaving = [cluster.name for cluster in self.leaving]
                approval.check_place(_stamp(journal.state), self._identities, leaving)

            def start() -> None:
                recorded = {"istioctl": self.world.istioctl.path, **options}
                try:
                    recorder.start(operation, mesh, recorded, pins, self.rebuilt)
                except WrongCluster as wrong:
                    raise self._wrong_cluster(wrong, journal.state, operation) from wrong
                if not options:
                    self.agreed = None

            if approval is None:
                start()
            if journal.recovered:
                told.put(StepSaid(step="", cluster=None, text=one_line(journal.recovered)))
            engine = Engine(
                plan,
                fence.world(self.world),
                recorder,
                told.put,
                mesh=mesh.name,
                resume=self.resume_command,
                linger=linger,
                attended=attended,
                approval=approval,
                agreed=start if approval else lambda: None,
            )
            told.hurry_when(lambda: engine.controls.aborted)
            fence.watch(engine.controls)
            yield engine
            if engine.succeeded:
                fence.give_up()
                if not options:
                    recorder.finish()
                if operation == "uninstall":
                    # Still under the lock: what somebody begins after this run is not ours to forget.
                    recorder.forget()

    def _refuse_to_forget(self, state: MeshState) -> None:
        """NeedsPerson where a cluster belonged to the mesh, as it is recorded now, and neither does any more nor was taken out
        of it.
        """
        before = _mesh_before(state, self.folder)
        names = {cluster.name for cluster in (*self.mesh.clusters, *(self.leaving if self._departed else ()))}
        left = [cluster.name for cluster in (before.clusters if before else ()) if cluster.name not in names]
        if left:
            raise NeedsPerson(
                f"{listing(left)} belonged to mesh {self.mesh.name} and is not in it any more; nothing was changed",
                "Consent to taking it out (`meshwizard apply --remove NAME`, or --forget NAME), or put it back.",
            )

    def _wrong_cluster(self, wrong: WrongCluster, state: MeshState, operation: str) -> NeedsPerson:
        others = [
            name
            for name, uid in self._identities.items()
            if name not in self.rebuilt and (state.clusters.get(name) or {}).get("uid", uid) != uid
        ]
        consent = " ".join(f"--rebuilt {quoted(name)}" for name in (*self.rebuilt, *others))
        verb = operation if operation == "uninstall" else "resume"
        return NeedsPerson(
            wrong.what,
            f"{wrong.remedy} Where it was made anew under its old name, say so: "
            f"meshwizard {verb} {quoted(self.mesh.name)}{self.place} {consent}",
        )

    def _hold_state(self, fence: Fence, holder: Holder, emit: Callable[[Event], None]) -> None:
        """Where the state is kept in a cluster, keep others from it before the first record: a write of theirs between two of
        a run that works would end it.
        """
        shelf = self.folder.shelf
        if not isinstance(shelf, StateSecrets):
            return
        lease = Lease(
            shelf.cluster,
            secret_name(self.mesh.name),
            holder,
            namespace=shelf.namespace,
            resume=self.resume_command,
            on_lost=fence.lost,
        )
        fence.hold(lease, lambda text: emit(StepSaid(step="", cluster=None, text=one_line(text, 1000))))

    def close(self) -> None:
        """Give up all connections."""
        if self._world:
            for cluster in self._world.clusters.values():
                cluster.close()

    def _state(self) -> MeshState | None:
        try:
            return self.folder.read(self.wished.name)
        except (StateDamaged, StateTooNew):
            return None  # the clusters are the truth; opening the state for the work will say what is wrong with it
        except StateError as error:
            # What is only out of reach for a moment must not count as nothing: a cluster would be forgotten.
            raise state_trouble(error) from error


def _stamp(state: MeshState | None) -> str:
    """Names the record of a mesh at one moment; empty while nothing is recorded."""
    return f"{state.lineage} {state.serial}" if state and state.serial else ""


def _unusable(mesh: Mesh, mistakes: tuple[Mistake, ...]) -> BadInput:
    files = [cluster.kubeconfig for cluster in mesh.clusters]
    if SIMULATED_KUBECONFIG in files:
        return BadInput(
            f"mesh {mesh.name} was made by the demo, on simulated clusters, which are gone", "meshwizard demo"
        )
    usual = " Where the mesh names no kubeconfig, set KUBECONFIG as in the first run." if None in files else ""
    return BadInput("the mesh's contexts cannot be used; nothing was touched", f"Correct them.{usual}", mistakes)


def _refuse(mistakes: tuple[Mistake, ...]) -> None:
    if mistakes:
        raise BadInput("files of the mesh cannot be used; nothing was touched", "Correct them.", mistakes)


def _refuse_other_places(wished: Mesh, before: Mesh | None, state: MeshState, rebuilt: Collection[str]) -> None:
    """What a remote has of its primary, and a primary for its remotes, goes only where the cluster leaves the mesh; and every
    sidecar keeps the network that it was injected with.
    """
    mistakes = []
    for cluster in wished.clusters:
        old = next((each for each in before.clusters if each.name == cluster.name), cluster) if before else cluster
        install = state.steps.get(f"{cluster.name}/install")
        if install is None or install.status == "undone" or cluster.name in rebuilt:
            continue
        if (old.role, old.primary) != (cluster.role, cluster.primary):
            was = f"a remote of {old.primary}" if old.role == "remote" else "a primary"
            mistakes.append((cluster.name, Mistake(f"clusters.{cluster.name}.role", f"it was installed as {was}")))
        if old.network != cluster.network:
            told = f"it was installed on {old.network}, and every sidecar there knows it"
            mistakes.append((cluster.name, Mistake(f"clusters.{cluster.name}.network", told)))
    if mistakes:
        names = list(dict.fromkeys(name for name, _ in mistakes))
        consent = " ".join(f"--remove {quoted(name)}" for name in names)
        raise BadInput(
            f"{listing(names)} cannot get another role or network in place; nothing was touched",
            f"Take it out with a mesh file that does not name it (meshwizard apply -f FILE {consent}), then put it back. "
            f"Where no mesh would be left: meshwizard uninstall {quoted(wished.name)}",
            tuple(mistake for _, mistake in mistakes),
        )


class _NoJournal:
    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None: ...

    def end(self, step: str, status: str, detail: str = "") -> None: ...


class _Recorder:
    """The engine's journal over the state file, with its errors told as Trouble."""

    def __init__(self, journal: StateJournal, fence: Fence) -> None:
        self._journal = journal
        self._fence = fence

    def start(
        self,
        operation: Any,
        mesh: Mesh,
        options: Mapping[str, Any],
        pins: Mapping[str, Mapping[str, Any]],
        rebuilt: Collection[str],
    ) -> None:
        self._durably(
            lambda: self._journal.start(operation, document_of(mesh), dict(options), dict(pins), anew=rebuilt)
        )

    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None:
        # Only what begins something needs the leases: a finished mesh costs no writing request.
        self._fence.take()
        self._durably(lambda: self._journal.begin(step, inputs))

    def end(self, step: str, status: Any, detail: str = "") -> None:
        self._durably(lambda: self._journal.end(step, status, redact(detail)))

    def finish(self) -> None:
        self._durably(lambda: self._journal.finish(True))

    def forget(self) -> None:
        self._durably(self._journal.forget)

    def _durably(self, write: Callable[[], None]) -> None:
        try:
            write()
        except WrongCluster:
            raise
        except StateError as error:
            raise state_trouble(error) from error


def saved_mesh(folder: StateFolder, name: str) -> tuple[Mesh, MeshState]:
    """The mesh of that name as its state file holds it, but for what `wizard.sharedstate` keeps out. BadInput where there is
    none; where it cannot be read, see `wizard.errors.state_trouble`.
    """
    try:
        state = folder.read(name)
    except StateError as error:
        raise state_trouble(error) from error
    if state is None:
        known = ", ".join(folder.names()) or "none"
        raise BadInput(f"no mesh {name!r} is recorded in {folder.place}", f"Recorded are: {known}.")
    return mesh_from(document_in(state, folder), source=f"the state of {name}"), state


def wanted_mesh(mesh: Mesh, state: MeshState) -> Mesh:
    """The recorded mesh as it was wanted: without the clusters that were being taken out of it."""
    leaving = state.options.get("leaving") or ()
    return replace(mesh, clusters=tuple(cluster for cluster in mesh.clusters if cluster.name not in leaving))


def _istioctl_of(state: MeshState | None, folder: StateFolder) -> str | None:
    path = istioctl_in(state, folder)
    return path if path and is_there(Path(path)) else None


def _mesh_before(state: MeshState | None, folder: StateFolder) -> Mesh | None:
    """The mesh that was worked on before; None where none was, or where it was uninstalled."""
    if state is None or (state.operation == "uninstall" and state.finished):
        return None
    try:
        return mesh_from(document_in(state, folder))
    except BadInput:
        return None


def _chosen_by_us(wished: Mesh, state: MeshState | None) -> list[str]:
    """The clusters whose gateway's address is left open, or is what an earlier run chose."""
    facts = state.clusters if state else {}
    return [
        each.name
        for each in wished.clusters
        if each.gateway.address is None or each.gateway.address == facts.get(each.name, {}).get("chosen")
    ]


def _of_nodes_before(state: MeshState | None, rebuilt: Collection[str]) -> dict[str, list[str]]:
    """What an earlier run recorded of the addresses that nodes had."""
    found = {name: facts.get("onNodes") for name, facts in (state.clusters if state else {}).items()}
    return {name: each for name, each in found.items() if isinstance(each, list) and name not in rebuilt}


def _settled_before(wished: Mesh, before: Mesh | None, rebuilt: Collection[str]) -> Mesh:
    """What was found in an earlier run stays what it was, so that a resume asks for the same mesh even when a cluster
    cannot be looked at; but in those that were `rebuilt`.
    """
    known = {(cluster.name, cluster.context): cluster for cluster in (before.clusters if before else ())}
    mesh = wished
    for cluster in wished.clusters:
        old = known.get((cluster.name, cluster.context))
        if old is None or cluster.name in rebuilt:
            continue
        gateway = cluster.gateway
        if old.gateway.exposure == gateway.exposure:
            gateway = replace(
                gateway,
                address=gateway.address or old.gateway.address,
                more=gateway.more if gateway.address else old.gateway.more,
                port=gateway.port or old.gateway.port,
                node=gateway.node or old.gateway.node,
            )
        mesh = mesh.with_cluster(
            replace(
                cluster,
                api_server=cluster.api_server or old.api_server,
                service_cidr=cluster.service_cidr or old.service_cidr,
                sample=cluster.sample or old.sample,
                gateway=gateway,
            )
        )
    return mesh
