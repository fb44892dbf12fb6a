"""Whose Kubernetes it is, as far as what is made depends on that."""

from __future__ import annotations

from wizard.clusters.kinds import CRD, Ref
from wizard.clusters.port import Cluster

_CONSTRAINTS = Ref(CRD, "securitycontextconstraints.security.openshift.io")


def is_openshift(cluster: Cluster) -> bool:
    """Whether SecurityContextConstraints are served: they decide as which users Pods run, and refuse those that name others."""
    return cluster.get(_CONSTRAINTS) is not None
