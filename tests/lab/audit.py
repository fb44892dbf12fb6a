"""Reading API server audit logs: who asked for which change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_CHANGES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
# Created like objects but kept nowhere: questions about rights and identity.
_QUESTIONS = frozenset({"authorization.k8s.io", "authentication.k8s.io"})
# Connections into a pod: what is done through them changes the pod's inside at most, no object.
_STREAMS = frozenset({"exec", "attach", "portforward", "proxy"})


def mark(log: Path) -> int:
    """The end of the log as it is now."""
    return log.stat().st_size if log.exists() else 0


def since(log: Path, marker: int) -> list[dict[str, Any]]:
    """The entries after the marker, oldest first; an entry still being written is left for the next call."""
    # An entry is written when its response has been sent: a client that just got one is a moment ahead.
    time.sleep(0.2)
    if not log.exists():
        return []
    with log.open("rb") as data:
        data.seek(max(0, marker - 1))
        whole = data.read()
        # The marker may have been set while an entry was written: that one belongs to what was before.
        complete = (whole.partition(b"\n")[2] if marker else whole).rpartition(b"\n")[0]
    return [json.loads(line) for line in complete.splitlines()]


def is_dry_run(entry: dict[str, Any]) -> bool:
    """Whether the request only asked what would happen."""
    return "All" in parse_qs(urlsplit(str(entry.get("requestURI", ""))).query).get("dryRun", [])


def mutations(entries: Iterable[dict[str, Any]], user: str = "lab-admin") -> Iterator[dict[str, Any]]:
    """The entries by which `user` meant to change the cluster, successful or refused.

    Not counted: dry runs, reviews of rights and tokens, and streams into pods (exec, port-forward).
    """
    for entry in entries:
        target = entry.get("objectRef") or {}
        if entry.get("user", {}).get("username") != user or entry.get("verb") not in _CHANGES:
            continue
        review = target.get("apiGroup") in _QUESTIONS and str(target.get("resource", "")).endswith("reviews")
        if review or is_dry_run(entry) or target.get("subresource") in _STREAMS:
            continue
        yield entry


def describe(entry: dict[str, Any]) -> str:
    """One line about an entry, for the message of a failing test."""
    target = entry.get("objectRef") or {}
    # A namespace's own requests name it twice.
    keys = ["apiGroup", "resource", "subresource", "namespace", "name"]
    if target.get("resource") == "namespaces":
        keys.remove("namespace")
    parts = [target.get(key, "") for key in keys]
    code = (entry.get("responseStatus") or {}).get("code", "?")
    return f"{entry.get('verb')} {'/'.join(p for p in parts if p)} {code} by {entry.get('userAgent', '?')}"
