"""From a wished mesh to what an operation works with: connected, settled, planned, and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from state import MeshState, StateFolder
from wizard.clusters.contexts import SIMULATED_KUBECONFIG
from wizard.engine.approval import Approval, seen
from wizard.engine.engine import Engine
from wizard.engine.progress import Look
from wizard.engine.step import Plan
from wizard.errors import BadInput, Mistake, Trouble
from wizard.istio.overlaid import domain_mistakes, unseen_namespaces
from wizard.istio.overlays import conflicting_overlays, unreadable_overlays
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import joined, msg
from wizard.objects.cacerts import certificate_mistakes
from wizard.operations.options import RunOptions, place_options
from wizard.operations.recorded import (
    chosen_by_us,
    istioctl_before,
    mesh_before,
    on_nodes_before,
    refuse_other_places,
    settled_before,
    stamp,
    state_of,
)
from wizard.outside import Outside
from wizard.plan import plan_of
from wizard.resolve import check_istioctl, identities, nodes_of, on_nodes, resolve
from wizard.steps.install import runs_istiod
from wizard.steps.namespace import namespace_labels
from wizard.steps.pullsecret import file_mistakes
from wizard.text import listing, one_line, quoted
from wizard.world import World


@dataclass(frozen=True, eq=False)
class Prepared:
    """A mesh that an operation can begin with: its clusters are connected to, what its file leaves open is found, its steps are
    planned. Made by `prepare`; to be closed.
    """

    wished: Mesh  # as the person gave it
    mesh: Mesh  # with all that was left open
    plan: Plan
    world: World
    folder: StateFolder
    options: RunOptions
    before: Mesh | None = None  # as an earlier run worked on it
    leaving: tuple[Cluster, ...] = ()  # belonged to the mesh, and are not in it any more
    identities: Mapping[str, str] = field(default_factory=dict)  # cluster → UID of its kube-system
    places: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what is recorded of gateways' addresses
    unsettled: Trouble | None = None  # what kept the mesh from being settled, where it is only looked at

    @property
    def resume_command(self) -> str:
        """What a person types to go on with this mesh; empty where nothing of it outlives the program."""
        return "" if self.options.ephemeral else f"meshwizard resume {quoted(self.mesh.name)}{self.place}"

    @property
    def place(self) -> str:
        """The options, after a space, that say where this mesh's state is; empty where it is in its usual place."""
        return place_options(self.folder, given=self.options.given_folder)

    @property
    def stamp(self) -> str:
        """Names what is recorded of the mesh now."""
        return stamp(state_of(self.folder, self.mesh.name))

    def look(self) -> dict[str, Look]:
        """Probe every step but the guards; changes nothing, records nothing."""
        return Engine(self.plan, self.world, _NoJournal(), lambda _: None, mesh=self.mesh.name).look()

    def approval(self, looks: Mapping[str, Look], again: str) -> Approval:
        """What a person agrees to who was shown these looks. `again`: how to look again, in a sentence."""
        leaving = [cluster.name for cluster in self.leaving]
        return Approval(seen(self.plan, looks), again, self.stamp, dict(self.identities), leaving)

    def close(self) -> None:
        """Give up all connections."""
        _close(self.world)


def prepare(
    wished: Mesh,
    outside: Outside,
    folder: StateFolder,
    options: RunOptions | None = None,
    *,
    undo: bool = False,
    looking: bool = False,
) -> Prepared:
    """Check istioctl, connect, and settle what the mesh file leaves open. Blocks; raises Trouble; changes nothing.

    `undo`: the mesh is to be taken back, which needs no files of the person's: they may be gone. `looking`: its clusters are only
    to be looked at, each for itself; where one keeps the mesh from being settled, `Prepared.unsettled` says why.
    """
    options = options or RunOptions()
    mistakes = outside.mistakes(wished, looking=looking)
    if mistakes:
        raise _unusable(wished, mistakes)
    if not undo:
        _refuse((*unreadable_overlays(wished), *file_mistakes(wished)))
    _refuse_strangers(wished, options)
    state = state_of(folder, wished.name)
    before = mesh_before(state, folder)
    if not undo and state is not None:
        refuse_other_places(wished, before, state, options.rebuilt)
    leaving = _leaving(wished, before, outside, found_again=folder.shelf is not None)
    known = replace(wished, clusters=wished.clusters + leaving)
    world = outside.world(known, options.istioctl or istioctl_before(state, folder))
    connected = Prepared(wished, wished, Plan(()), world, folder, options, before, leaving)
    try:
        return _settled(connected, state, undo=undo, looking=looking)
    except BaseException:
        _close(world)
        raise


