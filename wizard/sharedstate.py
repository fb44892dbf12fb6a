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
from wizard.clusters.contexts import ENVIRONMENT
from wizard.mesh.files import files_of
from wizard.mesh.model import Mesh
from wizard.messages import joined, msg
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
    place, option = one_line(folder.place), f"--state {quoted(folder.place)}"
    consent = " ".join(f"--consent {quoted(each.path)}" for each in asked)
    raise Unconsented(
        msg(
            "the state in {place} names files to be read here: {files}; nobody agreed to that, and nothing was read",
            place=place,
            files=listing(one_line(each.path) for each in asked),
        ),
        msg(
            "Use your own mesh file: {command}\nOr, if you trust what the state says: {trusting}",
            command=f"meshwizard apply -f mesh.yaml {option}",
            trusting=f"meshwizard resume {quoted(mesh.name)} {option} {consent}",
        ),
        joined(
            [
                msg("The state in {place} names files of this machine:", place=place),
                *(msg("  {file}", file=each.told) for each in asked),
            ]
        ),
        lambda: consents.give([each.path for each in asked]),
    )


def differing(state: MeshState, outside: Outside, istioctl: str | None) -> list[str]:
    """Where a state in a cluster names another kubeconfig or istioctl than what is used here, each in a sentence. `istioctl`: the
    one that the person named.
    """
    own: dict[str, str] = {}
    for context in outside.contexts():
        own.setdefault(context.context, str(context.kubeconfig) if context.kubeconfig else ENVIRONMENT)
    told: list[str] = []
    for entry in _entries(state.document):
        recorded = entry.get("kubeconfig")
        used = own.get(str(entry.get("context")))
        if not recorded or used == str(recorded):
            continue
        name, recorded = one_line(entry.get("name"), 63), one_line(recorded)
        if used is None:
            none = msg(
                "{cluster}: no kubeconfig of yours holds its context, so none is used, not the recorded {recorded}",
                cluster=name,
                recorded=recorded,
            )
            told.append(none)
        else:
            told.append(_other(name, used, recorded))
    recorded = state.options.get("istioctl")
    used = istioctl or ("" if outside.simulated else shutil.which("istioctl") or "")
    if recorded and used and used != str(recorded):
        told.append(_other("istioctl", used, one_line(recorded)))
    return told


def _other(name: str, used: str, recorded: str) -> str:
    return msg("{name}: {used} is used, not the recorded {recorded}", name=name, used=one_line(used), recorded=recorded)


def _entries(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("clusters")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list | tuple) else []
