"""From the mesh to the steps that make it. What runs at the same time follows from what needs what, not from the order here."""

from __future__ import annotations

from wizard.engine.step import Plan, Step
from wizard.mesh.model import Mesh
from wizard.steps.certificates import Intermediate, RootCertificate
from wizard.steps.expose import ExposeServices
from wizard.steps.install import Install, IstiodReady
from wizard.steps.namespace import SystemNamespace
from wizard.steps.preflight import Preflight
from wizard.steps.remotesecret import RemoteSecret
from wizard.steps.sample import Sample
from wizard.steps.verify import Verify


def plan_of(mesh: Mesh) -> Plan:
    """The steps of this mesh, each after what it needs. The mesh must be settled (see `wizard.resolve`)."""
    steps: list[Step] = [Preflight(mesh, cluster) for cluster in mesh.clusters]
    steps += [SystemNamespace(mesh, cluster) for cluster in mesh.clusters]
    steps.append(RootCertificate(mesh))
    for kind in (Intermediate, Install, IstiodReady, ExposeServices):
        steps += [kind(mesh, cluster) for cluster in mesh.clusters]
    steps += [RemoteSecret(mesh, cluster, peer) for cluster in mesh.clusters for peer in mesh.peers(cluster.name)]
    steps += [Sample(mesh, cluster) for cluster in mesh.clusters]
    steps += [Verify(mesh, cluster) for cluster in mesh.clusters]
    return Plan(tuple(steps))
