"""Do clusters on one network give different addresses to their Pods?"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.pods import pod_addresses, pod_ranges
from wizard.clusters.port import Cluster
from wizard.clusters.services import overlap
from wizard.errors import Trouble
from wizard.mesh.addresses import address_of
from wizard.messages import counted, msg
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
        both = {"one": member.name, "other": other.name, "network": one_line(member.network)}
        cure = msg("Give them different networks, so that they reach each other through gateways.")
        same = sorted(own.used & theirs.used)
        if same:
            yield Found(
                msg(
                    "{one} and {other} share network {network}, but Pods of both have the same addresses: {addresses}",
                    **both,
                    addresses=_some(same),
                ),
                cure,
            )
            continue
        ranges = [(one, two) for one in own.in_use() for two in theirs.in_use() if overlap(one, two)]
        if ranges:
            text = msg(
                "{one} and {other} share network {network}, but their nodes give Pods addresses of the same range: {first} "
                "and {second} overlap",
                **both,
                first=ranges[0][0],
                second=ranges[0][1],
            )
            yield Found(text, cure, severity="warning")


def _some(addresses: Sequence[str]) -> str:
    shown, more = ", ".join(addresses[:3]), len(addresses) - 3
    if more <= 0:
        return shown
    return counted("{addresses} and {count} more", "{addresses} and {count} more", more, addresses=shown)


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
