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
    AUTOSCALER,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ISTIO_GATEWAY,
    JOB,
    LEASE,
    MUTATING_WEBHOOK,
    NAMESPACE,
    NODE,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Object,
    Ref,
)
from wizard.clusters.kubeconfig_read import default_files
from wizard.clusters.namespaces import going
from wizard.clusters.nodeports import preferred, spelled
from wizard.clusters.nodes import addresses_to_rely_on, all_addresses, is_ready
from wizard.clusters.platform import is_openshift
from wizard.clusters.port import Cluster, Right, ServerVersion
from wizard.clusters.services import addresses_of, overlap, service_cidrs
from wizard.clusters.typed import kubectl
from wizard.clusters.webhooks import Made, orphans
from wizard.errors import Failed, NotAllowed, Trouble, Unreachable
from wizard.istio import names
from wizard.istio.overlaid import overlaid
from wizard.istio.proxies import control_plane_version
from wizard.istio.versions import NEWEST, is_newer, kubernetes_trouble, proven, step_trouble
from wizard.mesh import model
from wizard.mesh.addresses import address_of, canonical
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, SYSTEM_NAMESPACE, Mesh
from wizard.mesh.tolerations import Toleration, untolerated
from wizard.owners import changeable
from wizard.registered import strangers
from wizard.text import listing, one_line, quoted
from wizard.world import World

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
    Right("delete", POD, SYSTEM_NAMESPACE),
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

    # A stable name: reachable, verified, identity, owners, version, clock, rights, leases, nodes, gateway-address, gateway-
    # node, gateway-port, external-ips, load-balancer, services, pods, istio, namespace, webhook, platform, remote-secrets,
    # settled.
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
            *_verified(member, cluster),
            *_twice(mesh, member, world, identity),
            *_owners(mesh, member, world),
            *_version(mesh, member, version),
            *_step(mesh, member, cluster),
            *_clock(member, version),
            *_rights(member, cluster),
            *(_gateway(member, cluster) if mesh.has_gateway(member.name) else ()),
            *_routes(mesh, member, cluster),
            *_pods(mesh, member, world),
            *_if_allowed(_namespaces(mesh, member, cluster)),
            *_if_allowed(_webhooks(mesh, member, cluster)),
            *_if_allowed(_platform(mesh, member, cluster)),
            *_room(mesh, member, cluster),
            *_registered(mesh, member, cluster),
        ]
    except Trouble as trouble:
        return [Finding("reachable", member.name, "error", trouble.what, trouble.remedy)]


