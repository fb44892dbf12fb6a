"""The rights that the work needs."""

from __future__ import annotations

from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    JOB,
    LEASE,
    MUTATING_WEBHOOK,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
)
from wizard.clusters.port import Right
from wizard.mesh.model import SYSTEM_NAMESPACE

RIGHTS: tuple[Right, ...] = (
    *(Right("create", kind) for kind in (NAMESPACE, CRD, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, MUTATING_WEBHOOK)),
    *(Right("patch", kind) for kind in (NAMESPACE, CRD, CLUSTER_ROLE)),
    *(
        Right(verb, kind, SYSTEM_NAMESPACE)
        for kind in (SECRET, CONFIG_MAP, SERVICE, SERVICE_ACCOUNT, DEPLOYMENT)
        for verb in ("create", "patch")
    ),
    *(Right(verb, JOB, SYSTEM_NAMESPACE) for verb in ("create", "patch", "delete")),
    Right("delete", POD, SYSTEM_NAMESPACE),
    Right("list", POD),
    Right("list", NODE),
    # A command is run over a websocket, which is a GET; Kubernetes 1.35 and later ask for `create` as well.
    Right("get", POD, subresource="exec"),
    Right("create", POD, subresource="exec"),
)

# With these, runs on other machines are kept out; without, a mesh can be made all the same.
LEASE_RIGHTS = tuple(Right(verb, LEASE, "kube-system") for verb in ("create", "get", "update", "delete"))
