"""Text for people: a code and its values, put into words of their language where they read it.

It stands here because what the state refuses is told with it too, and this package builds on no other.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any


class Message(str):
    """A sentence, or a part of one. Its `code` is the English text with the names of its `values` in braces, as gettext has it;
    as a string it is that text with the values in their places, which is what logs, state and JSON get. A front end shows it in
    the person's language (`wizard.messages.catalogue.rendered`). Values may be messages themselves; only what keeps the pieces
    apart keeps the language open, so a message is put into another as a value, or `joined`, and never into an f-string.
    """

    code: str
    values: Mapping[str, Any]
    many: str
    """The code where the value `count` is not 1; empty where there is no such value."""
    limit: int
    """So many characters are shown at most, in any language; 0: all."""

    def __new__(cls, code: str, values: Mapping[str, Any], many: str = "", limit: int = 0) -> Message:
        """`code`, `many`: with `{name}` or `{name:.1f}` for a value, and `{{` for a brace. KeyError where a value is missing."""
        told = super().__new__(cls, cut(chosen(code, many, values).format(**values), limit))
        told.code, told.values, told.many, told.limit = code, values, many, limit
        return told

    def mapped(self, change: Callable[[str], str], limit: int, *, one_line: bool = False) -> Message:
        """The same with every value but numbers as a text that was changed, and at most so many characters. `one_line`: blanks
        keep the parts of a `joined` one apart.
        """
        values = {
            name: value if isinstance(value, int | float) else change(value if isinstance(value, str) else str(value))
            for name, value in self.values.items()
        }
        code = self.code if not one_line or is_worded(self.code) else " ".join(self.code.split())
        return Message(code, values, self.many, min(limit, self.limit) if self.limit else limit)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.code, self.values, self.many, self.limit

    def __deepcopy__(self, memo: object) -> Message:
        return self


def msg(code: str, /, **values: Any) -> Message:
    """A message: `msg("{cluster} does not answer", cluster=name)`."""
    return Message(code, values)


def counted(one: str, many: str, count: int, /, **values: Any) -> Message:
    """A message about a number of things, `one` where it is 1: `counted("{count} step", "{count} steps", n)`."""
    return Message(one, {"count": count, **values}, many)


def joined(parts: Iterable[str], separator: str = "\n") -> str:
    """These texts one after the other, as one that stays open to every language. Empty ones are left out."""
    kept = [part for part in parts if part]
    if not any(isinstance(part, Message) for part in kept):
        return separator.join(kept)
    if len(kept) == 1:
        return kept[0]
    names = [f"part{number}" for number in range(len(kept))]
    code = _literal(separator).join(f"{{{name}}}" for name in names)
    return Message(code, dict(zip(names, kept, strict=True)))


def chosen(one: str, many: str, values: Mapping[str, Any]) -> str:
    """Which of the two codes these values ask for in English."""
    return many if many and values["count"] != 1 else one


def cut(text: str, limit: int) -> str:
    """The text with a mark where more than so many characters were cut off; 0: none is."""
    return text if not limit or len(text) <= limit else text[: limit - 1] + "…"


def is_worded(code: str) -> bool:
    """Whether there is anything to translate in it."""
    return any(any(map(str.isalpha, text)) for text, *_ in string.Formatter().parse(code))


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
