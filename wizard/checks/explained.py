"""What a verification tells when it knows why answers do not come."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.checks.finding import Finding
from wizard.engine.events import StepEvent


@dataclass(frozen=True, kw_only=True)
class Explained(StepEvent):
    """Why `cluster` does not hear `peers`, as far as the last look found it."""

    losable = True

    cluster: str
    peers: tuple[str, ...]
    finding: Finding
