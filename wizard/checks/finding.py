"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What one check found. `check`: its id, which never changes; `cluster`: None where it is about the mesh; `person`: only a
    person can decide (exit code 3).
    """

    check: str
    cluster: str | None
    severity: Severity
    text: str
    remedy: str = ""
    person: bool = False
