"""The system namespace, its network label and, in a remote, the name of its primary. istioctl labels the namespace only when
it creates it; we create it before, for the certificates, so the label is ours to set. istiod (1.11 and later) believes this
label over meshNetworks, and reads the annotation once, when the cluster is registered: it must stand before the remote secret.
"""

from __future__ import annotations

from wizard import kinds
from wizard.clusters.kinds import NAMESPACE, Object, Ref
from wizard.clusters.port import Right
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command
from wizard.errors import Failed
from wizard.istio import names
from wizard.mesh.model import NETWORK_LABEL, SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import joined, msg
from wizard.objects.ownership import LABELS
from wizard.steps.declared import Declared
from wizard.text import quoted
from wizard.world import World

CONTROL_PLANE = "topology.istio.io/controlPlaneClusters"


class SystemNamespace(Declared):
    """Namespace istio-system, labelled with the cluster's network."""

    kind = kinds.NAMESPACE
    rights = (Right("create", NAMESPACE), Right("patch", NAMESPACE))

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__(msg("Namespace and network label"), mesh, cluster, needs=(kinds.PREFLIGHT.id(cluster.name),))

    def manifests(self) -> list[Object]:
        metadata: Object = {"name": SYSTEM_NAMESPACE, "labels": {NETWORK_LABEL: self.member.network}}
        if self.member.role == "remote":
            metadata["annotations"] = {CONTROL_PLANE: str(self.member.primary)}
        return [{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}]

    def commands(self) -> list[Command]:
        tool = kubectl(self.member)
        lines = [
            f"{tool} create namespace {SYSTEM_NAMESPACE} --dry-run=client -o yaml | {tool} apply -f -",
            f"{tool} label namespace {SYSTEM_NAMESPACE} {quoted(f'{NETWORK_LABEL}={self.member.network}')} --overwrite",
        ]
        why = [msg("The network label tells istiod which pods are reached through a gateway.")]
        if self.member.role == "remote":
            lines.append(
                f"{tool} annotate namespace {SYSTEM_NAMESPACE} {quoted(f'{CONTROL_PLANE}={self.member.primary}')} --overwrite"
            )
            primary = str(self.member.primary)
            why.append(msg("The annotation names {primary}, whose istiod serves this cluster.", primary=primary))
        return [Command("\n".join(lines), joined(why, " "))]


def namespace_labels(mesh: Mesh, cluster: Cluster, name: str, world: World) -> dict[str, str] | None:
    """The labels of this namespace once our steps have been there; None where the cluster cannot be asked."""
    try:
        live = world.cluster(cluster.name).get(Ref(NAMESPACE, name))
    except Failed:
        return None
    found = (live["metadata"].get("labels") or {}) if live else {"kubernetes.io/metadata.name": name, **LABELS}
    ours = {NETWORK_LABEL: cluster.network} if name == SYSTEM_NAMESPACE else names.injection_labels(mesh)
    return {**found, **ours}
