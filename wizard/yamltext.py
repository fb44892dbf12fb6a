"""YAML as text: manifests in and out. libyaml where it is there, which is ten times faster than PyYAML's own code.

What is read may come from anywhere. Brackets without end make libyaml slow and then overflow its stack, which kills the process;
aliases within aliases make a few lines into more than any memory holds, once somebody walks through them.

What is written is read by Go programs, too, and each reader has its own idea of which bare words are numbers, dates and truth
values: a cluster named `7e12` or `n` must stay a name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import yaml

from wizard.messages import msg
from wizard.text import harmless

DEEPEST = 100  # levels; Istio's deepest manifest has some 40
MOST = 200_000  # values in a document, each counted as often as it is met
_READER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Loader(_READER):  # type: ignore[misc]
    """PyYAML's safe loader, which refuses what is nested too deeply while it reads."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = 0

    def descend_resolver(self, current_node: yaml.Node | None, current_index: Any) -> None:
        """Called before each node is read."""
        self._depth += 1
        if self._depth > DEEPEST:
            mark = current_node.start_mark if current_node else None
            raise yaml.MarkedYAMLError(None, None, msg("nested more than {limit} deep", limit=DEEPEST), mark)

    def ascend_resolver(self) -> None:
        """Called after it."""
        self._depth -= 1


# Words that a resolver of YAML 1.1 or 1.2, or Go's between them, takes for something else than text, whatever their case.
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"))
_BEGINNINGS = frozenset("0123456789+-.~=<")  # of all numbers, dates, times, `.inf`, `~`, `=`, `<<`


class _Plain(_BASE):  # type: ignore[misc]
    """Writes every value out: a reader who sees `*id001` in a manifest loses the thread. Text is quoted where any reader could
    take it for something else.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True


def is_doubtful(text: str) -> bool:
    """Whether some reader could take this text for something else where it stands without quotes."""
    return text[:1] in _BEGINNINGS or text.casefold() in _WORDS or text.strip() != text


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if is_doubtful(text) else None)


_Plain.add_representer(str, _text)
_Plain.add_multi_representer(str, _text)  # a message is a text


def load(text: str | bytes) -> Any:
    """The one document in this text. Raises yaml.YAMLError."""
    with _only_yaml_errors():
        return _bounded(yaml.load(text, Loader=Loader))  # noqa: S506 - a safe loader


def load_all(text: str | bytes) -> list[Any]:
    """Every document in this text. Raises yaml.YAMLError."""
    with _only_yaml_errors():
        return [_bounded(document) for document in yaml.load_all(text, Loader=Loader)]


def _bounded(document: Any) -> Any:
    """The document, if one can walk through it."""
    left, met = [document], 0
    while left:
        value = left.pop()
        met += 1
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
        if met > MOST:
            raise yaml.YAMLError(f"more than {MOST} values")
    return document


@contextlib.contextmanager
def _only_yaml_errors() -> Iterator[None]:
    """What comes from a cluster may hold a date that is none, text that cannot be encoded, brackets without end."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(f"it cannot be read: {type(error).__name__}") from error


def dump(*documents: Any) -> str:
    """These documents as YAML that reads back as the same, also in Go; keys in their order. Every string stays a string."""
    text = _dump(documents, True)
    # A terminal obeys these characters, a script is pasted with them, and a reader folds some of them: then all is escaped.
    return text if harmless(text) else _dump(documents, False)


def _dump(documents: tuple[Any, ...], allow_unicode: bool) -> str:
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, allow_unicode=allow_unicode, width=110)
