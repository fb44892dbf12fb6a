"""Do clusters on one network give their Pods different addresses?"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from itertools import product

from wizard.checks.standing import samples
from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NODE, POD
from wizard.clusters.pods import addresses_in, ranges_of
from wizard.clusters.services import overlap
from wizard.mesh.addresses import address_of
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.mesh.sample import SERVICE as SERVER
from wizard.messages import msg
from wizard.text import listing, one_line


def find(here: Here) -> Iterable[Fault]:
    names = [each.name for each in here.mesh.clusters]
    later = [each for each in here.peers if names.index(each.name) > names.index(here.name)]
    near = [each for each in later if each.member.network == here.member.network]
    mine = _used_ranges(here) if near else []
    for peer in answering(near):
        for own, other in product(mine, _used_ranges(peer)):
            if overlap(own, other):
                yield _told(here, peer, own, other)


def _used_ranges(here: Here) -> list[str]:
    """The ranges that nodes give out, as far as Pods have addresses of them: with some network plugins they are given and not
    used.
    """
    namespaces = (SYSTEM_NAMESPACE, here.mesh.verify.namespace)
    addresses = {each for name in namespaces for each in addresses_in(here.objects(POD, name))}
    return [each for each in ranges_of(here.objects(NODE)) if any(_within(address, each) for address in addresses)]


def _within(address: str, cidr: str) -> bool:
    found = address_of(address)
    return found is not None and found in ipaddress.ip_network(cidr)


def _told(here: Here, peer: Here, own: str, other: str) -> Fault:
    text = msg(
        "{cluster} gives its Pods addresses of {range}, {peer} of {other}, and both are on network {network}: who calls an "
        "address that both have stays in its own cluster",
        cluster=here.name, range=own, peer=peer.name, other=other, network=one_line(here.member.network),
    )  # fmt: skip
    breaks = tuple(
        (source.name, target.name)
        for source, target, cidr in ((here, peer, own), (peer, here, other))
        if any(_within(address, cidr) for address in addresses_in(samples.pods_of(target, SERVER)))
    )
    return Fault(
        text,
        msg("Pod range {range} of {clusters}", range=own, clusters=listing((here.name, peer.name))),
        evidence=(msg("spec.podCIDRs of the nodes of {clusters}", clusters=listing((here.name, peer.name))),),
        remedy=msg("Give the clusters different networks, with gateways between them, or make one anew with other ranges."),
        commands=tuple(
            f"{each.kubectl} get nodes -o custom-columns=NAME:.metadata.name,PODS:.spec.podCIDRs" for each in (here, peer)
        ),
        breaks=breaks,
        severity="error" if breaks else "warning",
    )  # fmt: skip


CHECK = Check(
    "pod-ranges",
    "network",
    "error",
    find,
    short=msg("Pods with the same addresses"),
    title="Clusters on one network give their Pods different addresses",
    reads="`spec.podCIDRs` of the nodes of clusters on one network, and the addresses of the Pods of Istio and of the sample "
    "there: a range of which no Pod has an address is not used, as with network plugins that bring their own.",
    means="On one network Pods call each other directly. An address that two clusters give out leads, from inside either, to the "
    "Pod there, or to nobody. It is an error where the sample's server has such an address, else a warning: the next Pod may "
    "get one.",
    arises="Kubernetes' installers give every cluster the same range, such as 10.244.0.0/16.",
    mend="Give the clusters different networks in the mesh, so that gateways stand between them; the ranges of a cluster that "
    "stands cannot be changed.",
)
