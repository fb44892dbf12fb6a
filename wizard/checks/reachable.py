"""Does it answer at all?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.text import one_line


def find(looked: Looked) -> Iterable[Found]:
    # One that does not answer cannot be looked at: then this check's finding is why.
    yield Found(f"{one_line(looked.cluster.server)} answers, Kubernetes {looked.version.git}", severity="ok")


CHECK = Check("reachable", "connection", "error", find)
