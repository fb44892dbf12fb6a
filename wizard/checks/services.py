"""Are addresses to be routed from here none of the cluster's own?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.kinds import SERVICE
from wizard.clusters.services import is_gateway, overlap, service_cidrs
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg


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
                msg(
                    "no route can lead to the Services of {target}: their addresses {addresses} overlap with {cluster}'s own, "
                    "{own}",
                    target=target.name,
                    addresses=str(target.service_cidr),
                    cluster=member.name,
                    own=shared,
                ),
                msg("Choose another gateway.exposure for {target}, such as external-ips.", target=target.name),
            )


CHECK = Check("services", "network", "error", find)
