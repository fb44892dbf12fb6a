"""What a verification tells while it listens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wizard.engine.events import StepEvent


@dataclass(frozen=True, kw_only=True)
class Answered(StepEvent):
    """Verification: what one cluster has heard so far. `counts`: version → answers; `missing`: versions not heard yet."""

    losable = True

    cluster: str
    counts: Mapping[str, int]
    missing: tuple[str, ...]
    errors: int
    last: str
