"""What is ours in a cluster, and who set what. The clusters tell: an annotation says which mesh made an object, managed
fields say who owns each field.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from wizard.clusters.kinds import Object
from wizard.clusters.port import MANAGER
from wizard.engine.step import Conflict, Difference
from wizard.mesh.fields import mesh_field
from wizard.messages import msg
from wizard.text import one_line, quoted

MESH = "meshwizard/mesh"  # annotation: the mesh that made, or joined in, this object
CREATED = "meshwizard/created"  # annotation: the object was not there before us, so undo may delete it
LABELS = {"app.kubernetes.io/managed-by": MANAGER}
ISTIO_OWNER = "install.operator.istio.io/owning-resource"  # label: the IstioOperator that made it
ISTIOD_MANAGER = "pilot-discovery"  # the field manager of what istiod writes
SHOWN = 120

Path = tuple[str, ...]


def annotation(live: Object | None, key: str) -> str | None:
    """An annotation's value, None where the object or the annotation is absent."""
    return ((live or {}).get("metadata", {}).get("annotations") or {}).get(key)


def label(live: Object | None, key: str) -> str | None:
    """A label's value, None where the object or the label is absent."""
    return ((live or {}).get("metadata", {}).get("labels") or {}).get(key)


def is_ours(live: Object | None) -> bool:
    """Whether the wizard had a hand in this object before."""
    return annotation(live, MESH) is not None


def is_of(live: Object | None, mesh: str) -> bool:
    """Whether this mesh had a hand in this object before."""
    return annotation(live, MESH) == mesh


def of_another(name: str, live: Object | None, mesh: str) -> Conflict | None:
    """The conflict where another mesh of the wizard's had a hand in this object. `name`: of the cluster."""
    other = annotation(live, MESH)
    if live is None or other is None or other == mesh:
        return None
    return Conflict(
        msg(
            "{cluster}: {kind} {name} belongs to mesh {mesh} already",
            cluster=name,
            kind=live["kind"],
            name=one_line(live["metadata"]["name"]),
            mesh=one_line(other),
        ),
        way_out(other),
    )


def way_out(other: str) -> str:
    """What to do where annotation `meshwizard/mesh` names another mesh."""
    if mesh_field("name").mistake(other):
        return msg(
            "No mesh can have that name: whoever set annotation {annotation} there can tell, and take it away.",
            annotation=MESH,
        )
    return msg("Give the mesh file that name, or first run: {command}", command=f"meshwizard uninstall {quoted(other)}")


def differing(wanted: Any, live: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """(path, found, wanted) of every wanted field that is not so in the live object. What the live object has beyond
    that is left alone: defaults and other people's fields.
    """
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            below = live.get(key) if isinstance(live, dict) else None
            yield from differing(value, below, (*path, str(key)))
    elif isinstance(wanted, list) and any(isinstance(item, dict) for item in wanted):
        found = live if isinstance(live, list) else []
        for index, item in enumerate(wanted):
            yield from differing(item, _partner(item, found, index), (*path, _name_of(item, index)))
    elif not same(wanted, live) and not (wanted in ({}, [], "") and live is None):
        yield path, live, wanted


def differences(name: str, wanted: Object, live: Object | None, secret: bool = False) -> list[Difference]:
    """The differences of one object, printable, with who owns the differing field. `secret`: values are not shown."""
    if live is None:
        return [Difference(name, "", None, msg("to be made"))]
    told = []
    for path, found, want in differing(wanted, live):
        hidden = secret and path[0] in ("data", "stringData")
        shown = (msg("other content"), msg("ours")) if hidden else (show(found), str(show(want)))
        told.append(Difference(name, ".".join(path), shown[0], shown[1], owner_of(live, path)))
    told += [Difference(name, ".".join(path), show(found), None) for path, found in _outlived(wanted, live)]
    return told


def exact_differences(name: str, wanted: Object, live: Object, at: str = "") -> list[Difference]:
    """The differences of what is all ours, printable: also what is there and not wanted. `at`: the path of the whole."""
    found = {path: (old, new) for path, old, new in differing(wanted, live)}
    found |= {path: (old, new) for path, new, old in differing(live, wanted) if path not in found}
    return [
        Difference(
            name,
            one_line(".".join((at, *path) if at else path)),
            None if old is None else one_line(old),
            None if new is None else one_line(new),
        )
        for path, (old, new) in found.items()
    ]


def _outlived(wanted: Object, live: Object) -> Iterator[tuple[Path, Any]]:
    """(path, found) of the labels and annotations that we set and that are not wanted any more, as where a remote became a
    primary.
    """
    for part, marks in (("labels", LABELS), ("annotations", (MESH, CREATED))):
        stay = {*marks, *(wanted["metadata"].get(part) or {})}
        for name, found in (live["metadata"].get(part) or {}).items():
            path = ("metadata", part, name)
            if name not in stay and _owned(live, path):
                yield path, found


def _owned(live: Object, path: Path) -> bool:
    return any(
        (entry.get("manager"), entry.get("operation")) == (MANAGER, "Apply") and _field(entry, path) is not None
        for entry in live["metadata"].get("managedFields") or []
    )


def _field(entry: Object, path: Path) -> Any:
    """What one entry of the managed fields says of a field; None where it does not have it."""
    node: Any = entry.get("fieldsV1") or {}
    for part in path:
        node = node.get(f"f:{part}") if isinstance(node, dict) else None
    return node


def owned_by(live: Object, path: Path, managers: Collection[str]) -> bool:
    """Whether one of these managers owns this field, or a part of it; taken for granted where the server does not tell."""
    entries = live["metadata"].get("managedFields") or []
    return not entries or any(each.get("manager") in managers and _field(each, path) is not None for each in entries)


def owner_of(live: Object, path: Path) -> str:
    """The field manager, other than us, that owns this field; empty where nobody does."""
    for entry in live.get("metadata", {}).get("managedFields") or []:
        if entry.get("manager") != MANAGER and _field(entry, path) is not None:
            return one_line(entry.get("manager", ""), 60)
    return ""


def _partner(item: Any, found: Sequence[Any], index: int) -> Any:
    """The live list item that belongs to the wanted one: of the same name, else at the same place."""
    if isinstance(item, dict) and "name" in item:
        return next((other for other in found if isinstance(other, dict) and other.get("name") == item["name"]), None)
    return found[index] if index < len(found) else None


def _name_of(item: Any, index: int) -> str:
    return str(item["name"]) if isinstance(item, dict) and "name" in item else str(index)


def same(wanted: Any, live: Any) -> bool:
    """Whether these are one value. `1000m` and `1` are the same CPU; the API server keeps what was written, but others may write
    it differently.
    """
    return bool(wanted == live) or (
        isinstance(wanted, str)
        and isinstance(live, str)
        and wanted.endswith("m")
        and live.isdecimal()
        and (wanted[:-1].isdecimal() and int(wanted[:-1]) == int(live) * 1000)
    )


def show(value: Any) -> str | None:
    """A value in a difference."""
    return None if value is None else one_line(value, SHOWN)
