"""Is a namespace that is needed being deleted? One that goes is waited for, one that cannot go never ends."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found, Severity
from wizard.clusters.kinds import NAMESPACE, Ref
from wizard.clusters.namespaces import going
from wizard.mesh.model import SYSTEM_NAMESPACE


def find(looked: Looked) -> Iterable[Found]:
    mesh, cluster = looked.mesh, looked.cluster
    for name in (SYSTEM_NAMESPACE, mesh.verify.namespace):
        ending = going(cluster.get(Ref(NAMESPACE, name)))
        if ending:
            severity: Severity = "error" if ending.stuck else "warning"
            yield Found(ending.what, ending.remedy, severity=severity)


CHECK = Check("namespace", "cluster", "error", find, optional=True)
