"""Mesh files: YAML in, with the line of every key; YAML out, for a person to read and keep."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from wizard import yamltext
from wizard.errors import BadInput, Mistake
from wizard.mesh import schema
from wizard.mesh.document import contexts_of, document_of, mesh_from
from wizard.mesh.model import Mesh
from wizard.reading import read
from wizard.text import harmless, one_line

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
    text = text_of(raw, name)
    try:
        node = yaml.compose(text, Loader=yamltext.Loader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        problem = one_line(getattr(error, "problem", None) or "nested too deeply or not text")
        if line and "\t" in _indentation(text, line):
            problem = "it is indented with a tab; YAML wants spaces"
        raise BadInput(f"{name} is no YAML", "Correct it and try again.", (Mistake("", problem, line),)) from error
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


def text_of(raw: bytes, name: str) -> str:
    """The text of a file. Raises BadInput that names the first byte or character that no YAML holds, and its line."""
    try:
        text = raw.decode("utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        mistake = Mistake("", f"byte 0x{raw[error.start]:02X} is not UTF-8; save the file as UTF-8", line)
        raise BadInput(f"{name} is no text in UTF-8", "Correct it and try again.", (mistake,)) from error
    strange = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if strange:
        mistake = Mistake("", f"{_called(strange[0])} cannot stand in YAML", text.count("\n", 0, strange.start()) + 1)
        raise BadInput(f"{name} is no YAML", "Correct it and try again.", (mistake,))
    return text


def _indentation(text: str, line: int) -> str:
    whole = text.splitlines()[line - 1 : line]
    return whole[0][: len(whole[0]) - len(whole[0].lstrip())] if whole else ""


def _odd(text: str) -> str:
    """The first character that looks like a blank or like nothing and is no space; empty where there is none."""
    return next((each for each in text if each != " " and (each.isspace() or not harmless(each))), "")


def _called(character: str) -> str:
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'a control character').lower()})"


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
            if odd := _odd(key):
                mistakes.append(
                    Mistake(path, f"{_called(odd)} stands in a key; write a plain space, or nothing", key_line)
                )
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
    # Between quotes somebody meant it; a context may have such a name.
    if isinstance(node, yaml.ScalarNode) and not node.style and (odd := _odd(node.value[:1] + node.value[-1:])):
        mistakes.append(
            Mistake(path, f"{_called(odd)} stands at an end of the value; write a plain space, or nothing", line)
        )
        return None
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
    """A new mesh file of this mesh, as YAML with a heading, which tells editors where the schema is."""
    return (
        "# A mesh for meshwizard: `meshwizard plan -f` shows what it would do, `meshwizard apply -f` does it.\n"
        f"# yaml-language-server: $schema={schema.FILE.as_uri()}\n{yamltext.dump(document_of(mesh))}"
    )
