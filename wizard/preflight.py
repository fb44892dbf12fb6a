"""Is this cluster fit for the mesh? Looked at before anything is touched; nothing is made. What only the API server's
admission can tell is asked in a dry run, and only where no gateway of ours stands yet.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

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
    Object,
)
from wizard.clusters.kubeconfig import default_files
from wizard.clusters.port import Cluster, Right, ServerVersion
from wizard.clusters.services import addresses_of, overlap, service_cidrs
from wizard.clusters.typed import kubectl
from wizard.engine.step import World
from wizard.errors import Failed, Trouble, Unreachable
from wizard.istio.versions import NEWEST, is_newer, kubernetes_trouble, proven
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, SYSTEM_NAMESPACE, Mesh
from wizard.owners import changeable
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
    *(Right(verb, JOB, SYSTEM_NAMESPACE) for verb in ("create", "patch", "delete")),
    Right("list", POD),
    Right("list", NODE),
    # A command is run over a websocket, which is a GET; Kubernetes 1.35 and later ask for `create` as well.
    Right("get", POD, subresource="exec"),
    Right("create", POD, subresource="exec"),
)

# With these, runs on other machines are kept out; without, a mesh can be made all the same.
LEASE_RIGHTS = tuple(Right(verb, LEASE, "kube-system") for verb in ("create", "get", "update", "delete"))

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """What one check found. `person`: only a person can decide (exit code 3)."""

    # A stable name: reachable, identity, owners, version, clock, rights, leases, nodes, gateway-address, gateway-node,
    # gateway-port, external-ips, load-balancer, services, pods, istio.
    check: str
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
            *_owners(mesh, member, world),
            *_version(mesh, member, version),
            *_clock(member, version),
            *_rights(member, cluster),
            *(_gateway(member, cluster) if mesh.has_gateway(member.name) else ()),
            *_routes(mesh, member, cluster),
            *_pods(mesh, member, world),
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


def _owners(mesh: Mesh, member: model.Cluster, world: World) -> Iterable[Finding]:
    """Whether others could make this user run what they like: a kubeconfig may name commands."""
    files = [("kubeconfig", path) for path in _kubeconfigs(member, world)]
    if member.name == mesh.clusters[0].name:
        files.append(("istioctl", Path(world.istioctl.path)))
    for what, path in files:
        who = changeable(path)
        if who:
            yield Finding(
                "owners", member.name, "warning",
                f"the {what} {one_line(path)}, used as user {os.geteuid()}, can be changed by {who}",
                "Let only yourself or root write it and its folders (chmod go-w, chown).",
            )  # fmt: skip


def _kubeconfigs(member: model.Cluster, world: World) -> list[Path]:
    if member.kubeconfig is not None:
        return [member.kubeconfig]
    try:
        return [] if world.simulated else default_files()
    except Trouble:
        return []


def _version(mesh: Mesh, member: model.Cluster, version: ServerVersion) -> Iterable[Finding]:
    # Of the mesh, not of a cluster: told once.
    if member.name == mesh.clusters[0].name and not proven(str(mesh.istio.version)):
        why = "was not run on real clusters by this release's tests, only rendered"
        if is_newer(str(mesh.istio.version)):
            why = f"is newer than what this release of meshwizard knows, Istio {NEWEST[0]}.{NEWEST[1]}"
        what = f"Istio {mesh.istio.version} {why}"
        yield Finding("istio", member.name, "warning", what, "Try it on clusters that may break first.")
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
    lacking = cluster.denied((*RIGHTS, *LEASE_RIGHTS))
    unguarded = [right for right in lacking if right in LEASE_RIGHTS]
    if unguarded:
        yield Finding(
            "leases", member.name, "warning",
            f"context {one_line(member.context)} may not {listing(map(str, unguarded))}: runs on other machines are not kept out",
            "Ask for that right, or make sure that nobody else works on this mesh meanwhile.",
        )  # fmt: skip
    denied = [right for right in lacking if right not in LEASE_RIGHTS]
    if denied:
        yield Finding(
            "rights", member.name, "error", f"context {one_line(member.context)} may not {listing(map(str, denied[:4]))}"
            + (f", and {len(denied) - 4} more" if len(denied) > 4 else ""),
            "Installing Istio needs a cluster administrator's context.",
        )  # fmt: skip
    else:
        yield Finding("rights", member.name, "ok", "the context may do all that is needed")


def _gateway(member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    """Whether the gateway can be reached the way that its exposure says."""
    services = cluster.objects(SERVICE)
    match member.gateway.exposure:
        case "node-port":
            yield from _of_a_node(member, cluster, "gateway-address", "gateway address", member.gateway.address)
            yield from _node_port(member, services)
        case "external-ips":
            yield from _of_a_node(member, cluster, "gateway-address", "gateway address", member.gateway.address)
            yield from _external_ips(member, cluster, services)
        case "cluster-ip-route":
            yield from _of_a_node(member, cluster, "gateway-node", "gateway node", member.gateway.node)
            yield from _cluster_ip(member, services)
        case "load-balancer" if member.gateway.labelled:
            yield from _load_balancer(member, services)


def _of_a_node(
    member: model.Cluster, cluster: Cluster, check: str, what: str, address: str | None
) -> Iterable[Finding]:
    addresses = node_addresses(cluster)
    if address and addresses and address not in addresses:
        yield Finding(
            check, member.name, "warning", f"{what} {address} is no node's address ({listing(addresses)})",
            "That is right only where something forwards it to a node.",
        )  # fmt: skip


def _node_port(member: model.Cluster, services: Sequence[Object]) -> Iterable[Finding]:
    taken = _node_ports(services).get(member.gateway.port or 0)
    if taken:
        yield Finding(
            "gateway-port", member.name, "error", f"NodePort {member.gateway.port} is taken by {taken}",
            "Choose another in gateway.port, or leave it out so that a free one is found.", person=True,
        )  # fmt: skip


def _cluster_ip(member: model.Cluster, services: Sequence[Object]) -> Iterable[Finding]:
    for service in services:
        if not _is_gateway(service) and member.gateway.address in addresses_of(service):
            yield Finding(
                "gateway-address", member.name, "error", f"Service address {member.gateway.address} is taken by {_told(service)}",
                "Choose another in gateway.address, or leave it out so that a free one is found.", person=True,
            )  # fmt: skip


def _external_ips(member: model.Cluster, cluster: Cluster, services: Sequence[Object]) -> Iterable[Finding]:
    if member.gateway.address is None or any(map(_is_gateway, services)):
        return
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "meshwizard-external-ips", "namespace": "default"},
        "spec": {"externalIPs": [member.gateway.address], "ports": [{"port": GATEWAY_TLS_PORT}]},
    }
    try:
        cluster.apply(manifest, dry_run=True)
    except Unreachable:
        raise
    except Failed as refusal:
        yield Finding(
            "external-ips", member.name, "error", f"Services with externalIPs are refused here: {refusal.what}",
            f"Choose another gateway.exposure for {member.name}, or have it allowed: the admission plugin "
            "DenyServiceExternalIPs, or a policy, refuses it.",
        )  # fmt: skip


def _load_balancer(member: model.Cluster, services: Sequence[Object]) -> Iterable[Finding]:
    balanced = [service for service in services if (service.get("spec") or {}).get("type") == "LoadBalancer"]
    given = [
        service for service in balanced if ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    ]
    if not given:
        seen = (
            f"{len(balanced)} Services of type LoadBalancer, none with an address"
            if balanced
            else "none was asked so far"
        )
        yield Finding(
            "load-balancer", member.name, "warning",
            f"nothing shows that a load balancer gives addresses here: {seen}",
            f"Where there is none, choose another gateway.exposure for {member.name}; the install would wait in vain.",
        )  # fmt: skip


def _routes(mesh: Mesh, member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    """Whether addresses to be routed from here are this cluster's own."""
    targets = mesh.routed_from(member.name)
    if not targets or any(map(_is_gateway, cluster.objects(SERVICE, SYSTEM_NAMESPACE))):
        return
    own = [member.service_cidr] if member.service_cidr else service_cidrs(cluster)
    for target in targets:
        shared = next((cidr for cidr in own if overlap(cidr, target.service_cidr)), None)
        if shared:
            yield Finding(
                "services", member.name, "error",
                f"no route can lead to the Services of {target.name}: their addresses {target.service_cidr} overlap with "
                f"{member.name}'s own, {shared}",
                f"Choose another gateway.exposure for {target.name}, such as external-ips.",
            )  # fmt: skip


