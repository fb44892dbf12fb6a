"""What Kubernetes warns of in its events."""

from __future__ import annotations

from dataclasses import dataclass

from wizard.clusters.kinds import EVENT, Ref
from wizard.clusters.port import Cluster
from wizard.errors import Failed
from wizard.text import one_line


@dataclass(frozen=True)
class Warned:
    """One warning. `at`: when it was given last, as the cluster writes times; `evidence`: differs each time it is given."""

    kind: str
    name: str
    reason: str
    message: str
    at: str
    evidence: str


def warnings(cluster: Cluster, namespace: str) -> list[Warned]:
    """All warnings in a namespace, the latest last; empty where events may not be read."""
    try:
        events = cluster.objects(EVENT, namespace)
    except Failed:
        return []
    told = []
    for event in events:
        if event.get("type") != "Warning":
            continue
        about, series = event.get("involvedObject") or {}, event.get("series") or {}
        at = str(
            series.get("lastObservedTime")
            or event.get("lastTimestamp")
            or event.get("eventTime")
            or event["metadata"].get("creationTimestamp")
            or ""
        )
        count = series.get("count") or event.get("count") or 1
        told.append(
            Warned(
                str(about.get("kind")), str(about.get("name")), str(event.get("reason")), one_line(event.get("message", ""), 900),
                at, f"{event['metadata'].get('name')} {count} {at}",
            )
        )  # fmt: skip
    return sorted(told, key=lambda each: each.at)


def latest_warning(cluster: Cluster, ref: Ref) -> str:
    """The latest warning about this object; empty where there is none, or events may not be read."""
    told = [
        each.message for each in warnings(cluster, ref.namespace) if (each.kind, each.name) == (ref.kind.kind, ref.name)
    ]
    return told[-1] if told else ""
