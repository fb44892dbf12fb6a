"""What a Pod's manifest tells."""

from __future__ import annotations

from wizard.clusters.kinds import Object


def containers(pod: Object) -> list[Object]:
    """All containers of a Pod; those that come first in its start come first."""
    return [*(pod["spec"].get("initContainers") or []), *(pod["spec"].get("containers") or [])]


def is_ready(pod: Object) -> bool:
    """Whether the Pod's Ready condition is True."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
