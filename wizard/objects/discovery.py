"""Where a remote finds the istiod that serves it."""

from __future__ import annotations

from wizard.istio.operator import planned_discovery
from wizard.mesh.model import Cluster, Mesh
from wizard.objects.eastwest import GATEWAY_SERVICE, ingress_of
from wizard.world import World


def discovery_address(world: World, mesh: Mesh, remote: Cluster) -> str | None:
    """The address on which this remote's proxies and API server reach istiod, at ports 15012 and 15017: as given, else that of
    its primary's gateway. None while a load balancer still has to give it.
    """
    planned = planned_discovery(mesh, remote)
    return planned or ingress_of(world.cluster(mesh.control_plane(remote.name).name).get(GATEWAY_SERVICE))
