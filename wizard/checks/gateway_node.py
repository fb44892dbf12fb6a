"""Is the node through which the gateway is reached one of the cluster's?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.checks.gateway_address import warn_of_node
from wizard.messages import msg


def find(looked: Looked) -> Iterable[Found]:
    gateway = looked.member.gateway
    if gateway.exposure == "cluster-ip-route" and gateway.node:
        yield from warn_of_node(looked, msg("gateway node"), (gateway.node,))


CHECK = Check("gateway-node", "gateway", "warning", find, at_gateways=True)
