"""Mesh files: YAML in, with the line of every key; YAML out, for a person to read and keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from wizard import yamltext
from wizard.errors import BadInput, Mistake
from wizard.mesh.document import contexts_of, document_of, mesh_from
from wizard.mesh.model import Mesh
from wizard.reading import read
from wizard.text import one_line

MAX_BYTES = 1 << 20


def read_meshfile(path: Path, also: Callable[[Mesh], Sequence[Mistake]] = lambda mesh: ()) -> Mesh:
    """The mesh of this file. Raises BadInput with every mistake and its line, those that `also` finds in its names and
    contexts among them; the file is only read.
    """
    name = one_line(path)
    try:
        raw = read(path, MAX_BYTES, piped=True)
    except ValueError as error:
        raise BadInput(f"{name} {error}", "Give the mesh file with -f.") from error
    data, lines = parse(raw, name)
    base = path.parent.absolute()
    return mesh_from(data, base=base, lines=lines, source=name, more=also(contexts_of(data, base)))


def parse(raw: bytes, name: str) -> tuple[Any, dict[str, int]]:
    """Plain data and the 1-based line of each path in it. Aliases and duplicate keys are refused: the first make
    bombs, the second lose what a person wrote.
    """
    try:
        node = yaml.compose(raw, Loader=yamltext.Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        mistake = Mistake(
            "",
            one_line(getattr(error, "problem", None) or "nested too deeply or not text"),
            mark.line + 1 if mark else None,
        )
        raise BadInput(f"{name} is no YAML", "Correct it and try again.", (mistake,)) from error
    if node is None:
        raise BadInput(f"{name} is empty", "See `meshwizard plan --help` for an example.")
    lines: dict[str, int] = {}
    mistakes: list[Mistake] = []
    constructor = yamltext.Loader(b"")
    try:
        data = _data(node, "", lines, mistakes, constructor, set())
    finally:
        constructor.dispose()
    if mistakes:
        raise BadInput(f"{name} cannot be read unambiguously", "Correct it and try again.", tuple(mistakes))
    return data, lines


def _data(
    node: yaml.Node,
    path: str,
    lines: dict[str, int],
    mistakes: list[Mistake],
    constructor: Any,
    seen: set[int],
) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if id(node) in seen:
        mistakes.append(Mistake(path, "aliases (*name) are not allowed; write the value out", line))
        return None
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            key_line = key_node.start_mark.line + 1
            below = f"{path}.{key}" if path else key
            if not key:
                mistakes.append(Mistake(path, "a key must be plain text", key_line))
                continue
            if key in mapping:
                mistakes.append(Mistake(below, "this key stands twice", key_line))
                continue
            lines[below] = key_line
            mapping[key] = _data(value_node, below, lines, mistakes, constructor, seen)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [
            _data(item, f"{path}[{index}]", lines, mistakes, constructor, seen) for index, item in enumerate(node.value)
        ]
    try:
        value = constructor.construct_object(node)
        if isinstance(value, int) and value.bit_length() > 64:  # `1:1:1…` makes numbers that Python refuses to print
            raise ValueError("number too large")
        return value
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # PyYAML's constructors trust an explicit tag: `!!timestamp x` and `!!bool x` end in bare Python errors.
        problem = getattr(error, "problem", None) or f"{node.value[:40]!r} is not what its tag {node.tag} says"
        mistakes.append(Mistake(path, one_line(problem), line))
        return None


def write_meshfile(mesh: Mesh) -> str:
    """The mesh file of this mesh, as YAML with a heading."""
    text = yamltext.dump(document_of(mesh))
    return (
        f"# A mesh for meshwizard: `meshwizard plan -f` shows what it would do, `meshwizard apply -f` does it.\n{text}"
    )
