"""Are addresses to be routed from here none of the cluster's own?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.kinds import SERVICE
from wizard.clusters.services import is_gateway, overlap, service_cidrs
from wizard.mesh.model import SYSTEM_NAMESPACE


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, cluster = looked.mesh, looked.member, looked.cluster
    targets = mesh.routed_from(member.name)
    if not targets or any(map(is_gateway, cluster.objects(SERVICE, SYSTEM_NAMESPACE))):
        return
    own = [member.service_cidr] if member.service_cidr else service_cidrs(cluster)
    for target in targets:
        shared = next((cidr for cidr in own if overlap(cidr, target.service_cidr)), None)
        if shared:
            yield Found(
                f"no route can lead to the Services of {target.name}: their addresses {target.service_cidr} overlap with "
                f"{member.name}'s own, {shared}",
                f"Choose another gateway.exposure for {target.name}, such as external-ips.",
            )


CHECK = Check("services", "network", "error", find)
