"""What really happened, so that nobody believes in an empty run."""

from __future__ import annotations

from collections import Counter

happened: Counter[str] = Counter()
"""`kind:name` → how often, in this process."""


class Violation(AssertionError):
    """Something that must always hold did not."""


def count(what: str, times: int = 1) -> None:
    """It happened once more."""
    happened[what] += times
