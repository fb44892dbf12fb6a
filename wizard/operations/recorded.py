"""What earlier runs recorded of a mesh, and what of it counts for the next one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from state import MeshState, StateDamaged, StateError, StateFolder, StateTooNew
from wizard import kinds
from wizard.errors import BadInput, Mistake, state_trouble
from wizard.mesh.document import mesh_from
from wizard.mesh.model import Mesh
from wizard.messages import msg
from wizard.paths import is_there
from wizard.sharedstate import document_in, istioctl_in
from wizard.text import listing, quoted


def saved_mesh(folder: StateFolder, name: str) -> tuple[Mesh, MeshState]:
    """The mesh of that name as its state file holds it, but for what `wizard.sharedstate` keeps out. BadInput where there is
    none; where it cannot be read, see `wizard.errors.state_trouble`.
    """
    try:
        state = folder.read(name)
    except StateError as error:
        raise state_trouble(error) from error
    if state is None:
        known = ", ".join(folder.names())
        raise BadInput(
            msg("no mesh {mesh} is recorded in {place}", mesh=repr(name), place=folder.place),
            msg("Recorded are: {meshes}.", meshes=known) if known else msg("Recorded are: none."),
        )
    return mesh_from(document_in(state, folder), source=msg("the state of {mesh}", mesh=name)), state


def wanted_mesh(mesh: Mesh, state: MeshState) -> Mesh:
    """The recorded mesh as it was wanted: without the clusters that were being taken out of it."""
    leaving = state.payload.get("leaving") or ()
    return replace(mesh, clusters=tuple(cluster for cluster in mesh.clusters if cluster.name not in leaving))


def state_of(folder: StateFolder, name: str) -> MeshState | None:
    """What is recorded; None where nothing is, or where it cannot be believed: the clusters are the truth, and opening the state
    for the work says what is wrong with it.
    """
    try:
        return folder.read(name)
    except (StateDamaged, StateTooNew):
        return None
    except StateError as error:
        # What is only out of reach for a moment must not count as nothing: a cluster would be forgotten.
        raise state_trouble(error) from error


def stamp(state: MeshState | None) -> str:
    """Names the record of a mesh at one moment; empty while nothing is recorded."""
    return f"{state.lineage} {state.serial}" if state and state.serial else ""


def istioctl_before(state: MeshState | None, folder: StateFolder) -> str | None:
    """The istioctl of the last run, where it is still there."""
    path = istioctl_in(state, folder)
    return path if path and is_there(Path(path)) else None


def mesh_before(state: MeshState | None, folder: StateFolder) -> Mesh | None:
    """The mesh that was worked on before; None where none was, or where it was uninstalled."""
    if state is None or (state.operation == "uninstall" and state.finished):
        return None
    try:
        return mesh_from(document_in(state, folder))
    except BadInput:
        return None


def chosen_by_us(wished: Mesh, state: MeshState | None) -> list[str]:
    """The clusters whose gateway's address is left open, or is what an earlier run chose."""
    facts = state.clusters if state else {}
    return [
        each.name
        for each in wished.clusters
        if each.gateway.address is None or each.gateway.address == facts.get(each.name, {}).get("chosen")
    ]


def on_nodes_before(state: MeshState | None, rebuilt: Collection[str]) -> dict[str, list[str]]:
    """What an earlier run recorded of the addresses that nodes had."""
    found = {name: facts.get("onNodes") for name, facts in (state.clusters if state else {}).items()}
    return {name: each for name, each in found.items() if isinstance(each, list) and name not in rebuilt}


def settled_before(wished: Mesh, before: Mesh | None, rebuilt: Collection[str]) -> Mesh:
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


def refuse_other_places(wished: Mesh, before: Mesh | None, state: MeshState, rebuilt: Collection[str]) -> None:
    """What a remote has of its primary, and a primary for its remotes, goes only where the cluster leaves the mesh; and every
    sidecar keeps the network that it was injected with.
    """
    mistakes = []
    for cluster in wished.clusters:
        old = next((each for each in before.clusters if each.name == cluster.name), cluster) if before else cluster
        install = state.steps.get(kinds.INSTALL.id(cluster.name))
        if install is None or install.status == "undone" or cluster.name in rebuilt:
            continue
        if (old.role, old.primary) != (cluster.role, cluster.primary):
            was = msg("it was installed as a primary")
            if old.role == "remote":
                was = msg("it was installed as a remote of {primary}", primary=old.primary)
            mistakes.append((cluster.name, Mistake(f"clusters.{cluster.name}.role", was)))
        if old.network != cluster.network:
            told = msg("it was installed on {network}, and every sidecar there knows it", network=old.network)
            mistakes.append((cluster.name, Mistake(f"clusters.{cluster.name}.network", told)))
    if mistakes:
        names = list(dict.fromkeys(name for name, _ in mistakes))
        consent = " ".join(f"--remove {quoted(name)}" for name in names)
        raise BadInput(
            msg("{clusters} cannot get another role or network in place; nothing was touched", clusters=listing(names)),
            msg(
                "Take it out with a mesh file that does not name it ({command}), then put it back. "
                "Where no mesh would be left: {uninstall}",
                command=f"meshwizard apply -f FILE {consent}",
                uninstall=f"meshwizard uninstall {quoted(wished.name)}",
            ),
            tuple(mistake for _, mistake in mistakes),
        )
