"""client-go's rules for the text of one kubeconfig: what it says, each field with its type, or why kubectl and istioctl would not
load the file, with the line.

kubectl makes JSON of the YAML first, by rules of its own about which bare words are numbers and truth values, then reads the JSON
into Go types: what it does not know is ignored, what has another type is refused, and with it the whole file. Also refused here
is what it would silently lose: the first of two equal keys, all documents but the first.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from wizard import yamltext
from wizard.clusters.yamllines import TABLES, Lines, Path, line_of, lines_in
from wizard.errors import Mistake
from wizard.messages import msg
from wizard.text import one_line

Item = dict[str, Any]


@dataclass(frozen=True)
class Content:
    """What one file names, by name: fields as client-go types them, none of them null; unknown ones as they are."""

    contexts: Mapping[str, Item] = field(default_factory=dict)
    clusters: Mapping[str, Item] = field(default_factory=dict)
    users: Mapping[str, Item] = field(default_factory=dict)
    current: str = ""
    lines: Mapping[tuple[str, str], Lines] = field(default_factory=dict)  # (table, name) → where its fields stand


class Unloadable(Exception):
    """Nothing of the file can be used. `names`: the contexts that it seems to hold all the same."""

    def __init__(self, mistakes: list[Mistake], names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.mistakes = tuple(mistakes)
        self.names = names


def loaded(raw: bytes) -> Content:
    """What this text says. Raises Unloadable."""
    root = _composed(raw)
    if root is None:
        return Content()
    try:
        data = _Plain().value(root)
    except _Refused as refused:
        raise Unloadable([Mistake("", refused.why, refused.line)]) from refused
    if data is None:
        return Content()
    mistakes: list[Mistake] = []
    checked = _Check(root, mistakes)(data, _CONFIG, ())
    if mistakes:
        raise Unloadable(mistakes, tuple(_names(data)))
    tables = {table: {str(entry["name"]): entry.get(one) or {} for entry in checked.get(table) or ()}
              for table, one in TABLES.items()}  # fmt: skip
    return Content(**tables, current=checked.get("current-context") or "", lines=lines_in(root))


# -- YAML as Go reads it

_STR = "tag:yaml.org,2002:str"
_TRUTH = dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True) | dict.fromkeys(
    ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
)
_WORDS: Mapping[str, bool | None] = {**_TRUTH, **dict.fromkeys(("", "~", "null", "Null", "NULL"))}
_NO_JSON = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_FIRST = frozenset("yYnNtTfFoO~+-.0123456789")  # what begins with another character is text
_INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


class _Unresolved(yamltext.Loader):
    """Leaves it open what a bare word is."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """The tag of a node that names none."""
        if kind is yaml.ScalarNode:
            return "" if implicit[0] else _STR
        return ""


def _composed(raw: bytes) -> yaml.Node | None:
    try:
        found: yaml.Node | None = yaml.compose(raw, Loader=_Unresolved)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or msg("it is no text, or nested too deeply")
        if isinstance(error, yaml.composer.ComposerError) and "single document" in str(error.context):
            why = msg("there is a second document, which kubectl would leave out")
        text = msg("no YAML: {reason}", reason=one_line(why))
        raise Unloadable([Mistake("", text, mark.line + 1 if mark else None)]) from error
    return found


class _Refused(Exception):
    def __init__(self, node: yaml.Node, why: str) -> None:
        super().__init__()
        self.why = why
        self.line = node.start_mark.line + 1


class _Plain:
    """Values of nodes. What is shared by an alias is made anew for each, and counted each time it is met."""

    def __init__(self) -> None:
        self._met = 0
        self._above: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        self._met += 1
        if self._met > yamltext.MOST:
            raise _Refused(node, msg("more than {most} values, those of aliases counted each time", most=yamltext.MOST))
        if isinstance(node, yaml.ScalarNode):
            return scalar(node)
        if node.tag:
            raise _tagged(node)
        if id(node) in self._above:
            raise _Refused(node, msg("an alias within its own anchor"))
        self._above.add(id(node))
        made = self._mapping(node) if isinstance(node, yaml.MappingNode) else [self.value(each) for each in node.value]
        self._above.discard(id(node))
        return made

    def _mapping(self, node: yaml.MappingNode) -> Item:
        made: Item = {}
        own: set[str] = set()
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value == "<<" and key_node.tag == "":
                if not isinstance(value_node, yaml.MappingNode):
                    raise _Refused(key_node, msg("what << brings in must be one mapping"))
                made.update(self.value(value_node))  # as in Go: what comes later in the text counts
                continue
            key = _key(key_node)
            if key in own:
                why = msg("the key {key} stands twice, and kubectl would lose the first", key=one_line(key, 80))
                raise _Refused(key_node, why)
            own.add(key)
            made[key] = self.value(value_node)
        return made


def _tagged(node: yaml.Node) -> _Refused:
    return _Refused(node, msg("the tag {tag} means nothing in a kubeconfig", tag=one_line(node.tag, 60)))


def _key(node: yaml.Node) -> str:
    key = scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return str(key)
    if not isinstance(key, str):
        raise _Refused(node, msg("a key must be text"))
    return key


def scalar(node: yaml.ScalarNode) -> Any:
    """The value that Go makes of it. Raises _Refused for tags of YAML that nobody needs here."""
    text: str = node.value
    if node.tag == _STR:
        return text
    if node.tag:
        raise _tagged(node)
    if text and text[0] not in _FIRST:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NO_JSON.fullmatch(text):
        why = msg("{number} is a number that JSON does not have, and kubectl makes JSON of it first", number=text)
        raise _Refused(node, why)
    return _number(text)


def _number(text: str) -> int | float | str:
    bare = text if text[0] == "." else text.replace("_", "")
    if _INTEGER.fullmatch(bare) and len(bare) < 100:
        digits = bare.lstrip("+-").lower()
        base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2], 8 if digits[0] == "0" else 10)
        value = int(digits[2:] if base == 16 or digits[1:2] in {"b", "o"} else digits, base)
        value = -value if bare[0] == "-" else value
        return value if -(1 << 63) <= value < 1 << 64 else float(value)
    if _FLOAT.fullmatch(bare) and math.isfinite(number := float(bare)):  # what is too large for one stays text
        return number
    return text


# -- the types


def _names(data: Any) -> Iterator[str]:
    """The names of contexts in a file that is not to be loaded."""
    entries = data.get("contexts") if isinstance(data, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str):
            yield name


class _Bytes:
    """Text in base64."""


class _Map:
    """A mapping from any text to values of one shape."""

    def __init__(self, shape: Any) -> None:
        self.shape = shape


class _Named:
    """A list of mappings whose names differ. `nameless`: one may have none."""

    def __init__(self, shape: Any, *, nameless: bool = False) -> None:
        self.shape = shape
        self.nameless = nameless


_EXTENSIONS = _Named({"name": str}, nameless=True)
_EXEC = {
    "command": str, "args": [str], "env": [{"name": str, "value": str}], "apiVersion": str, "installHint": str,
    "provideClusterInfo": bool, "interactiveMode": str,
}  # fmt: skip
_USER = {
    "client-certificate": str, "client-certificate-data": _Bytes, "client-key": str, "client-key-data": _Bytes,
    "token": str, "tokenFile": str, "username": str, "password": str,
    "as": str, "as-uid": str, "as-groups": [str], "as-user-extra": _Map([str]),
    "auth-provider": {"name": str, "config": _Map(str)}, "exec": _EXEC, "extensions": _EXTENSIONS,
}  # fmt: skip
_CLUSTER = {
    "server": str, "tls-server-name": str, "insecure-skip-tls-verify": bool, "certificate-authority": str,
    "certificate-authority-data": _Bytes, "proxy-url": str, "disable-compression": bool, "extensions": _EXTENSIONS,
}  # fmt: skip
_CONFIG = {
    "apiVersion": str, "kind": str, "current-context": str, "extensions": _EXTENSIONS,
    "preferences": {"colors": bool, "extensions": _EXTENSIONS},
    "clusters": _Named({"name": str, "cluster": _CLUSTER}),
    "users": _Named({"name": str, "user": _USER}),
    "contexts": _Named({"name": str, "context": {"cluster": str, "user": str, "namespace": str, "extensions": _EXTENSIONS}}),
}  # fmt: skip
_EMPTY: Mapping[Any, Callable[[], Any]] = {str: str, bool: bool, _Bytes: str}
_KINDS = {str: msg("text"), bool: msg("true or false"), list: msg("a list"), dict: msg("a mapping")}
_FIXED = {("apiVersion",): "v1", ("kind",): "Config"}


class _Check:
    """Values as Go's types hold them: null is left out, and where it cannot be, it is the empty value."""

    def __init__(self, root: yaml.Node, mistakes: list[Mistake]) -> None:
        self._root = root
        self._mistakes = mistakes

    def __call__(self, value: Any, shape: Any, path: Path) -> Any:
        if isinstance(shape, _Named):
            return self._named(value, shape, path)
        if isinstance(shape, list):
            return [
                self._or_empty(each, shape[0], (*path, index)) for index, each in enumerate(self._as(list, value, path))
            ]
        if isinstance(shape, _Map):
            return {
                key: self._or_empty(each, shape.shape, (*path, key))
                for key, each in self._as(dict, value, path).items()
            }
        if isinstance(shape, dict):
            return self._struct(self._as(dict, value, path), shape, path)
        if shape is _Bytes:
            return self._bytes(self._as(str, value, path), path)
        if path in _FIXED and value not in ("", _FIXED[path]):
            self._wrong(path, msg("must be {value}", value=_FIXED[path]))
        return self._as(shape, value, path)

    def _as(self, kind: Any, value: Any, path: Path) -> Any:
        if isinstance(value, kind):
            return value
        if kind is str and isinstance(value, bool | int | float):
            self._wrong(path, msg("must be text, not {found}: put quotes around it", found=_told(value)))
        else:
            self._wrong(path, msg("must be {wanted}, not {found}", wanted=_KINDS[kind], found=_told(value)))
        return kind()

    def _or_empty(self, value: Any, shape: Any, path: Path) -> Any:
        if value is not None:
            return self(value, shape, path)
        empty = _EMPTY.get(shape) if isinstance(shape, type) else None
        return empty() if empty else [] if isinstance(shape, list) else {}

    def _struct(self, value: Item, shape: Mapping[str, Any], path: Path) -> Item:
        return {
            key: self(each, shape[key], (*path, key)) if key in shape else each
            for key, each in value.items()
            if each is not None or key not in shape
        }

    def _named(self, value: Any, shape: _Named, path: Path) -> list[Item]:
        names: set[str] = set()
        made = []
        for index, each in enumerate(self._as(list, value, path)):
            entry = self._or_empty(each, shape.shape, (*path, index))
            name = entry.get("name", "")
            if not name and not shape.nameless and not (isinstance(each, dict) and each.get("name")):
                self._wrong((*path, index), msg("must have a name"))
            elif name in names:
                self._wrong((*path, index), msg("the name {name} stands twice in this list", name=one_line(name, 120)))
            names.add(name)
            made.append(entry)
        return made

    def _bytes(self, text: str, path: Path) -> str:
        try:
            decoded(text)
        except ValueError:
            self._wrong(path, _no_base64(text))
        return text

    def _wrong(self, path: Path, why: str) -> None:
        self._mistakes.append(Mistake(_shown(path), why, line_of(self._root, path)))


def decoded(text: str) -> bytes:
    """What this base64 holds, read as Go reads it: line ends do not count, all else does, one padding too many as well. Raises
    ValueError.
    """
    folded = text.replace("\n", "").replace("\r", "")
    if not _BASE64.fullmatch(folded):  # Python's own reader takes padding behind what is complete
        raise ValueError("no base64")
    return base64.b64decode(folded)


def _no_base64(text: str) -> str:
    if text.lstrip().startswith("-----BEGIN"):
        return msg("holds PEM itself; it must be base64 of that, or a file named without -data")
    return msg("is no base64")


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return msg("a truth value")
    if isinstance(value, int | float):
        return msg("a number")
    if isinstance(value, str):
        return msg("text")
    if isinstance(value, list):
        return msg("a list")
    return msg("a mapping") if isinstance(value, dict) else msg("nothing")


def _shown(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{one_line(part, 80)}" if text else one_line(part, 80)
    return text
