"""meshNetworks in istiod's own configuration. The install writes them; where a cluster came or went since, they are mended
alone: istiod watches the ConfigMap (1.10.1 and later), so nothing restarts.
"""

from __future__ import annotations

from typing import Any

import yaml

from wizard import kinds, yamltext
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step
from wizard.istio import names
from wizard.istio.operator import mesh_networks
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.messages import joined, msg
from wizard.objects.ownership import exact_differences
from wizard.text import quoted
from wizard.world import World


class MeshNetworks(Step):
    """Key `meshNetworks` of ConfigMap istio[-REVISION] in a cluster that runs istiod."""

    kind = kinds.MESH_NETWORKS

    def __init__(self, mesh: Mesh, cluster: Cluster) -> None:
        super().__init__("meshNetworks", cluster=cluster.name, needs=(kinds.INSTALL.id(cluster.name),))
        self.mesh = mesh
        self.member = cluster
        self.ref = Ref(CONFIG_MAP, names.mesh_config_name(mesh), SYSTEM_NAMESPACE)

    def wanted(self) -> Any:
        return mesh_networks(self.mesh)

    def probe(self, world: World) -> Probe:
        config = world.cluster(self.cluster).get(self.ref)
        if config is None:
            return Needed((Difference(str(self.ref), "", None, msg("to be installed")),))
        told = self._differences(config)
        if told and self.mesh.adopted:
            return Conflict(
                msg(
                    "{cluster}: meshNetworks are not as the mesh file says: {differences}",
                    cluster=self.member.name,
                    differences=joined((each.told for each in told), "; "),
                ),
                msg("Change them where they come from, or change the mesh file."),
            )
        return Needed(tuple(told)) if told else Done()

    def apply(self, world: World, job: Job) -> None:
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.ref.name, "namespace": self.ref.namespace},
            "data": {"meshNetworks": yamltext.dump({"networks": mesh_networks(self.mesh)})},
        }
        # istioctl owns the key since the install, which was ours: nobody else's work is taken over.
        world.cluster(self.cluster).apply(manifest, force=True)

    def commands(self) -> list[Command]:
        tool = f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE}"
        return [
            Command(
                f"{tool} get configmap {quoted(self.ref.name)} -o jsonpath='{{.data.meshNetworks}}'",
                msg("The install wrote these; every network of the mesh must be among them."),
            )
        ]

    def _differences(self, config: Object) -> list[Difference]:
        try:
            found = (yamltext.load((config.get("data") or {}).get("meshNetworks", "")) or {}).get("networks") or {}
        except (yaml.YAMLError, AttributeError):
            found = {}
        return exact_differences(str(self.ref), mesh_networks(self.mesh), found, at="meshNetworks")
