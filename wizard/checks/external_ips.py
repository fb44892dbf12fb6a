"""Are Services with externalIPs allowed?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.services import is_gateway
from wizard.errors import Failed, Unreachable
from wizard.mesh.model import GATEWAY_TLS_PORT
from wizard.messages import msg


def find(looked: Looked) -> Iterable[Found]:
    member, cluster = looked.member, looked.cluster
    if (
        member.gateway.exposure != "external-ips"
        or member.gateway.address is None
        or any(map(is_gateway, looked.services))
    ):
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
        yield Found(
            msg("Services with externalIPs are refused here: {refusal}", refusal=refusal.what),
            msg(
                "Choose another gateway.exposure for {cluster}, or have it allowed: the admission plugin "
                "DenyServiceExternalIPs, or a policy, refuses it.",
                cluster=member.name,
            ),
        )


CHECK = Check("external-ips", "gateway", "error", find, at_gateways=True)
