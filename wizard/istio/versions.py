"""Facts that depend on Istio's version. Kubernetes ranges: Istio's support table, and `MinK8SVersion` in its source."""

from __future__ import annotations

import re

SUPPORTED = ((1, 26), (1, 30))  # the istioctl minors this release drives
# Istio minor → (oldest Kubernetes minor its own code accepts, oldest and newest that Istio's project tests).
_KUBERNETES: dict[int, tuple[int, int, int]] = {
    26: (29, 29, 33),
    27: (29, 29, 33),
    28: (30, 30, 34),
    29: (30, 31, 35),
    30: (32, 32, 35),
}


def minor_of(version: str) -> tuple[int, int] | None:
    """(major, minor) of `1.29.1`, `v1.34.4` or `1.30-alpha.x`; None where there is none."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def unsupported(istio: str) -> str | None:
    """Why this release does not drive an istioctl of that version, or None."""
    minor = minor_of(istio)
    oldest, newest = SUPPORTED
    if minor is None:
        return f"{istio!r} is no version"
    if not oldest <= minor <= newest:
        return f"Istio {istio} is outside {oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}, which this release drives"
    return None


def kubernetes_trouble(istio: str, kubernetes_minor: int) -> tuple[str, str] | None:
    """(severity, sentence) where this Istio does not go with Kubernetes 1.x: `error` where Istio refuses, `warning`
    where nobody tests the pair; None where it does.
    """
    minor = minor_of(istio)
    if minor is None or minor[1] not in _KUBERNETES:
        return None
    floor, oldest, newest = _KUBERNETES[minor[1]]
    if kubernetes_minor < floor:
        return "error", f"Istio {istio} needs Kubernetes 1.{floor} or newer, this is 1.{kubernetes_minor}"
    if not oldest <= kubernetes_minor <= newest:
        return (
            "warning",
            f"Istio {istio} is tested on Kubernetes 1.{oldest} to 1.{newest}, this is 1.{kubernetes_minor}",
        )
    return None


def remote_runs_istiod(istio: str) -> bool:
    """Whether a remote of that version has an istiod of its own, for injection and as its CA."""
    minor = minor_of(istio)
    return minor is not None and minor <= (1, 14)
