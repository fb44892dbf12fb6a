"""YAML as text: manifests in and out. libyaml where it is there, which is ten times faster than PyYAML's own code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Plain(_BASE):  # type: ignore[misc]
    """Writes every value out: a reader who sees `*id001` in a manifest loses the thread."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def load(text: str | bytes) -> Any:
    """The one document in this text. Raises yaml.YAMLError."""
    with _only_yaml_errors():
        return yaml.load(text, Loader=LOADER)  # noqa: S506 - a safe loader


def load_all(text: str | bytes) -> list[Any]:
    """Every document in this text. Raises yaml.YAMLError."""
    with _only_yaml_errors():
        return list(yaml.load_all(text, Loader=LOADER))


@contextlib.contextmanager
def _only_yaml_errors() -> Iterator[None]:
    """What comes from a cluster may hold a date that is none, text that cannot be encoded, brackets without end."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(f"it cannot be read: {type(error).__name__}") from error


def dump(*documents: Any) -> str:
    """These documents as YAML that reads back as the same, keys in their order."""
    text = _dump(documents, True)
    # libyaml writes these line breaks bare, where a reader folds them into spaces.
    return _dump(documents, False) if any(mark in text for mark in "\x85\u2028\u2029") else text


def _dump(documents: tuple[Any, ...], allow_unicode: bool) -> str:
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, allow_unicode=allow_unicode, width=110)
