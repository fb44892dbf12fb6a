"""What is remembered about a mesh and its steps: plain frozen values."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["running", "done", "failed", "skipped", "undoing", "undone"]
EndStatus = Literal["done", "failed", "skipped", "undone"]

STATUSES = frozenset(("running", "done", "failed", "skipped", "undoing", "undone"))
END_STATUSES = frozenset(("done", "failed", "skipped", "undone"))
OPERATION = re.compile(r"[a-z][a-z-]{0,62}")  # what the program that works calls what it does


def now() -> str:
    """This moment as RFC 3339 in UTC, to the millisecond."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"


@dataclass(frozen=True)
class StepRecord:
    """How far one step came. "running" or "undoing" left over by a dead process means unknown: probe."""

    status: Status
    inputs: str  # hash of what the step wanted to make
    attempt: int  # 1 on the first begin; 0 where the step ended without ever beginning
    began: str  # RFC 3339 UTC
    ended: str | None = None
    detail: str = ""  # one short sentence; never foreign secrets
    extra: Mapping[str, Any] = field(default_factory=dict)  # fields of later releases, kept as they are


@dataclass(frozen=True)
class MeshState:
    """Everything remembered about one mesh, at one serial. A value: changing what is inside changes no file."""

    name: str
    lineage: str  # the same from the first record to `forget`
    serial: int  # grows by one with each write; 0 was never written
    created: str
    updated: str
    written_by: str  # program version
    operation: str  # apply, departure, uninstall, ...
    finished: bool  # the operation ended well
    document: Mapping[str, Any]  # the mesh document as resolved, plain JSON data
    payload: Mapping[str, Any]  # what the operation is about, e.g. the clusters that leave, plain JSON data
    options: Mapping[str, Any]  # what the run was told besides, e.g. {"istioctl": "/usr/bin/istioctl"}
    clusters: Mapping[str, Mapping[str, Any]]  # cluster name -> {"uid": kube-system UID, ...}
    steps: Mapping[str, StepRecord]
    extra: Mapping[str, Any] = field(default_factory=dict)  # fields of later releases, kept as they are


@dataclass(frozen=True)
class Unreadable:
    """Stands in a list of summaries for a mesh whose state cannot be read."""

    name: str
    what: str
    remedy: str
