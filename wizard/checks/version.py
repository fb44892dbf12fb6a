"""Does the Istio that is wanted run on this Kubernetes?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found, Severity
from wizard.istio.versions import kubernetes_trouble
from wizard.messages import msg


def find(looked: Looked) -> Iterable[Found]:
    mesh, version = looked.mesh, looked.version
    trouble = kubernetes_trouble(str(mesh.istio.version), version.minor)
    if trouble:
        severity: Severity = "error" if trouble[0] == "error" else "warning"
        yield Found(trouble[1], msg("Use an istioctl that goes with this Kubernetes."), severity=severity)


CHECK = Check("version", "versions", "error", find)
