"""Does the Istio that is wanted run on this Kubernetes?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Finding, Severity
from wizard.istio.versions import kubernetes_trouble


def find(looked: Looked) -> Iterable[Finding]:
    mesh, member, version = looked.mesh, looked.member, looked.version
    trouble = kubernetes_trouble(str(mesh.istio.version), version.minor)
    if trouble:
        severity: Severity = "error" if trouble[0] == "error" else "warning"
        yield Finding("version", member.name, severity, trouble[1], "Use an istioctl that goes with this Kubernetes.")


CHECK = Check("version", "versions", find)
