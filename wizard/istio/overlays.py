"""A person's own IstioOperator files, which istioctl merges under ours. Where both set a field, ours would win without a word;
where both hold a list, the whole of theirs would be gone (gateways: from 1.24 on). Some places win over ours, such as
`unvalidatedValues`, or would move what the steps look for. Such a conflict is refused by name before anything is touched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from wizard import yamltext
from wizard.clusters.kinds import Object
from wizard.errors import Mistake, words_of
from wizard.istio.operator import OPERATOR_NAME, mesh_networks, operator_of
from wizard.mesh.files import overlay_files
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import msg
from wizard.reading import read
from wizard.text import one_line

MAX_BYTES = 4 << 20
_SHOWN = 80
_GATEWAYS = ("components", "ingressGateways")


def unreadable_overlays(mesh: Mesh) -> tuple[Mistake, ...]:
    """Every overlay that is no readable IstioOperator file. Asks no cluster."""
    mistakes = []
    for place, path, _ in overlay_files(mesh):
        try:
            operator_in(path)
        except ValueError as error:
            mistakes.append(Mistake(place, msg("{file} {problem}", file=one_line(path), problem=words_of(error))))
    return tuple(mistakes)


def conflicting_overlays(mesh: Mesh) -> tuple[Mistake, ...]:
    """Every field that an overlay sets otherwise than the wizard does, in a mesh that is settled."""
    mistakes: dict[tuple[str, str], Mistake] = {}
    for at, path, clusters in overlay_files(mesh):
        try:
            overlay = operator_in(path)
        except ValueError:
            continue  # told by `unreadable_overlays`
        for field, theirs, ours in _of_its_own(overlay):
            text = msg(
                "{file}: {field} is {theirs}, but the wizard's IstioOperator keeps {ours}; leave it out",
                file=one_line(path),
                field=field,
                theirs=_short(theirs),
                ours=ours,
            )
            mistakes.setdefault((at, field), Mistake(at, text))
        for cluster in clusters:
            spec = overlay.get("spec") or {}
            for place, theirs, ours in _differing(spec, _settled(mesh, cluster), ()):
                field = one_line(".".join(("spec", *place)))
                told = _told(place, theirs, ours, cluster.name)
                text = msg("{file}: {field}: {problem}", file=one_line(path), field=field, problem=told)
                mistakes.setdefault((at, field), Mistake(at, text))
    return tuple(mistakes.values())


def digest(path: Path) -> str:
    """The hash of this overlay's content. One that is gone is refused before an install; to take one back it is not needed."""
    try:
        return hashlib.sha256(read(path, MAX_BYTES)).hexdigest()
    except ValueError:
        return "gone"


def operator_in(path: Path) -> Object:
    """The IstioOperator in this file. ValueError, with what follows the file's name, where there is none."""
    try:
        documents = yamltext.load_all(read(path, MAX_BYTES).decode())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(msg("is no YAML")) from error
    operators = [each for each in documents if isinstance(each, dict) and each.get("kind") == "IstioOperator"]
    if len(documents) != 1 or not operators or not isinstance(operators[0].get("spec") or {}, dict):
        raise ValueError(msg("must hold one IstioOperator"))
    return operators[0]


def _of_its_own(overlay: Object) -> Iterator[tuple[str, Any, str]]:
    """(field, theirs, ours) of what its metadata says otherwise."""
    metadata = overlay.get("metadata")
    for key, ours in (("name", OPERATOR_NAME), ("namespace", SYSTEM_NAMESPACE)):
        theirs = metadata.get(key) if isinstance(metadata, dict) else None
        if theirs not in (None, ours):
            yield f"metadata.{key}", theirs, ours


def _settled(mesh: Mesh, cluster: Cluster) -> Object:
    """The spec of this cluster's IstioOperator, and what it settles in other places: those that lead to the same field, and
    those left out on purpose (None).
    """
    spec: Object = operator_of(mesh, cluster)["spec"]
    spec.setdefault("revision", None)
    values = spec["values"]
    values["revision"] = spec["revision"]
    values["global"] = {
        "remotePilotAddress": None,
        **values["global"],
        "hub": spec["hub"],
        "tag": spec["tag"],
        "istioNamespace": SYSTEM_NAMESPACE,
        "meshNetworks": mesh_networks(mesh),
    }
    # Which of these there are is the profile's choice: a remote's must have no istiod.
    components = ("base", "pilot", "istiodRemote")
    settled = dict(spec.get("components", {}))
    for name in components:
        settled[name] = {"enabled": None, "namespace": SYSTEM_NAMESPACE, **settled.get(name, {})}
    return {**spec, "components": settled, "unvalidatedValues": values}


def _differing(theirs: Object, ours: Object, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """(place, theirs, ours) of each field that ours settles and theirs sets otherwise."""
    for key, value in theirs.items():
        below = (*place, str(key))
        if key not in ours:
            continue
        # A network more in meshNetworks would survive beside ours, and lead traffic where nobody planned it.
        if isinstance(value, dict) and isinstance(ours[key], dict) and key != "meshNetworks":
            yield from _differing(value, ours[key], below)
        elif value is not None and value != ours[key]:
            yield below, value, ours[key]


def _told(place: tuple[str, ...], theirs: Any, ours: Any, cluster: str) -> str:
    if place == _GATEWAYS:
        return msg(
            "this list holds the wizard's east-west gateway, and istioctl 1.24 and later drop what an overlay adds to it; "
            "install other gateways with an IstioOperator of another name"
        )
    if ours is None:
        return msg(
            "the overlay sets {theirs}, the wizard leaves it out in {cluster} on purpose; leave it out too",
            theirs=_short(theirs),
            cluster=cluster,
        )
    if isinstance(ours, list) and place[0] != "unvalidatedValues":
        return msg("istioctl would replace this list by the wizard's {ours}; leave it out", ours=_short(ours))
    return msg(
        "the overlay sets {theirs}, the wizard sets {ours} in {cluster}; leave it out",
        theirs=_short(theirs),
        ours=_short(ours),
        cluster=cluster,
    )


def _short(value: Any) -> str:
    return one_line(value, _SHOWN)
