"""Does anything give addresses to Services of type LoadBalancer?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.messages import counted, msg


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    if member.gateway.exposure != "load-balancer" or not member.gateway.labelled:
        return
    balanced = [service for service in looked.services if (service.get("spec") or {}).get("type") == "LoadBalancer"]
    given = [
        service for service in balanced if ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    ]
    if not given:
        seen = (
            counted(
                "{count} Services of type LoadBalancer, none with an address",
                "{count} Services of type LoadBalancer, none with an address",
                len(balanced),
            )
            if balanced
            else msg("none was asked so far")
        )
        yield Found(
            msg("nothing shows that a load balancer gives addresses here: {seen}", seen=seen),
            msg(
                "Where there is none, choose another gateway.exposure for {cluster}; the install would wait in vain.",
                cluster=member.name,
            ),
        )


CHECK = Check("load-balancer", "gateway", "warning", find, at_gateways=True)