def _settled(connected: Prepared, state: MeshState | None, *, undo: bool, looking: bool) -> Prepared:
    wished, world, options = connected.wished, connected.world, connected.options
    with ThreadPoolExecutor(max_workers=1) as aside:
        # istioctl takes its time to start; the first connection to a cluster does, too.
        asked = aside.submit(check_istioctl, wished, world)
        identified = identities(wished, world, lenient=looking)
        version = asked.result()
    mesh = settled_before(wished, connected.before, options.rebuilt)
    mesh = replace(mesh, istio=replace(mesh.istio, version=version))
    chosen = () if undo else chosen_by_us(wished, state)
    on_before = {} if undo else on_nodes_before(state, options.rebuilt)
    connected = replace(connected, identities=identified)
    try:
        nodes = nodes_of(mesh, world)
        mesh = resolve(mesh, world, wished, nodes=nodes, chosen=chosen, of_nodes=on_before, undo=undo)
    except Trouble as trouble:
        if not looking or (isinstance(trouble, BadInput) and trouble.mistakes):
            raise
        return replace(connected, mesh=mesh, unsettled=trouble)
    places = {
        each.name: {
            # Of the address alone, a later run could not tell whether a person gave it.
            "chosen": (each.gateway.address or "") if each.name in chosen else "",
            "onNodes": on_nodes(each, nodes[each.name], on_before.get(each.name, ())),
        }
        for each in mesh.clusters
    }
    if not undo:
        _refuse_what_does_not_fit(mesh, world, identified)
    plan = plan_of(mesh, version_step=options.version_step)
    return replace(connected, mesh=mesh, plan=plan, places=places)


def _refuse_what_does_not_fit(mesh: Mesh, world: World, identified: Mapping[str, str]) -> None:
    _refuse((*conflicting_overlays(mesh), *domain_mistakes(mesh)))
    _refuse(unseen_namespaces(mesh, partial(namespace_labels, mesh, world=world)))
    answering = [each for each in mesh.clusters if each.name in identified and runs_istiod(mesh, each)]
    _refuse(certificate_mistakes(mesh, world, answering))


def _refuse_strangers(wished: Mesh, options: RunOptions) -> None:
    names = [cluster.name for cluster in wished.clusters]
    strangers = [name for name in (*options.rebuilt, *options.unverified) if name not in names]
    if strangers:
        raise BadInput(
            msg(
                "{clusters} is no cluster of mesh {mesh}; nothing was touched",
                clusters=listing(map(one_line, strangers)),
                mesh=wished.name,
            ),
            msg("Its clusters are {clusters}.", clusters=listing(names)),
        )


def _leaving(wished: Mesh, before: Mesh | None, outside: Outside, *, found_again: bool) -> tuple[Cluster, ...]:
    """The clusters of the mesh before that are not in the wished one. `found_again`: with the kubeconfigs of the wished mesh that
    hold their contexts, since a state in a cluster gives none.
    """
    names = {cluster.name for cluster in wished.clusters}
    gone = tuple(each for each in (before.clusters if before else ()) if each.name not in names)
    if not gone or not found_again:
        return gone
    files = list(dict.fromkeys(each.kubeconfig for each in wished.clusters if each.kubeconfig))
    places = {entry.context: entry.kubeconfig for entry in reversed(outside.contexts(files) if files else [])}
    return tuple(replace(each, kubeconfig=places.get(each.context)) for each in gone)


def _close(world: World) -> None:
    for cluster in world.clusters.values():
        cluster.close()


def _unusable(mesh: Mesh, mistakes: tuple[Mistake, ...]) -> BadInput:
    files = [cluster.kubeconfig for cluster in mesh.clusters]
    if SIMULATED_KUBECONFIG in files:
        return BadInput(
            msg("mesh {mesh} was made by the demo, on simulated clusters, which are gone", mesh=mesh.name),
            "meshwizard demo",
        )
    remedy: str = msg("Correct them.")
    if None in files:
        usual = msg("Where the mesh names no kubeconfig, set KUBECONFIG as in the first run.")
        remedy = joined((remedy, usual), " ")
    return BadInput(msg("the mesh's contexts cannot be used; nothing was touched"), remedy, mistakes)


def _refuse(mistakes: tuple[Mistake, ...]) -> None:
    if mistakes:
        raise BadInput(msg("files of the mesh cannot be used; nothing was touched"), msg("Correct them."), mistakes)


class _NoJournal:
    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None: ...

    def end(self, step: str, status: str, detail: str = "") -> None: ...
