"""What a question of the wizard is: where it stands in the mesh file and in the model, and what answers are right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from wizard.messages import msg
from wizard.paths import expanded

Value = str | int | list[Any] | dict[str, Any] | None
Kind = Literal["text", "texts", "choice", "integer", "path", "paths", "yaml"]
Scope = Literal["mesh", "cluster"]
_NO_PATH = msg("no path may hold a NUL character")


@dataclass(frozen=True)
class Choice:
    """One of the answers that a field takes, and how it is shown."""

    value: str
    title: str


@dataclass(frozen=True)
class Rule:
    """What an answer must be. `wrong` gives the sentence of what is wrong with one, or None. `schema` is what JSON Schema can say
    of that: it refuses nothing that `wrong` lets pass.
    """

    wrong: Callable[[Any], str | None]
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Held:
    """How the model holds what the document has as a list or mapping of its own kind. Both ways take what the other gives."""

    to_model: Callable[[Any], Any]
    to_document: Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """One question.

    `key`: its dotted path in the mesh file, below the document or below one cluster. `attribute`: where the model has the
    answer, a dotted path below `Mesh` or `Cluster`. `found`: left empty, it is found on the cluster. `rule`: of a text, of each
    of several, of a whole number's digits, of what a `yaml` field holds. `held`: of a `yaml` field.
    """

    key: str
    attribute: str
    title: str
    help: str
    scope: Scope = "mesh"
    kind: Kind = "text"
    default: Value = None
    required: bool = False
    found: bool = False
    choices: tuple[Choice, ...] = ()
    rule: Rule | None = None
    held: Held | None = None

    @property
    def flag(self) -> str:
        """Its spelling as a command line option: `istio.imagePullPolicy` → `--istio-image-pull-policy`."""
        return "--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", self.key).replace(".", "-").lower()

    def mistake(self, value: object) -> str | None:
        """What is wrong with this value, as a sentence, or None. Empty is wrong only where an answer is required."""
        if is_empty(value):
            return msg("an answer is required") if self.required else None
        if self.kind == "yaml":
            return self._wrong(value)
        if self.kind == "integer":
            if isinstance(value, bool) or not isinstance(value, int):
                return msg("must be a whole number, not {found}", found=_named(value))
            return self._wrong(str(value))
        if self.kind in ("paths", "texts"):
            if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
                if self.kind == "paths":
                    return msg("must be a list of file names, not {found}", found=_named(value))
                return msg("must be a list of texts, not {found}", found=_named(value))
            if self.kind == "paths":
                return _NO_PATH if any("\0" in item for item in value) else None
            return next((wrong for item in value if (wrong := self._wrong(item))), None)
        if not isinstance(value, str):
            return msg("must be text, not {found}", found=_named(value))
        if self.kind == "path" and "\0" in value:
            return _NO_PATH
        if self.kind == "choice":
            if any(choice.value == value for choice in self.choices):
                return None
            choices = ", ".join(choice.value for choice in self.choices)
            return msg("{value} is none of {choices}", value=repr(value), choices=choices)
        return self._wrong(value)

    def _wrong(self, value: object) -> str | None:
        return self.rule.wrong(value) if self.rule else None

    def parse(self, typed: str) -> Value:
        """What a person typed, as the value the mesh file holds. Text that does not fit stays text, so that
        `mistake` can say so.
        """
        typed = typed.strip()
        if not typed:
            return None
        if self.kind == "integer" and re.fullmatch(r"[0-9]{1,9}", typed):
            return int(typed)
        if self.kind in ("paths", "texts"):
            return [item.strip() for item in typed.split(",") if item.strip()]
        return _read(typed) if self.kind == "yaml" else typed

    def render(self, value: object) -> str:
        """The value as a person would type it."""
        if value is None:
            return ""
        if self.kind == "yaml":
            return json.dumps(value, ensure_ascii=False)
        return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)

    def to_model(self, value: Any, base: Path) -> Any:
        """What the model holds for this value of a document, in which nothing is wrong. Relative paths start at `base`."""
        if is_empty(value):
            value = self.default
        if self.held:
            return self.held.to_model(value or ())
        if self.kind == "path":
            return base / expanded(value) if value else None
        if self.kind == "paths":
            return tuple(base / expanded(name) for name in value or ())
        return tuple(value or ()) if self.kind == "texts" else value

    def to_document(self, whole: object) -> Value:
        """What a document holds for what the model has, in this `Mesh` or `Cluster`; None: the document has no such key."""
        value: Any = attrgetter(self.attribute)(whole)
        if self.held:
            return self.held.to_document(value) or None
        if self.kind == "path":
            return str(value) if value else None
        if self.kind in ("paths", "texts"):
            return [str(each) for each in value] or None
        return value  # type: ignore[no-any-return] # a text or a number, as the model declares it


def is_empty(value: object) -> bool:
    """Whether this value of a document is the same as none at all."""
    return value is None or value in ("", [], {})


def _read(typed: str) -> Value:
    import yaml  # takes longer than all the rest of a command's help

    from wizard import yamltext

    try:
        read = yamltext.load(typed)
    except (yaml.YAMLError, ValueError):
        return typed
    return read if isinstance(read, list | dict) else typed


def _named(value: object) -> str:
    if isinstance(value, bool):
        return msg("the truth value {value} (quote it to mean text)", value=str(value).lower())
    if isinstance(value, dict):
        return msg("a mapping")
    if isinstance(value, list):
        return msg("a list")
    if value is None:
        return msg("empty")
    if isinstance(value, int | float):
        return msg("the number {value} (quote it to mean text)", value=value)
    return f"{str(value)[:60]!r}"
