"""Does it answer at all?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.messages import msg
from wizard.text import one_line


def find(looked: Looked) -> Iterable[Found]:
    # One that does not answer cannot be looked at: then this check's finding is why.
    server, version = one_line(looked.cluster.server), looked.version.git
    yield Found(msg("{server} answers, Kubernetes {version}", server=server, version=version), severity="ok")


CHECK = Check("reachable", "connection", "error", find)
