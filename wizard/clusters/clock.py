"""How far a cluster's clock is from this machine's."""

from __future__ import annotations

from datetime import UTC, datetime

from wizard.clusters.port import ServerVersion


def clock_offset(version: ServerVersion) -> float | None:
    """Seconds that the cluster's clock is ahead of this machine's; its own uncertainty (about a second) taken off."""
    if version.date is None:
        return None
    offset = (version.date - datetime.now(UTC)).total_seconds()
    uncertain = 1.0 + version.round_trip
    return 0.0 if abs(offset) <= uncertain else offset
