"""What a Pod's manifest tells."""

from __future__ import annotations

from wizard.clusters.kinds import Object


def containers(pod: Object) -> list[Object]:
    """All containers of a Pod; those that come first in its start come first."""
    return [*(pod["spec"].get("initContainers") or []), *(pod["spec"].get("containers") or [])]
