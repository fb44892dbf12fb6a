"""Is this cluster fit for the mesh? Looked at before anything is touched; nothing is made. What only the API server's
admission can tell is asked in a dry run, and only where no gateway of ours stands yet.
"""

from __future__ import annotations

from wizard.checks import (
    clock,
    external_ips,
    gateway_address,
    gateway_node,
    gateway_port,
    identity,
    injector,
    istio,
    leases,
    load_balancer,
    namespace,
    nodes,
    owners,
    platform,
    pods,
    reachable,
    remote_secrets,
    rights,
    services,
    settled,
    verified,
    version,
    webhook,
)
from wizard.checks.check import Check, Looked
from wizard.checks.finding import Finding, Found
from wizard.clusters.port import Right
from wizard.errors import Trouble
from wizard.mesh import model
from wizard.mesh.model import Mesh
from wizard.world import World

CHECKS: tuple[Check, ...] = (
    reachable.CHECK,
    verified.CHECK,
    identity.CHECK,
    owners.CHECK,
    version.CHECK,
    istio.CHECK,
    clock.CHECK,
    leases.CHECK,
    rights.CHECK,
    gateway_address.CHECK,
    gateway_node.CHECK,
    gateway_port.CHECK,
    external_ips.CHECK,
    load_balancer.CHECK,
    services.CHECK,
    pods.CHECK,
    namespace.CHECK,
    webhook.CHECK,
    injector.CHECK,
    platform.CHECK,
    nodes.CHECK,
    remote_secrets.CHECK,
    settled.CHECK,
)


def check(mesh: Mesh, world: World, rights: tuple[Right, ...]) -> list[Finding]:
    """Every finding of every cluster, in the mesh's order. `rights`: those that the work needs."""
    return [finding for cluster in mesh.clusters for finding in check_cluster(mesh, cluster, world, rights)]


def check_cluster(mesh: Mesh, member: model.Cluster, world: World, rights: tuple[Right, ...]) -> list[Finding]:
    """Every finding of one cluster. A cluster that does not answer gives one finding that says so."""
    cluster = world.cluster(member.name)
    try:
        looked = Looked(mesh, member, world, cluster, cluster.version(), cluster.identity(), rights)
        return [finding for each in CHECKS for finding in each.findings(looked)]
    except Trouble as trouble:
        return [reachable.CHECK.finding(Found(trouble.what, trouble.remedy), member.name)]
