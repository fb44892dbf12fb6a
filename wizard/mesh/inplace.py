"""A mesh written into the mesh file that is there already: what somebody wrote and did not change stays as it is written.

ruamel.yaml changes the file's tree; `sameness.py` takes of what it writes only the lines that change. Whatever comes out is read
again and must be the mesh that was to be saved, so that neither can do harm.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wizard import yamltext
from wizard.errors import BadInput
from wizard.mesh.document import Document, document_of, mesh_from
from wizard.mesh.field import Field
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS
from wizard.mesh.meshfile import parse, text_of, write_meshfile
from wizard.mesh.model import Mesh
from wizard.mesh.rules import value_at
from wizard.mesh.sameness import lacks_comments, merged
from wizard.reading import read_if_there
from wizard.text import harmless

MAX_BYTES = 128 << 10  # ruamel.yaml reads some 100 KiB in a second; 200 clusters have 60 KiB
_CLUSTERS = re.compile(r"^clusters:[^\n]*\n(?: *(?:#[^\n]*)?\n)*( *)-( +)[^ #]", re.MULTILINE)
_SECTION = re.compile(r"^[a-z]\w*: *(?:#[^\n]*)?\n(?: *(?:#[^\n]*)?\n)*( +)\w", re.MULTILINE)


def text_for(path: Path, mesh: Mesh) -> tuple[str, bool]:
    """What the file at this path holds once this mesh is saved there, and whether everything is still in it that somebody wrote
    into a file that is there and did not change. It is only read.
    """
    try:
        raw = read_if_there(path, MAX_BYTES)
    except ValueError:
        return write_meshfile(mesh), False
    if raw is None:
        return write_meshfile(mesh), True
    kept = rewritten(raw, mesh, path.parent.absolute())
    return (write_meshfile(mesh), False) if kept is None else (kept, True)


def rewritten(raw: bytes, mesh: Mesh, base: Path) -> str | None:
    """The content of a mesh file, from which relative paths start at `base`, with this mesh in it. Comments on lines of their
    own all stay; one at the end of a line goes only with the line. None: what is there cannot be changed so, because it is no
    mesh file without mistakes, or too large, or written in a way that would be lost.
    """
    if len(raw) > MAX_BYTES:
        return None
    try:
        whole = text_of(raw, "it")
        old = document_of(mesh_from(parse(raw, "it")[0], base=base))
        new = document_of(mesh_from(document_of(mesh), base=base))  # as it would mean when it is read
    except BadInput:
        return None
    if old == new:
        return whole
    text = whole.replace("\r\n", "\n").rstrip("\n") + "\n"
    found = next((each for each in _candidates(text, old, new) if _is_right(each, text, new, base)), None)
    return found if found is None or "\r\n" not in whole else found.replace("\n", "\r\n")


def _is_right(candidate: str, text: str, new: Document, base: Path) -> bool:
    if lacks_comments(candidate, text):
        return False
    try:
        return document_of(mesh_from(parse(candidate.encode(), "it")[0], base=base)) == new
    except (BadInput, UnicodeEncodeError):
        return False


def _candidates(text: str, old: Document, new: Document) -> Iterator[str]:
    """The changed file, at first with all else as it was, then as ruamel.yaml would write all of it."""
    # First they go, then others come: lines of one that goes are no lines of one that comes, however like they are.
    left = [old["clusters"][index] for index in sorted(_same(old["clusters"], new["clusters"]).values())]
    between = {**old, "clusters": left or old["clusters"]}
    for as_it_was in (True, False):
        result: str | None = text
        for was, wanted in ((old, between), (between, new)):
            if result is not None and was != wanted:
                try:
                    before, after = _by_ruamel(result, was, wanted)
                except Exception:  # whatever it stumbles over, the file is then replaced, by consent
                    return
                result = merged(result if as_it_was else before, before, after)
        if result is not None:
            yield result


def _same(old: Sequence[Document], new: Sequence[Document]) -> dict[int, int]:
    """By the place of each new cluster that was there before, its place then. One that has another name is still the same where
    its context is.
    """
    same: dict[int, int] = {}
    for key in ("name", "context"):
        left = {entry[key]: index for index, entry in enumerate(old) if index not in same.values()}
        for number, entry in enumerate(new):
            if number not in same and entry[key] in left:
                same[number] = left.pop(entry[key])
    return same


def _by_ruamel(text: str, old: Document, new: Document) -> tuple[str, str]:
    """(this file as ruamel.yaml writes it, the same with what is new)"""
    from ruamel.yaml import YAML  # needed by nobody who saves no file again

    yaml = YAML(pure=True)
    yaml.preserve_quotes = True
    yaml.width = 1 << 30
    yaml.allow_unicode = harmless(json.dumps(new, ensure_ascii=False))
    yaml.explicit_start = bool(re.search(r"^---", text, re.MULTILINE))
    clusters, section = _CLUSTERS.search(text), _SECTION.search(text)
    offset, dash = (len(clusters[1]), 1 + len(clusters[2])) if clusters else (0, 2)
    yaml.indent(mapping=len(section[1]) if section else 2, sequence=offset + dash, offset=offset)

    def written() -> str:
        stream = io.StringIO()
        yaml.dump(tree, stream)
        return stream.getvalue()

    tree = yaml.load(text)
    before = written()
    _change(tree, MESH_FIELDS, old, new, ("apiVersion", "kind"))
    _change_clusters(tree["clusters"], old["clusters"], new["clusters"])
    return before, written()


def _change_clusters(tree: Any, old: Sequence[Document], new: Sequence[Document]) -> None:
    same = _same(old, new)
    flow = all(each.fa.flow_style() for each in tree)

    def made(number: int) -> Any:
        entry = _tree(new[number])
        if flow:
            entry.fa.set_flow_style()
        return entry

    after = [same.get(number, f"new {number}") for number in range(len(new))]
    _arrange(tree, list(range(len(old))), after, made)
    for number, index in same.items():
        _change(tree[number], CLUSTER_FIELDS, old[index], new[number])


def _arrange(tree: Any, before: Sequence[object], after: Sequence[object], made: Callable[[int], Any]) -> None:
    """Make the sequence, which holds `before`, hold `after`. What is in both is moved, with the comment at its line's end, which
    ruamel.yaml would mix up; `made` makes what is new, by its place.
    """
    held: dict[object, list[tuple[Any, Any]]] = {}
    for number, (key, each) in enumerate(zip(before, tree, strict=True)):
        held.setdefault(key, []).append((each, tree.ca.items.get(number)))
    tree.ca.items.clear()
    while tree:
        tree.pop()
    for number, key in enumerate(after):
        each, comment = held[key].pop(0) if held.get(key) else (made(number), None)
        tree.append(each)
        if comment:
            tree.ca.items[number] = comment


def _change(
    tree: Any, fields: Sequence[Field], old: Mapping[str, Any], new: Mapping[str, Any], first: Sequence[str] = ()
) -> None:
    order = [*first, *(field.key for field in fields)]
    for field in fields:
        was, value = value_at(old, field.key), value_at(new, field.key)
        if was != value:
            _put(tree, field.key, was, value, order)


def _put(tree: Any, key: str, was: object, value: object, order: Sequence[str]) -> None:
    """Set a dotted key that means `was`, where it is new behind those that come before it in this order of keys; None removes it,
    and with it a section that became empty.
    """
    head, _, rest = key.partition(".")
    if value is None and not (rest and head in tree):
        tree.pop(head, None)
    elif rest and head in tree:
        below = [each.partition(".")[2] for each in order if each.startswith(f"{head}.")]
        _put(tree[head], rest, was, value, below)
        if not tree[head]:
            del tree[head]
    elif head in tree:
        tree[head] = _in_place_of(tree[head], was, value)
    else:
        earlier = {each.partition(".")[0] for each in order[: order.index(key)]} - {head}
        place = max((number for number, each in enumerate(tree, 1) if each in earlier), default=0)
        tree.insert(place, head, _tree({rest: value} if rest else value))


def _in_place_of(tree: Any, was: object, value: object) -> Any:
    """This value, written as what it replaces, which means `was`: a path in a file may be shorter than what it means."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

    if isinstance(tree, CommentedSeq) and isinstance(was, list) and isinstance(value, list) and len(tree) == len(was):
        before, after = ([json.dumps(each, sort_keys=True) for each in items] for items in (was, value))
        _arrange(tree, before, after, lambda number: _tree(value[number]))
        return tree
    if isinstance(tree, CommentedMap) and isinstance(value, dict):
        for key in [each for each in tree if each not in value]:
            del tree[key]
        for key, each in value.items():
            if tree.get(key) != each:
                tree[key] = _in_place_of(tree.get(key), None, each)
        return tree
    for quoted in (DoubleQuotedScalarString, SingleQuotedScalarString):
        if isinstance(tree, quoted) and isinstance(value, str):
            return quoted(value)
    return _tree(value)


def _tree(value: object) -> Any:
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import SingleQuotedScalarString

    if isinstance(value, dict):
        return CommentedMap({key: _tree(each) for key, each in value.items()})
    if isinstance(value, list):
        return CommentedSeq(map(_tree, value))
    return SingleQuotedScalarString(value) if isinstance(value, str) and yamltext.is_doubtful(value) else value
