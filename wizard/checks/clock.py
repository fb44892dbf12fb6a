"""Does its clock agree with this machine's? Certificates depend on it."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found, Severity
from wizard.clusters.clock import clock_offset

# Istio backdates the certificates of workloads by two minutes: a cluster further behind would refuse them.
CLOCK_ERROR = 60.0
CLOCK_WARNING = 10.0


def find(looked: Looked) -> Iterable[Found]:
    version = looked.version
    if version.date is None:
        yield Found("the API server does not tell its time", severity="warning")
        return
    offset = clock_offset(version)
    if offset is None or abs(offset) < CLOCK_WARNING:
        yield Found("its clock agrees with this machine's", severity="ok")
        return
    where = "ahead of" if offset > 0 else "behind"
    severity: Severity = "error" if abs(offset) >= CLOCK_ERROR else "warning"
    yield Found(
        f"its clock is {abs(offset):.0f} s {where} this machine's; certificates depend on it",
        "Turn on time synchronisation on its nodes, such as `timedatectl set-ntp true` or chrony, and on this machine.",
        severity=severity,
    )


CHECK = Check("clock", "versions", "error", find)
