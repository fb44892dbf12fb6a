"""Do clusters on one network give different addresses to their Pods?"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.pods import pod_addresses, pod_ranges
from wizard.clusters.port import Cluster
from wizard.clusters.services import overlap
from wizard.errors import Trouble
from wizard.mesh.addresses import address_of
from wizard.text import one_line


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, world = looked.mesh, looked.member, looked.world
    before = itertools.takewhile(lambda each: each.name != member.name, mesh.clusters)
    near = [each for each in before if each.network == member.network]
    own = _PodAddresses.of(world.cluster(member.name)) if near else _PodAddresses(frozenset(), ())
    for other in near:
        try:
            theirs = _PodAddresses.of(world.cluster(other.name))
        except Trouble:
            continue  # its own finding tells
        both = f"{member.name} and {other.name} share network {one_line(member.network)}, but"
        cure = "Give them different networks, so that they reach each other through gateways."
        same = sorted(own.used & theirs.used)
        if same:
            more = f" and {len(same) - 3} more" if len(same) > 3 else ""
            text = f"{both} Pods of both have the same addresses: {', '.join(same[:3])}{more}"
            yield Found(text, cure)
            continue
        ranges = [(one, two) for one in own.in_use() for two in theirs.in_use() if overlap(one, two)]
        if ranges:
            text = (
                f"{both} their nodes give Pods addresses of the same range: {ranges[0][0]} and {ranges[0][1]} overlap"
            )
            yield Found(text, cure, severity="warning")


@dataclass(frozen=True)
class _PodAddresses:
    """The addresses that Pods of a cluster have, and the ranges that its nodes were given for them."""

    used: frozenset[str]
    ranges: tuple[str, ...]

    @classmethod
    def of(cls, cluster: Cluster) -> _PodAddresses:
        return cls(pod_addresses(cluster), tuple(pod_ranges(cluster)))

    def in_use(self) -> list[str]:
        """The ranges that Pods have addresses of: a network plugin with ranges of its own leaves those of the nodes alone.
        Where no Pod has an address yet nobody knows, and all may be.
        """
        return [each for each in self.ranges if not self.used or any(_is_in(address, each) for address in self.used)]


def _is_in(address: str, cidr: str) -> bool:
    found = address_of(address)
    return found is not None and found in ipaddress.ip_network(cidr)


CHECK = Check("pods", "network", "error", find)
