"""What is ours in a cluster, and who set what. The clusters tell: an annotation says which mesh made an object, managed
fields say who owns each field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from wizard.clusters.kinds import Object
from wizard.clusters.port import MANAGER
from wizard.engine.step import Difference
from wizard.text import one_line

MESH = "meshwizard/mesh"  # annotation: the mesh that made, or joined in, this object
CREATED = "meshwizard/created"  # annotation: the object was not there before us, so undo may delete it
LABELS = {"app.kubernetes.io/managed-by": MANAGER}
ISTIO_OWNER = "install.operator.istio.io/owning-resource"  # label: the IstioOperator that made it
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
    elif wanted != live and not (wanted in ({}, [], "") and live is None) and not _same_quantity(wanted, live):
        yield path, live, wanted


def differences(name: str, wanted: Object, live: Object | None, secret: bool = False) -> list[Difference]:
    """The differences of one object, printable, with who owns the differing field. `secret`: values are not shown."""
    if live is None:
        return [Difference(name, "", None, "to be made")]
    told = []
    for path, found, want in differing(wanted, live):
        shown = (
            ("other content", "ours") if secret and path[0] in ("data", "stringData") else (_show(found), _show(want))
        )
        told.append(Difference(name, ".".join(path), shown[0], str(shown[1]), owner_of(live, path)))
    return told


def owner_of(live: Object, path: Path) -> str:
    """The field manager, other than us, that owns this field; empty where nobody does."""
    for entry in live.get("metadata", {}).get("managedFields") or []:
        node: Any = entry.get("fieldsV1") or {}
        for part in path:
            node = node.get(f"f:{part}") if isinstance(node, dict) else None
        if node is not None and entry.get("manager") != MANAGER:
            return one_line(entry.get("manager", ""), 60)
    return ""


def _partner(item: Any, found: Sequence[Any], index: int) -> Any:
    """The live list item that belongs to the wanted one: of the same name, else at the same place."""
    if isinstance(item, dict) and "name" in item:
        return next((other for other in found if isinstance(other, dict) and other.get("name") == item["name"]), None)
    return found[index] if index < len(found) else None


def _name_of(item: Any, index: int) -> str:
    return str(item["name"]) if isinstance(item, dict) and "name" in item else str(index)


def _same_quantity(wanted: Any, live: Any) -> bool:
    """`1000m` and `1` are the same CPU; the API server keeps what was written, but others may write it differently."""
    return (
        isinstance(wanted, str)
        and isinstance(live, str)
        and wanted.endswith("m")
        and live.isdecimal()
        and (wanted[:-1].isdecimal() and int(wanted[:-1]) == int(live) * 1000)
    )


def _show(value: Any) -> str | None:
    return None if value is None else one_line(value, SHOWN)
