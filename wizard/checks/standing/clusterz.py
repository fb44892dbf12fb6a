"""What istiod itself says of the clusters that it reads, replica by replica: its page `/debug/clusterz`."""

from __future__ import annotations

from collections.abc import Mapping

from wizard.checks.standing.istiods import version_of
from wizard.checks.standing.view import Here
from wizard.clusters.shapes import Shape
from wizard.istio.versions import minor_of

PAGE = "/debug/clusterz"
SYNCED, SYNCING, TIMED_OUT, CLOSED = "synced", "syncing", "timeout", "closed"
_SINCE = (1, 11)
_SHAPE: Shape = [{"id!": str, "secretName": str, "syncStatus": str}]


def clusterz(here: Here) -> Mapping[str, Mapping[str, str]]:
    """Pod of istiod → name of a cluster → how far it has read it. Empty where no istiod is ready, or it is too old to tell."""
    if (minor_of(version_of(here)) or _SINCE) < _SINCE:
        return {}
    pages = here.istiod_pages(PAGE, _SHAPE)
    return {pod: {each["id"]: each.get("syncStatus", "") for each in page} for pod, page in pages}


def is_read(here: Here, name: str) -> bool:
    """Whether every istiod here says that it has read the cluster of that name."""
    told = clusterz(here)
    return bool(told) and all(clusters.get(name) == SYNCED for clusters in told.values())
