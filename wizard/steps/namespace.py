"""The system namespace and its network label. istioctl labels the namespace only when it creates it; we create it before, for
the certificates, so the label is ours to set. istiod (1.11 and later) believes this label over meshNetworks.
"""

from __future__ import annotations

from wizard.clusters.kinds import Object
from wizard.engine.step import Command
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.steps.declared import Declared, kubectl

NETWORK_LABEL = "topology.istio.io/network"


class SystemNamespace(Declared):
    """Namespace istio-system, labelled with the cluster's network."""

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__(
            f"{cluster.name}/namespace",
            "Namespace and network label",
            mesh,
            cluster,
            needs=(f"{cluster.name}/preflight",),
        )

    def manifests(self) -> list[Object]:
        return [
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": SYSTEM_NAMESPACE, "labels": {NETWORK_LABEL: self.member.network}},
            }
        ]

    def commands(self) -> list[Command]:
        tool = kubectl(self.member)
        return [
            Command(
                f"{tool} create namespace {SYSTEM_NAMESPACE} --dry-run=client -o yaml | {tool} apply -f -\n"
                f"{tool} label namespace {SYSTEM_NAMESPACE} {NETWORK_LABEL}={self.member.network} --overwrite",
                "The network label tells istiod which pods are reached through a gateway.",
            )
        ]