def _verified(member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    if not cluster.verified:
        yield Finding(
            "verified", member.name, "warning",
            f"the certificate of its API server is not verified (insecure-skip-tls-verify, context {one_line(member.context)}): "
            "whoever stands in between gets the credentials and keys that are sent there",
            "Put its certificate authority into the kubeconfig instead (certificate-authority-data); "
            f"to change something there all the same, consent with --unverified {quoted(member.name)}.",
        )  # fmt: skip


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


def _step(mesh: Mesh, member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    trouble = step_trouble(control_plane_version(cluster, mesh), str(mesh.istio.version))
    if trouble:
        remedy = "Give another istioctl with --istioctl, or consent to it: meshwizard apply with --version-step."
        yield Finding("istio", member.name, "warning", trouble, remedy)


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
            yield from _of_a_node(member, cluster, "gateway-address", "gateway address", member.gateway.addresses)
            yield from _node_port(member, services)
        case "external-ips":
            yield from _of_a_node(member, cluster, "gateway-address", "gateway address", member.gateway.addresses)
            yield from _external_ips(member, cluster, services)
        case "cluster-ip-route":
            node = (member.gateway.node,) if member.gateway.node else ()
            yield from _of_a_node(member, cluster, "gateway-node", "gateway node", node)
            yield from _cluster_ip(member, services)
        case "load-balancer" if member.gateway.labelled:
            yield from _load_balancer(member, services)


def _of_a_node(
    member: model.Cluster, cluster: Cluster, check: str, what: str, addresses: Sequence[str]
) -> Iterable[Finding]:
    nodes = cluster.objects(NODE)
    of_any, answering = all_addresses(nodes), addresses_to_rely_on(nodes)
    for address in addresses if answering else ():
        if canonical(address) not in of_any:
            yield Finding(
                check, member.name, "warning", f"{what} {address} is no node's address ({listing(map(one_line, answering))})",
                "That is right only where something forwards it to a node.",
            )  # fmt: skip
        elif canonical(address) not in all_addresses(node for node in nodes if is_ready(node)):
            yield Finding(
                check, member.name, "warning", f"{what} {address} is that of a node that is not Ready",
                f"Look at it: {kubectl(member)} get nodes -o wide. Or choose another, such as {one_line(answering[0])}.",
            )  # fmt: skip


def _node_port(member: model.Cluster, services: Sequence[Object]) -> Iterable[Finding]:
    taken = _node_ports(services).get(member.gateway.port or 0)
    if taken:
        yield Finding(
            "gateway-port", member.name, "error", f"NodePort {member.gateway.port} is taken by {taken}",
            "Choose another in gateway.port, or leave it out so that a free one is found.", person=True,
        )  # fmt: skip


def out_of_range(member: model.Cluster, cluster: Cluster, ports: range) -> Iterable[Finding]:
    """Whether the API server has the NodePort that is wanted. `ports`: those that it gives."""
    wanted = member.gateway.port
    if wanted is None or wanted in ports:
        return
    taken = used_node_ports(cluster)
    free = next((port for port in preferred(ports) if port not in taken), None)
    yield Finding(
        "gateway-port", member.name, "error",
        f"NodePort {wanted} is none of those that the API server of {member.name} gives, {spelled(ports)}",
        f"Set gateway.port of {member.name} to one of them" + (f", such as {free}." if free else "."), person=True,
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
        "spec": {"externalIPs": list(member.gateway.addresses), "ports": [{"port": GATEWAY_TLS_PORT}]},
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
    own = _PodAddresses.of(world.cluster(member.name)) if near else _PodAddresses(frozenset(), ())
    for other in near:
        try:
            theirs = _PodAddresses.of(world.cluster(other.name))
        except Trouble:
            continue  # its own finding tells
        both = f"{member.name} and {other.name} share network {one_line(member.network)}, but"
        cure = "Give them different networks, so that they reach each other through gateways."
        same = sorted(own.used & theirs.used)
        if same:
            more = f" and {len(same) - 3} more" if len(same) > 3 else ""
            text = f"{both} Pods of both have the same addresses: {', '.join(same[:3])}{more}"
            yield Finding("pods", member.name, "error", text, cure)
            continue
        ranges = [(one, two) for one in own.in_use() for two in theirs.in_use() if overlap(one, two)]
        if ranges:
            text = (
                f"{both} their nodes give Pods addresses of the same range: {ranges[0][0]} and {ranges[0][1]} overlap"
            )
            yield Finding("pods", member.name, "warning", text, cure)


@dataclass(frozen=True)
class _PodAddresses:
    """The addresses that Pods of a cluster have, and the ranges that its nodes were given for them."""

    used: frozenset[str]
    ranges: tuple[str, ...]

    @classmethod
    def of(cls, cluster: Cluster) -> _PodAddresses:
        return cls(pod_addresses(cluster), tuple(pod_ranges(cluster)))

    def in_use(self) -> list[str]:
        """The ranges that Pods have addresses of: a network plugin with ranges of its own leaves those of the nodes alone.
        Where no Pod has an address yet nobody knows, and all may be.
        """
        return [each for each in self.ranges if not self.used or any(_is_in(address, each) for address in self.used)]


def _is_in(address: str, cidr: str) -> bool:
    found = address_of(address)
    return found is not None and found in ipaddress.ip_network(cidr)


def _room(mesh: Mesh, member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    ready = [node for node in cluster.objects(NODE) if is_ready(node)]
    if not ready:
        yield Finding(
            "nodes",
            member.name,
            "error",
            "no node is Ready",
            f"Look at them: {kubectl(member)} get nodes",
        )
        return
    # A Ready node loses these by itself, as soon as the node controller looks at it.
    passing = tuple(
        Toleration(key=f"node.kubernetes.io/{key}", operator="Exists") for key in ("not-ready", "unreachable")
    )
    keeping = [untolerated(node, (*mesh.tolerations, *passing)) for node in ready]
    if all(keeping):
        taints = listing(dict.fromkeys(one_line(taint, 200) for taints in keeping for taint in taints))
        yield Finding(
            "nodes", member.name, "error", f"no Pod can run: every Ready node has a taint that nothing tolerates: {taints}",
            f"Say in tolerations of the mesh file what our Pods tolerate, or take a taint away: {kubectl(member)} taint nodes "
            "NODE KEY-",
        )  # fmt: skip


def _registered(mesh: Mesh, member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    """Whether istiod will be told of other clusters than those of the mesh."""
    if member.role != "primary":
        return
    names = {each.name for each in mesh.clusters}
    for each in strangers(mesh, member, cluster):
        secret = f"Secret {one_line(each.secret)} in {SYSTEM_NAMESPACE} (written by {each.by})"
        place = f"{kubectl(member)} -n {SYSTEM_NAMESPACE} delete secret {quoted(each.secret)}"
        if each.name in names:
            yield Finding(
                "remote-secrets", member.name, "error",
                f"{secret} registers cluster {one_line(each.name)} at {each.server}, a name of this mesh: istiod would use "
                "one of two",
                f"Give the cluster another name in the mesh file; or, if nobody needs that secret: {place}", person=True,
            )  # fmt: skip
        else:
            yield Finding(
                "remote-secrets", member.name, "warning",
                f"{secret} has istiod read cluster {one_line(each.name)} at {each.server}, which is none of this mesh",
                f"If that cluster is gone, istiod asks for it for ever: {place}",
            )  # fmt: skip


def _if_allowed(findings: Iterable[Finding]) -> Iterable[Finding]:
    """Those that may be looked for; what is not allowed and needed, `rights` tells."""
    try:
        yield from findings
    except NotAllowed:
        return


def _namespaces(mesh: Mesh, member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    """Whether a namespace that is needed is being deleted: one that goes is waited for, one that cannot go never ends."""
    for name in (SYSTEM_NAMESPACE, mesh.verify.namespace):
        ending = going(cluster.get(Ref(NAMESPACE, name)))
        if ending:
            severity: Severity = "error" if ending.stuck else "warning"
            yield Finding("namespace", member.name, severity, ending.what, ending.remedy)


def _webhooks(mesh: Mesh, member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    """Admission webhooks that nobody answers any more. That of our own istiod comes back with it."""
    ours = (SYSTEM_NAMESPACE, names.istiod_name(mesh))
    known: dict[tuple[str, str], bool] = {ours: False}

    def is_gone(service: tuple[str, str]) -> bool:
        if service not in known:
            known[service] = cluster.get(Ref(SERVICE, service[1], service[0])) is None
        return known[service]

    configurations = [*cluster.objects(VALIDATING_WEBHOOK), *cluster.objects(MUTATING_WEBHOOK)]
    for orphan in orphans(configurations, is_gone, list(_made(mesh, member, cluster)), _LABELS):
        kind = orphan.configuration.kind.kind
        text = f"{kind} {one_line(orphan.configuration.name)}: {orphan.told}"
        verb = "delete" if orphan.whole else "edit"
        remedy = (
            f"Where what it belonged to is gone for good: {kubectl(member)} {verb} {kind.lower()} "
            f"{quoted(orphan.configuration.name)}"
        )
        if orphan.refuses:
            text += f"; it makes the API server refuse what will be made here, such as {orphan.refuses}"
            yield Finding("webhook", member.name, "error", text, remedy, person=True)
        else:
            yield Finding("webhook", member.name, "warning", text, remedy)


# What the objects may carry that are made: a webhook may select by labels.
_LABELS: tuple[dict[str, str], ...] = (
    {},
    {"app": "istiod", "istio": "pilot"},
    {"app": GATEWAY_NAME, "istio": "eastwestgateway", "sidecar.istio.io/inject": "true"},
    {"app": "helloworld"},
    {"app": "curl"},
)


def _made(mesh: Mesh, member: model.Cluster, cluster: Cluster) -> Iterable[Made]:
    """What an install makes. Webhook configurations themselves are never asked about."""
    places = {
        SYSTEM_NAMESPACE: (_OF_INSTALL, {model.NETWORK_LABEL: member.network}),
        mesh.verify.namespace: (_OF_SAMPLE, names.injection_labels(mesh)),
    }
    for kind in (CRD, CLUSTER_ROLE, CLUSTER_ROLE_BINDING):
        yield Made(kind.resource, None)
    for name, (resources, wanted) in places.items():
        live = ((cluster.get(Ref(NAMESPACE, name)) or {}).get("metadata") or {}).get("labels") or {}
        labels = {"kubernetes.io/metadata.name": name, **live, **wanted}
        yield Made(NAMESPACE.resource, labels)
        for resource in resources:
            yield Made(resource, labels, f" in {name}")


_OF_SAMPLE = (*(kind.resource for kind in (SERVICE, DEPLOYMENT, POD)), "replicasets.apps")
_OF_INSTALL = (
    *(
        kind.resource
        for kind in (DEPLOYMENT, SERVICE, POD, JOB, SECRET, CONFIG_MAP, SERVICE_ACCOUNT, ROLE, ROLE_BINDING)
    ),
    *(kind.resource for kind in (AUTOSCALER, DISRUPTION_BUDGET, ISTIO_GATEWAY)),
    "replicasets.apps",
)


def _platform(mesh: Mesh, member: model.Cluster, cluster: Cluster) -> Iterable[Finding]:
    """OpenShift lets Pods run as users of its own choice only, and no Pod set up its own network: Istio must be told."""
    if not is_openshift(cluster):
        return
    wanted = (("values.global.platform", "openshift"), ("components.cni.enabled", True))
    lacking = [
        f"spec.{place}: {str(value).lower()}" for place, value in wanted if overlaid(mesh, member, place) != value
    ]
    if lacking:
        spec = "components: {cni: {enabled: true, namespace: kube-system}}, values: {global: {platform: openshift}}"
        yield Finding(
            "platform", member.name, "error",
            "this is OpenShift (it serves security.openshift.io), whose security context constraints refuse the users that "
            f"Istio's Pods run as by default: no file in istio.overlays sets {listing(lacking)}",
            "Name a file in istio.overlays that holds: {apiVersion: install.istio.io/v1alpha1, kind: IstioOperator, "
            f"spec: {{{spec}}}}}. An older Istio also needs there the values.cni of its own profile openshift.",
        )  # fmt: skip


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


def pod_addresses(cluster: Cluster) -> frozenset[str]:
    """The addresses that the cluster's Pods have, but those that have their node's."""
    found = set()
    for pod in cluster.objects(POD):
        status = pod.get("status") or {}
        if (pod.get("spec") or {}).get("hostNetwork") or status.get("phase") in ("Succeeded", "Failed"):
            continue
        listed = [each.get("ip") for each in status.get("podIPs") or []]
        found |= {canonical(str(text)) for text in (status.get("podIP"), *listed) if address_of(text)}
    return frozenset(found)


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