def _pods(mesh: Mesh, member: model.Cluster, world: World) -> Iterable[Finding]:
    """Whether clusters that share a network give the same addresses to their Pods. Each is compared with those before it."""
    before = itertools.takewhile(lambda each: each.name != member.name, mesh.clusters)
    near = [each for each in before if each.network == member.network]
    own = pod_ranges(world.cluster(member.name)) if near else []
    for other in near:
        try:
            theirs = pod_ranges(world.cluster(other.name))
        except Trouble:
            continue  # its own finding tells
        shared = next(((one, two) for one in own for two in theirs if overlap(one, two)), None)
        if shared:
            yield Finding(
                "pods", member.name, "error",
                f"{member.name} and {other.name} share network {one_line(member.network)}, but their Pods have the same "
                f"addresses: {shared[0]} and {shared[1]} overlap",
                "Give them different networks, so that they reach each other through gateways.",
            )  # fmt: skip


def _room(member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    ready = [node for node in cluster.objects(NODE) if is_ready(node)]
    if not ready:
        yield Finding(
            "nodes",
            member.name,
            "error",
            "no node is Ready",
            f"Look at them: {kubectl(member)} get nodes",
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


def pod_ranges(cluster: Cluster) -> list[str]:
    """The ranges that the nodes give to their Pods, joined where they adjoin. Empty where something else than Kubernetes
    gives addresses to Pods.
    """
    found: list[list[ipaddress.IPv4Network | ipaddress.IPv6Network]] = [[], []]
    for node in cluster.objects(NODE):
        spec = node.get("spec") or {}
        for cidr in spec.get("podCIDRs") or [spec.get("podCIDR")]:
            try:
                network = ipaddress.ip_network(str(cidr), strict=False)
            except ValueError:
                continue
            found[network.version == 6].append(network)
    return [str(network) for each in found for network in ipaddress.collapse_addresses(each)]  # type: ignore[type-var]


def used_node_ports(cluster: Cluster) -> dict[int, str]:
    """NodePort → the Service that has it, without our own gateway."""
    return _node_ports(cluster.objects(SERVICE))


def _node_ports(services: Iterable[Object]) -> dict[int, str]:
    return {
        int(port["nodePort"]): _told(service)
        for service in services
        if not _is_gateway(service)
        for port in (service.get("spec") or {}).get("ports") or []
        if port.get("nodePort")
    }


def _is_gateway(service: Object) -> bool:
    metadata = service["metadata"]
    return (metadata["name"], metadata.get("namespace", "")) == (GATEWAY_NAME, SYSTEM_NAMESPACE)


def _told(service: Object) -> str:
    return one_line(f"Service {service['metadata']['name']} in {service['metadata'].get('namespace', '')}")
