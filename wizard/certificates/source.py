"""Where a mesh's certificates come from: a root that is made and kept, or the folder in which a person brings them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from wizard.certificates.authority import Root
from wizard.certificates.folder import FIELD, Given, given_for
from wizard.certificates.kept import examine
from wizard.certificates.request import refused_folder
from wizard.engine.step import Conflict
from wizard.errors import Failed, Mistake, Trouble
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import counted, joined, msg
from wizard.text import printable
from wizard.world import World


def source_of(mesh: Mesh, world: World) -> str:
    """Where certificates come from. The demo touches no file, so it makes up what a person would bring."""
    source = mesh.certificates.source
    return "generate" if world.simulated and source in ("directory", "offline") else source


def place_of(mesh: Mesh) -> Path:
    """The folder that the mesh file names. Failed where it names none."""
    if mesh.certificates.path is None:
        raise Failed(msg("certificates.path names no folder"), msg("Name one in the mesh file."))
    return mesh.certificates.path


def typed_place(mesh: Mesh) -> Path:
    """The folder as it is typed in commands, a stand-in where the mesh file names none."""
    return (mesh.certificates.path or Path("certificates")).absolute()


def given_to(mesh: Mesh, cluster: Cluster) -> Given:
    """What the folder brings for this cluster."""
    awaiting = mesh.certificates.source == "offline"
    return given_for(place_of(mesh), cluster.name, mesh.trust_domain, awaiting=awaiting)


def unfit_root(mesh: Mesh, world: World, *, making: bool) -> Conflict | None:
    """Why the root that is kept cannot sign; or, where there is none and one is to be made, why it cannot be kept."""
    try:
        kept = world.roots.load()
    except Trouble as trouble:
        return Conflict(trouble.what, trouble.remedy)
    if kept is None:
        return world.roots.obstacle() if making else None
    mistakes = examine(Root(*kept), mesh.trust_domain, world.roots.place).mistakes
    return unusable(mistakes) if mistakes else None


def unsafe_folders(mesh: Mesh, clusters: Sequence[Cluster]) -> Iterator[Mistake]:
    """The folders of these clusters in which no key would be kept safe."""
    for cluster in clusters:
        why = refused_folder(place_of(mesh), cluster.name)
        if why:
            yield Mistake(FIELD, printable(why, 2000))


def unusable(wrong: Sequence[str]) -> Conflict:
    """The conflict that brought or kept certificates are wrong in these ways."""
    told = list(wrong[:4])
    if len(wrong) > 4:
        told.append(counted("and {count} more", "and {count} more", len(wrong) - 4))
    return Conflict(
        msg("the certificates cannot be used: {problems}", problems=joined(told, "; ")),
        msg("Correct the files and try again."),
    )
