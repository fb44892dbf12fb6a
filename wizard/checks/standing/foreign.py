"""Fields of objects that anybody may have written, whatever they hold: what is not of the kind that is wanted is left out."""

from __future__ import annotations

from typing import Any

from wizard.clusters.kinds import Object

_DIGITS = 9


def mapping(value: Any) -> Object:
    """The mapping, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: Any) -> list[Object]:
    """The mappings in a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The texts in a list."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def number(value: Any) -> int | None:
    """The whole number, also one written as text, as protobuf takes it; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
