"""The mesh as plain data (the shape of the mesh file), checked, and turned into the model and back.

Front ends fill such a document and get either a `Mesh` or every mistake at once, each with its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from wizard.errors import BadInput, Mistake
from wizard.mesh.field import Field
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS
from wizard.mesh.model import API_VERSION, Certificates, Cluster, Gateway, Istio, Mesh, Verify
from wizard.mesh.rules import as_held, as_written, mistakes_together, value_at
from wizard.messages import counted, msg
from wizard.paths import expanded

Document = dict[str, Any]
MIN_CLUSTERS = 2
MAX_CLUSTERS = 200
_SECTIONS: dict[str, type] = {"istio": Istio, "certificates": Certificates, "verify": Verify, "gateway": Gateway}
_T = TypeVar("_T", Mesh, Cluster)


def put(data: Document, key: str, value: object) -> None:
    """Set a dotted key; None removes it, and with it a section that became empty."""
    head, _, rest = key.partition(".")
    if not rest:
        if value is None:
            data.pop(head, None)
        else:
            data[head] = value
        return
    section = data.setdefault(head, {})
    put(section, rest, value)
    if not section:
        del data[head]


def mistakes_in(data: object, lines: Mapping[str, int] | None = None) -> tuple[Mistake, ...]:
    """Everything wrong with this document, in its order. Empty: `mesh_from` will succeed."""
    return tuple(_Reader(lines or {}).read(data))


def contexts_of(data: object, base: Path = Path()) -> Mesh:
    """A mesh of just the names and contexts that this document tells, however wrong the rest is. What is missing stays
    empty, so that each cluster keeps its place.
    """

    def text(entry: object, key: str) -> str:
        value = entry.get(key) if isinstance(entry, dict) else None
        return value if isinstance(value, str) else ""

    entries = data.get("clusters") if isinstance(data, dict) else None
    clusters = []
    for entry in entries[:MAX_CLUSTERS] if isinstance(entries, list) else []:
        kubeconfig = text(entry, "kubeconfig")
        path = base / expanded(kubeconfig) if kubeconfig else None
        clusters.append(Cluster(name=text(entry, "name"), context=text(entry, "context"), network="", kubeconfig=path))
    return Mesh(name="", clusters=tuple(clusters))


def mesh_from(
    data: object,
    *,
    base: Path = Path(),
    lines: Mapping[str, int] | None = None,
    source: str = "",
    more: Sequence[Mistake] = (),
) -> Mesh:
    """The mesh that this document describes. Relative paths are taken from `base`.

    Raises BadInput with every mistake, each with its line where `lines` knows it; `more` are mistakes that the caller
    found already.
    """
    mistakes = mistakes_in(data, lines)
    known = {mistake.path for mistake in mistakes}
    mistakes += tuple(
        replace(mistake, line=_line_of(mistake.path, lines or {})) for mistake in more if mistake.path not in known
    )
    mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.line or 0))
    if mistakes:
        raise BadInput(_how_many(len(mistakes), source), msg("Correct it and try again."), mistakes)
    if not isinstance(data, dict):
        raise TypeError("unreachable: mistakes_in refuses what is no mapping")

    clusters = tuple(
        _built(Cluster, CLUSTER_FIELDS, as_held(entry, data["clusters"]), base) for entry in data["clusters"]
    )
    return _built(Mesh, MESH_FIELDS, data, base, clusters=clusters)


def _how_many(mistakes: int, source: str) -> str:
    if not source:
        return counted(
            "a mistake in the mesh; nothing was touched",
            "{count} mistakes in the mesh; nothing was touched",
            mistakes,
        )
    return counted(
        "a mistake in {file}; nothing was touched",
        "{count} mistakes in {file}; nothing was touched",
        mistakes,
        file=source,
    )


def document_of(mesh: Mesh) -> Document:
    """The document that reads back as this mesh: the shape of the mesh file, ready for JSON or YAML."""
    document: Document = {"apiVersion": API_VERSION, "kind": "Mesh"}
    for field in MESH_FIELDS:
        put(document, field.key, field.to_document(mesh))
    document["clusters"] = [_entry_of(cluster) for cluster in mesh.clusters]
    return document


def _entry_of(cluster: Cluster) -> Document:
    entry: Document = {}
    for field in CLUSTER_FIELDS:
        put(entry, field.key, field.to_document(cluster))
    return as_written(entry)


def _built(kind: type[_T], fields: Sequence[Field], data: Mapping[str, Any], base: Path, **more: Any) -> _T:
    """The part of the model to which these fields are bound, from what the document says."""
    parts: dict[str, dict[str, Any]] = {}
    for field in fields:
        section, _, name = field.attribute.rpartition(".")
        parts.setdefault(section, {})[name] = field.to_model(value_at(data, field.key), base)
    own: dict[str, Any] = parts.pop("")
    sections: dict[str, Any] = {section: _SECTIONS[section](**values) for section, values in parts.items()}
    return kind(**own, **sections, **more)


def _line_of(path: str, lines: Mapping[str, int]) -> int | None:
    """The line of this path; of what holds it where the key itself is missing."""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path)


class _Reader:
    """Walks a document beside the declared fields and collects what does not fit."""

    def __init__(self, lines: Mapping[str, int]) -> None:
        self._lines = lines

    def read(self, data: object) -> Iterable[Mistake]:
        if not isinstance(data, dict):
            yield Mistake(
                "",
                msg("the mesh file must be a mapping that starts with apiVersion and kind"),
                self._lines.get(""),
            )
            return
        for key, wanted in (("apiVersion", API_VERSION), ("kind", "Mesh")):
            if data.get(key) != wanted:
                yield self._mistake(key, msg("must be {wanted}", wanted=wanted), data)
        yield from self._fields(data, MESH_FIELDS, "", also={"apiVersion", "kind", "clusters"})
        clusters = data.get("clusters")
        if not isinstance(clusters, list) or len(clusters) < MIN_CLUSTERS:
            yield self._mistake("clusters", msg("must be a list of at least two clusters"), data)
            return
        if len(clusters) > MAX_CLUSTERS:
            too_many = counted(
                "holds {count} cluster; at most {most} are supported",
                "holds {count} clusters; at most {most} are supported",
                len(clusters),
                most=MAX_CLUSTERS,
            )
            yield self._mistake("clusters", too_many, data)
            return
        for index, entry in enumerate(clusters):
            prefix = f"clusters[{index}]"
            if not isinstance(entry, dict):
                yield self._mistake(prefix, msg("must be a mapping with name, context and network"), data)
                continue
            yield from self._fields(entry, CLUSTER_FIELDS, prefix)
        for path, text in mistakes_together(data, [entry if isinstance(entry, dict) else {} for entry in clusters]):
            yield self._mistake(path, text)

    def _mistake(self, path: str, text: str, data: object = None) -> Mistake:
        return Mistake(path, text, _line_of(path, self._lines))

    def _fields(
        self,
        data: Mapping[str, Any],
        fields: tuple[Field, ...],
        prefix: str,
        also: frozenset[str] | set[str] = frozenset(),
    ) -> Iterable[Mistake]:
        def at(key: str) -> str:
            return f"{prefix}.{key}" if prefix else key

        known = {field.key for field in fields}
        sections = {key.split(".")[0] for key in known if "." in key}
        for key, value in data.items():
            if key in sections:
                if not isinstance(value, dict):
                    yield self._mistake(at(str(key)), msg("must be a mapping"))
                    continue
                inside = sorted(name.split(".")[1] for name in known if name.startswith(f"{key}."))
                unknown = msg("unknown key; {section} has {keys}", section=key, keys=", ".join(inside))
                for name in value:
                    if name not in inside:
                        yield self._mistake(at(f"{key}.{name}"), unknown)
            elif key not in known and key not in also:
                names = sorted({name.split(".")[0] for name in known} | set(also))
                yield self._mistake(at(str(key)), msg("unknown key; known are {keys}", keys=", ".join(names)))
        for field in fields:
            value = value_at(data, field.key)
            if value is None and field.default is not None:
                continue
            text = field.mistake(value)
            if text:
                yield self._mistake(at(field.key), text)
