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
from wizard.messages import msg
from wizard.reading import read
from wizard.text import harmless, one_line

MAX_BYTES = 1 << 20
_CORRECT = msg("Correct it and try again.")


def read_meshfile(path: Path, also: Callable[[Mesh], Sequence[Mistake]] = lambda mesh: ()) -> Mesh:
    """The mesh of this file. Raises BadInput with every mistake and its line, those that `also` finds in its names and
    contexts among them; the file is only read.
    """
    name = one_line(path)
    try:
        raw = read(path, MAX_BYTES, piped=True)
    except ValueError as error:
        what = msg("{file} {problem}", file=name, problem=error.args[0])
        raise BadInput(what, msg("Give the mesh file with -f.")) from error
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
        problem = one_line(getattr(error, "problem", None) or msg("nested too deeply or not text"))
        if line and "\t" in _indentation(text, line):
            problem = msg("it is indented with a tab; YAML wants spaces")
        raise BadInput(_no_yaml(name), _CORRECT, (Mistake("", problem, line),)) from error
    if node is None:
        raise BadInput(msg("{file} is empty", file=name), msg("See `meshwizard plan --help` for an example."))
    lines: dict[str, int] = {}
    mistakes: list[Mistake] = []
    constructor = yamltext.Loader(b"")
    try:
        data = _data(node, "", lines, mistakes, constructor, set())
    finally:
        constructor.dispose()
    if mistakes:
        raise BadInput(msg("{file} cannot be read unambiguously", file=name), _CORRECT, tuple(mistakes))
    return data, lines


def text_of(raw: bytes, name: str) -> str:
    """The text of a file. Raises BadInput that names the first byte or character that no YAML holds, and its line."""
    try:
        text = raw.decode("utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = msg("byte 0x{byte:02X} is not UTF-8; save the file as UTF-8", byte=raw[error.start])
        raise BadInput(msg("{file} is no text in UTF-8", file=name), _CORRECT, (Mistake("", problem, line),)) from error
    strange = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if strange:
        problem = msg("{character} cannot stand in YAML", character=_called(strange[0]))
        mistake = Mistake("", problem, text.count("\n", 0, strange.start()) + 1)
        raise BadInput(_no_yaml(name), _CORRECT, (mistake,))
    return text


def _no_yaml(name: str) -> str:
    return msg("{file} is no YAML", file=name)


def _indentation(text: str, line: int) -> str:
    whole = text.splitlines()[line - 1 : line]
    return whole[0][: len(whole[0]) - len(whole[0].lstrip())] if whole else ""


def _odd(text: str) -> str:
    """The first character that looks like a blank or like nothing and is no space; empty where there is none."""
    return next((each for each in text if each != " " and (each.isspace() or not harmless(each))), "")


def _called(character: str) -> str:
    name = unicodedata.name(character, "").lower()
    if not name:
        return msg("U+{number:04X} (a control character)", number=ord(character))
    return f"U+{ord(character):04X} ({name})"


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
        mistakes.append(Mistake(path, msg("aliases (*name) are not allowed; write the value out"), line))
        return None
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            key_line = key_node.start_mark.line + 1
            below = f"{path}.{key}" if path else key
            if not key:
                mistakes.append(Mistake(path, msg("a key must be plain text"), key_line))
                continue
            if odd := _odd(key):
                text = msg("{character} stands in a key; write a plain space, or nothing", character=_called(odd))
                mistakes.append(Mistake(path, text, key_line))
                continue
            if key in mapping:
                mistakes.append(Mistake(below, msg("this key stands twice"), key_line))
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
        text = msg("{character} stands at an end of the value; write a plain space, or nothing", character=_called(odd))
        mistakes.append(Mistake(path, text, line))
        return None
    try:
        value = constructor.construct_object(node)
        if isinstance(value, int) and value.bit_length() > 64:  # `1:1:1…` makes numbers that Python refuses to print
            raise ValueError("number too large")
        return value
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        # PyYAML's constructors trust an explicit tag: `!!timestamp x` and `!!bool x` end in bare Python errors.
        untrue = msg("{value} is not what its tag {tag} says", value=repr(node.value[:40]), tag=node.tag)
        mistakes.append(Mistake(path, one_line(getattr(error, "problem", None) or untrue), line))
        return None


def write_meshfile(mesh: Mesh) -> str:
    """A new mesh file of this mesh, as YAML with a heading, which tells editors where the schema is."""
    return (
        "# A mesh for meshwizard: `meshwizard plan -f` shows what it would do, `meshwizard apply -f` does it.\n"
        f"# yaml-language-server: $schema={schema.FILE.as_uri()}\n{yamltext.dump(document_of(mesh))}"
    )
