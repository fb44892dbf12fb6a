"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Found:
    """One answer of a check. `person`: only a person can decide (exit code 3)."""

    severity: Severity
    text: str
    remedy: str = ""
    person: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding(Found):
    """The same, with whose it is. `check`: its id, which never changes; `cluster`: None where it is about the mesh."""

    check: str
    cluster: str | None
