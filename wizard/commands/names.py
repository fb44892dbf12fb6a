"""Which mesh a command means when it is told no file."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from wizard.console import settings as doors
from wizard.console.output import has_terminal
from wizard.console.settings import Settings
from wizard.errors import BadInput, Interrupted
from wizard.messages import counted, joined, msg
from wizard.messages.catalogue import tr
from wizard.text import one_line

if TYPE_CHECKING:
    from state import MeshState
    from wizard.mesh.model import Mesh


def the_name(settings: Settings, name: str | None, *, otherwise: str = "") -> str:
    """The name given, or the only one recorded. Raises BadInput where that leaves a choice, listing it. `otherwise`: what else
    can be done where none is recorded.
    """
    if name:
        return name
    folder = settings.folder()
    names = folder.names()
    if len(names) == 1:
        return names[0]
    place = one_line(folder.place)
    if not names:
        begin = msg(
            "Begin one with `meshwizard` or `meshwizard apply -f mesh.yaml`, or name its folder with --state-dir."
        )
        raise BadInput(
            msg("no mesh is recorded in {place}", place=place),
            joined((begin, otherwise)),
        )
    raise BadInput(
        counted(
            "{count} mesh is recorded in {place}; say which",
            "{count} meshes are recorded in {place}; say which",
            len(names),
            place=place,
        ),
        msg("One of: {names}.", names=", ".join(names)),
    )


def recorded(settings: Settings, name: str | None, *, whole: bool = False) -> tuple[Mesh, MeshState]:
    """The recorded mesh of that name (or the only one), and its state. `whole`: with the clusters that were
    being taken out of it.
    """
    from wizard.operations.choice import kind_of
    from wizard.operations.recorded import saved_mesh, wanted_mesh

    folder = settings.folder()
    mesh, state = saved_mesh(folder, the_name(settings, name))
    if folder.shelf:
        _look_at_shared(settings, mesh, state, undo=whole or kind_of(state).takes_back)
    return mesh if whole else wanted_mesh(mesh, state), state


def _look_at_shared(settings: Settings, mesh: Mesh, state: MeshState, *, undo: bool) -> None:
    """Show where a state in a cluster names another kubeconfig or istioctl than what is used here; a person who is there decides.
    Files that it names need a consent, but to take the mesh back, which reads none.
    """
    from wizard.console.consent import consenting
    from wizard.sharedstate import differing, refuse_files

    differences = differing(state, doors.outside_of(settings), settings.istioctl)
    for line in differences:
        settings.out.remark(line)
    if differences and has_terminal() and not click.confirm(tr("Go on with these of yours?"), default=True, err=True):
        raise Interrupted(msg("left before anything was touched"), msg("Name others with KUBECONFIG and --istioctl."))
    if not undo:
        consenting(lambda: refuse_files(mesh, settings.folder(), settings.consents))


def from_file(path: str, settings: Settings | None = None, *, looking: bool = False) -> Mesh:
    """The mesh of a mesh file; with `settings`, its contexts are looked up in their kubeconfigs."""
    from pathlib import Path

    from wizard.mesh.meshfile import read_meshfile

    if settings is None:
        return read_meshfile(Path(path))
    return read_meshfile(Path(path), also=partial(doors.outside_of(settings).mistakes, looking=looking))
