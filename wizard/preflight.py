"""Is this cluster fit for the mesh? Looked at before anything is touched; nothing is made."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    NAMESPACE,
    NODE,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Object,
    Ref,
)
from wizard.clusters.port import Cluster, Right, ServerVersion
from wizard.engine.step import World
from wizard.errors import Trouble
from wizard.istio.versions import kubernetes_trouble
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE, Mesh
from wizard.text import listing, one_line

# Istio backdates the certificates of workloads by two minutes: a cluster further behind would refuse them.
CLOCK_ERROR = 60.0
CLOCK_WARNING = 10.0

RIGHTS: tuple[Right, ...] = (
    *(Right("create", kind) for kind in (NAMESPACE, CRD, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, MUTATING_WEBHOOK)),
    *(Right("patch", kind) for kind in (NAMESPACE, CRD, CLUSTER_ROLE)),
    *(
        Right(verb, kind, SYSTEM_NAMESPACE)
        for kind in (SECRET, CONFIG_MAP, SERVICE, SERVICE_ACCOUNT, DEPLOYMENT)
        for verb in ("create", "patch")
    ),
    Right("list", POD),
    Right("list", NODE),
    # A command is run over a websocket, which is a GET; Kubernetes 1.35 and later ask for `create` as well.
    Right("get", POD, subresource="exec"),
    Right("create", POD, subresource="exec"),
)

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What one check found. `person`: only a person can decide (exit code 3)."""

    check: str  # a stable name: reachable, identity, version, rights, clock, gateway-address, gateway-port, api-server
    cluster: str | None
    severity: Severity
    text: str
    remedy: str = ""
    person: bool = False


def check(mesh: Mesh, world: World) -> list[Finding]:
    """Every finding of every cluster, in the mesh's order."""
    return [finding for cluster in mesh.clusters for finding in check_cluster(mesh, cluster, world)]


def check_cluster(mesh: Mesh, member: model.Cluster, world: World) -> list[Finding]:
    """Every finding of one cluster. A cluster that does not answer gives one finding that says so."""
    cluster = world.cluster(member.name)
    try:
        version = cluster.version()
        identity = cluster.identity()
        return [
            Finding("reachable", member.name, "ok", f"{one_line(cluster.server)} answers, Kubernetes {version.git}"),
            *_twice(mesh, member, world, identity),
            *_version(mesh, member, version),
            *_clock(member, version),
            *_rights(member, cluster),
            *_gateway(member, cluster),
            *_room(member, cluster),
        ]
    except Trouble as trouble:
        return [Finding("reachable", member.name, "error", trouble.what, trouble.remedy)]


def _twice(mesh: Mesh, member: model.Cluster, world: World, identity: str) -> Iterable[Finding]:
    for other in mesh.clusters[: [each.name for each in mesh.clusters].index(member.name)]:
        try:
            same = world.cluster(other.name).identity() == identity
        except Trouble:
            continue  # its own finding tells
        if same:
            yield Finding(
                "identity", member.name, "error", f"{member.name} and {other.name} are one cluster under two contexts",
                "Take one of them out of the mesh.",
            )  # fmt: skip


def _version(mesh: Mesh, member: model.Cluster, version: ServerVersion) -> Iterable[Finding]:
    trouble = kubernetes_trouble(str(mesh.istio.version), version.minor)
    if trouble:
        severity: Severity = "error" if trouble[0] == "error" else "warning"
        yield Finding("version", member.name, severity, trouble[1], "Use an istioctl that goes with this Kubernetes.")


def _clock(member: model.Cluster, version: ServerVersion) -> Iterable[Finding]:
    if version.date is None:
        yield Finding("clock", member.name, "warning", "the API server does not tell its time")
        return
    offset = clock_offset(version)
    if offset is None or abs(offset) < CLOCK_WARNING:
        yield Finding("clock", member.name, "ok", "its clock agrees with this machine's")
        return
    where = "ahead of" if offset > 0 else "behind"
    severity: Severity = "error" if abs(offset) >= CLOCK_ERROR else "warning"
    yield Finding(
        "clock", member.name, severity, f"its clock is {abs(offset):.0f} s {where} this machine's; certificates depend on it",
        "Turn on time synchronisation on its nodes, such as `timedatectl set-ntp true` or chrony, and on this machine.",
    )  # fmt: skip


def clock_offset(version: ServerVersion) -> float | None:
    """Seconds that the cluster's clock is ahead of this machine's; its own uncertainty (about a second) taken off."""
    if version.date is None:
        return None
    offset = (version.date - datetime.now(UTC)).total_seconds()
    uncertain = 1.0 + version.round_trip
    return 0.0 if abs(offset) <= uncertain else offset


def _rights(member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    denied = cluster.denied(RIGHTS)
    if denied:
        yield Finding(
            "rights", member.name, "error", f"context {one_line(member.context)} may not {listing(map(str, denied[:4]))}"
            + (f", and {len(denied) - 4} more" if len(denied) > 4 else ""),
            "Installing Istio needs a cluster administrator's context.",
        )  # fmt: skip
    else:
        yield Finding("rights", member.name, "ok", "the context may do all that is needed")


def _gateway(member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    addresses = node_addresses(cluster)
    if member.gateway.address and addresses and member.gateway.address not in addresses:
        yield Finding(
            "gateway-address", member.name, "warning",
            f"gateway address {member.gateway.address} is no node's address ({listing(addresses)})",
            "That is right only where something forwards it to a node.",
        )  # fmt: skip
    taken = used_node_ports(cluster).get(member.gateway.port or 0)
    if taken:
        yield Finding(
            "gateway-port", member.name, "error", f"NodePort {member.gateway.port} is taken by {taken}",
            "Choose another in gateway.port, or leave it out so that a free one is found.", person=True,
        )  # fmt: skip


def _room(member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    ready = [node for node in cluster.objects(NODE) if is_ready(node)]
    if not ready:
        yield Finding(
            "nodes",
            member.name,
            "error",
            "no node is Ready",
            f"Look at them: kubectl --context {shlex.quote(member.context)} get nodes",
        )


def node_addresses(cluster: Cluster) -> list[str]:
    """The InternalIPs of the cluster's ready nodes, in the API server's order."""
    return [
        str(address["address"])
        for node in cluster.objects(NODE)
        if is_ready(node)
        for address in (node.get("status") or {}).get("addresses") or []
        if address.get("type") == "InternalIP"
    ]


def is_ready(node: Object) -> bool:
    """Whether the node's Ready condition is True."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def used_node_ports(cluster: Cluster) -> dict[int, str]:
    """NodePort → the Service that has it, without our own gateway."""
    used = {}
    gateway = Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE)
    for service in cluster.objects(SERVICE):
        name, namespace = service["metadata"]["name"], service["metadata"].get("namespace", "")
        if (name, namespace) == (gateway.name, gateway.namespace):
            continue
        for port in (service.get("spec") or {}).get("ports") or []:
            if port.get("nodePort"):
                used[int(port["nodePort"])] = one_line(f"Service {name} in {namespace}")
    return used
