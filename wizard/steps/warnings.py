"""What Kubernetes warns of in its events."""

from __future__ import annotations

from wizard.clusters.kinds import EVENT, Ref
from wizard.clusters.port import Cluster
from wizard.errors import Failed
from wizard.text import one_line


def latest_warning(cluster: Cluster, ref: Ref) -> str:
    """The latest warning about this object; empty where there is none, or events may not be read."""
    try:
        events = cluster.objects(EVENT, ref.namespace)
    except Failed:
        return ""
    told = []
    for event in events:
        about = event.get("involvedObject") or {}
        if event.get("type") == "Warning" and (about.get("kind"), about.get("name")) == (ref.kind.kind, ref.name):
            told.append((str(event.get("lastTimestamp") or event.get("eventTime") or ""), event.get("message", "")))
    return one_line(max(told)[1]) if told else ""
