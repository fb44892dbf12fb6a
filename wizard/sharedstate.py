"""What a state that is kept in a cluster says of the machine that wrote it: whoever may write that Secret could name any program
and any file. None of it is run or read here. istioctl is that of the PATH or of --istioctl, kubeconfigs are the person's own, and
other files are read once the person agreed to them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from state import MeshState, StateFolder
from wizard.clusters.consents import Consents, Unconsented
from wizard.mesh.files import files_of
from wizard.mesh.model import Mesh
from wizard.text import listing, one_line, quoted

if TYPE_CHECKING:
    from wizard.outside import Outside


def document_in(state: MeshState, folder: StateFolder) -> dict[str, Any]:
    """The recorded mesh document; without kubeconfigs where the folder's states are kept in a cluster."""
    document = deepcopy(dict(state.document))
    if folder.shelf:
        for entry in _entries(document):
            entry.pop("kubeconfig", None)
    return document


def istioctl_in(state: MeshState | None, folder: StateFolder) -> str:
    """The istioctl that is recorded; empty where none is, or where the states are kept in a cluster."""
    return str(state.options.get("istioctl") or "") if state and not folder.shelf else ""


def refuse_files(mesh: Mesh, folder: StateFolder, consents: Consents) -> None:
    """Raises Unconsented where the mesh, as a state in a cluster has it, names files here that nobody agreed to."""
    asked = [each for each in files_of(mesh) if not consents.given(each.path)] if folder.shelf else []
    if not asked:
        return
    place = quoted(folder.place)
    consent = " ".join(f"--consent {quoted(each.path)}" for each in asked)
    raise Unconsented(
        f"the state in {one_line(folder.place)} names files to be read here: {listing(one_line(each.path) for each in asked)}; "
        "nobody agreed to that, and nothing was read",
        f"Use your own mesh file: meshwizard apply -f mesh.yaml --state {place}\n"
        f"Or, if you trust what the state says: meshwizard resume {quoted(mesh.name)} --state {place} {consent}",
        "\n".join(
            [f"The state in {one_line(folder.place)} names files of this machine:", *(f"  {each}" for each in asked)]
        ),
        lambda: consents.give([each.path for each in asked]),
    )


def differing(state: MeshState, outside: Outside, istioctl: str | None) -> list[str]:
    """Where a state in a cluster names another kubeconfig or istioctl than what is used here, each in a sentence. `istioctl`: the
    one that the person named.
    """
    own = {entry.context: str(entry.kubeconfig) for entry in reversed(outside.contexts())}
    told = []
    for entry in _entries(state.document):
        recorded, context = entry.get("kubeconfig"), str(entry.get("context"))
        used = own.get(context, "no kubeconfig of yours holds its context, so none")
        if recorded and used != str(recorded):
            name = one_line(entry.get("name"), 63)
            told.append(f"{name}: {one_line(used)} is used, not the recorded {one_line(recorded)}")
    recorded = state.options.get("istioctl")
    used = istioctl or ("" if outside.simulated else shutil.which("istioctl") or "")
    if recorded and used and used != str(recorded):
        told.append(f"istioctl: {one_line(used)} is used, not the recorded {one_line(recorded)}")
    return told


def _entries(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("clusters")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list | tuple) else []
