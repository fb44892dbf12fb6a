"""From the mesh to the steps that make it. What runs at the same time follows from what needs what, not from the order here;
that is the order in which a person would type the commands, one after the other.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from dataclasses import replace

from wizard.clusters.port import Right
from wizard.engine.step import Plan, Step
from wizard.mesh.model import Cluster, Mesh
from wizard.steps.adopted import Adopted
from wizard.steps.certificates import Intermediate, RootCertificate
from wizard.steps.expose import ExposeIstiod, ExposeServices
from wizard.steps.install import Install, runs_istiod
from wizard.steps.istiod import IstiodReady
from wizard.steps.loadbalancer import GatewayAddress, awaits_address
from wizard.steps.meshnetworks import MeshNetworks
from wizard.steps.namespace import SystemNamespace
from wizard.steps.preflight import Preflight
from wizard.steps.proxies import Proxies
from wizard.steps.pullsecret import PullSecret
from wizard.steps.reach import ReachApi, ReachDiscovery, ReachGateways, ReachPeers
from wizard.steps.remotesecret import RemoteSecret
from wizard.steps.route import Route
from wizard.steps.sample import Sample
from wizard.steps.verify import Verify

STEPS: tuple[type[Step], ...] = (
    SystemNamespace, PullSecret, RootCertificate, Intermediate, Install, IstiodReady, MeshNetworks, ExposeServices, ExposeIstiod,
    GatewayAddress, Route, RemoteSecret, ReachApi, ReachDiscovery, ReachPeers, ReachGateways, Sample, Verify, Proxies, Preflight,
)  # fmt: skip
RIGHTS: tuple[Right, ...] = tuple(dict.fromkeys(right for kind in STEPS for right in kind.rights))
"""What any mesh may need: asked for before anything is known of one."""


def plan_of(mesh: Mesh, *, version_step: bool = False) -> Plan:
    """The steps of this mesh, each after what it needs. The mesh must be settled (see `wizard.resolve`). `version_step`: a person
    consents to an older Istio than stands, or to one that is more than one minor version newer.
    """
    primaries = mesh.primaries
    remotes = tuple(cluster for cluster in mesh.clusters if cluster.role == "remote")
    several = len({cluster.network for cluster in mesh.clusters}) > 1
    signed = tuple(cluster for cluster in mesh.clusters if runs_istiod(mesh, cluster))
    probed = mesh.verify.probes == "before"

    steps: list[Step] = [Preflight(mesh, cluster, RIGHTS) for cluster in mesh.clusters]
    steps += [SystemNamespace(mesh, cluster) for cluster in mesh.clusters]
    if mesh.istio.pull_secret:
        steps += [PullSecret(mesh, cluster) for cluster in mesh.clusters]
    steps.append(RootCertificate(mesh, signed))
    steps += [Intermediate(mesh, cluster, signed) for cluster in signed]
    if probed:
        steps += [ReachApi(mesh, cluster) for cluster in primaries if mesh.read_by(cluster.name)]
    install = Adopted if mesh.adopted else Install
    steps += [install(mesh, cluster, version_step) for cluster in primaries]
    steps += [IstiodReady(mesh, cluster) for cluster in primaries]
    steps += [MeshNetworks(mesh, cluster) for cluster in signed if cluster.role == "primary"]
    if several:
        steps += [ExposeServices(mesh, cluster) for cluster in primaries]
    steps += [ExposeIstiod(mesh, cluster) for cluster in primaries if mesh.remotes_of(cluster.name)]
    steps += [GatewayAddress(mesh, cluster) for cluster in primaries if awaits_address(mesh, cluster)]
    steps += [Route(mesh, cluster, target) for cluster in mesh.clusters for target in mesh.routed_from(cluster.name)]
    if probed:
        steps += [ReachDiscovery(mesh, cluster) for cluster in remotes]
    # Typed one after the other, these must stand before the remotes' installs, which wait for what they bring about.
    steps += _remote_secrets(mesh, remotes)
    steps += [install(mesh, cluster, version_step) for cluster in remotes]
    steps += [IstiodReady(mesh, cluster) for cluster in remotes]
    steps += [GatewayAddress(mesh, cluster) for cluster in remotes if awaits_address(mesh, cluster)]
    steps += _remote_secrets(mesh, primaries)
    if probed:
        steps += [ReachPeers(mesh, cluster) for cluster in primaries if mesh.read_by(cluster.name)]
        steps += [ReachGateways(mesh, cluster) for cluster in mesh.clusters]
    steps += [Sample(mesh, cluster) for cluster in mesh.clusters]
    steps += [Verify(mesh, cluster) for cluster in mesh.clusters]
    steps += [Proxies(mesh, cluster) for cluster in mesh.clusters]
    return Plan(tuple(steps))


def departure_of(mesh: Mesh, names: Collection[str], *, untouched: Collection[str] = ()) -> Plan:
    """The steps to undo where these clusters leave this mesh: their own, but not those of clusters to be left `untouched`,
    and what the others have only for them.
    """
    rest = replace(mesh, clusters=tuple(cluster for cluster in mesh.clusters if cluster.name not in names))
    staying = {step.id for step in plan_of(rest).steps}
    kept = [copy.copy(step) for step in plan_of(mesh).steps if step.id not in staying and step.cluster not in untouched]
    ids = {step.id for step in kept}
    for step in kept:
        step.needs = tuple(id for id in step.needs if id in ids)
        step.joins = tuple(id for id in step.joins if id in ids)
        step.awaits = tuple(id for id in step.awaits if id in ids)
    return Plan(tuple(kept))


def _remote_secrets(mesh: Mesh, peers: Iterable[Cluster]) -> list[Step]:
    return [
        RemoteSecret(mesh, cluster, peer)
        for peer in peers
        for cluster in mesh.primaries
        if peer in mesh.read_by(cluster.name)
    ]
