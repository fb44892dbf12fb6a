"""Does its clock agree with this machine's? Certificates depend on it."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found, Severity
from wizard.clusters.clock import clock_offset
from wizard.messages import msg

# Istio backdates the certificates of workloads by two minutes: a cluster further behind would refuse them.
CLOCK_ERROR = 60.0
CLOCK_WARNING = 10.0


def find(looked: Looked) -> Iterable[Found]:
    version = looked.version
    if version.date is None:
        yield Found(msg("the API server does not tell its time"), severity="warning")
        return
    offset = clock_offset(version)
    if offset is None or abs(offset) < CLOCK_WARNING:
        yield Found(msg("its clock agrees with this machine's"), severity="ok")
        return
    seconds = abs(offset)
    severity: Severity = "error" if seconds >= CLOCK_ERROR else "warning"
    yield Found(
        msg("its clock is {seconds:.0f} s ahead of this machine's; certificates depend on it", seconds=seconds)
        if offset > 0
        else msg("its clock is {seconds:.0f} s behind this machine's; certificates depend on it", seconds=seconds),
        msg(
            "Turn on time synchronisation on its nodes, such as `timedatectl set-ntp true` or chrony, and on this machine."
        ),
        severity=severity,
    )


CHECK = Check("clock", "versions", "error", find)
