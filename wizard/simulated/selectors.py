"""Label selectors, as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from wizard.errors import Failed

_REQUIREMENT = re.compile(r"(?P<not>!?)\s*(?P<name>[\w./-]+)\s*(?:(?P<op>==|=|!=)\s*(?P<value>[\w.-]*))?")
_SET = re.compile(r"(?P<name>[\w./-]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")


@lru_cache(maxsize=1024)
def selector(text: str) -> Callable[[dict[str, str]], bool]:
    """A label selector (`a=b`, `a!=b`, `a`, `!a`, `a in (b,c)`, `a notin (b)`, with commas) as a test."""
    tests: list[tuple[str, bool, frozenset[str] | None]] = []  # name, whether wanted, values (None: any)
    for part in filter(None, (piece.strip() for piece in re.split(r",(?![^(]*\))", text))):
        if found := _SET.fullmatch(part):
            values = frozenset(value.strip() for value in found["values"].split(","))
            tests.append((found["name"], found["op"] == "in", values))
        elif found := _REQUIREMENT.fullmatch(part):
            one = None if found["op"] is None else frozenset([found["value"] or ""])
            tests.append((found["name"], not found["not"] and found["op"] != "!=", one))
        else:
            raise Failed(f'unable to parse requirement: found "{part}"', "")

    def matches(labels: dict[str, str]) -> bool:
        return all(
            (name in labels and (values is None or labels[name] in values)) is wanted for name, wanted, values in tests
        )

    return matches
