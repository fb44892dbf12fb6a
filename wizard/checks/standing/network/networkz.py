"""Does every istiod know a gateway of every other network, and no other addresses than those that are meant?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.gateways import labelled_services, outer_addresses
from wizard.checks.standing.networks import across, config_ref, merged, networks_of, places, written
from wizard.checks.standing.view import Here
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import listing, one_line


def find(here: Here) -> Iterable[Fault]:
    networks = networks_of(here.mesh)
    if here.control is not here or len(networks) < 2:
        return
    known = merged(here)
    told = written(here)
    for network in networks:
        pairs = across(here.view, here.name, network)
        lacking = [pod for pod, each in known if not any(one.network == network for one in each)]
        # Where ConfigMap or Service say nothing of the network, their own checks tell.
        said = bool(told and network in told.entries and told.entries[network].gateways) or _labelled(here, network)
        if pairs and lacking and said:
            yield Fault(
                msg(
                    "{cluster}: istiod {pods} knows no gateway of network {network}, although one is named: it sends "
                    "proxies to addresses of "
                    "Pods, which lead nowhere from there",
                    cluster=here.name, pods=listing(map(one_line, lacking)), network=one_line(network),
                ),
                str(config_ref(here)),
                evidence=(msg("/debug/networkz of {pods} lists {places}", pods=listing(map(one_line, lacking)),
                              places=places(one.place for _, each in known for one in each)),),
                remedy=msg("See its log for what it refused, and start it anew:"),
                commands=(f"{here.kubectl} -n {SYSTEM_NAMESPACE} logs -l app=istiod --tail=200",
                          f"{here.kubectl} -n {SYSTEM_NAMESPACE} rollout restart deployment -l app=istiod"),
                breaks=pairs if len(lacking) == len(known) else (),
            )  # fmt: skip


def _labelled(here: Here, network: str) -> bool:
    there = answering(here.view.at(each.name) for each in here.mesh.clusters if each.network == network)
    return any(
        each.member.gateway.labelled and outer_addresses(one) for each in there for one in labelled_services(each)
    )


CHECK = Check(
    "networkz",
    "network",
    "error",
    find,
    short=msg("no gateway known"),
    title="Every istiod knows a gateway of every other network",
    reads="istiod's page `/debug/networkz` in each of its Pods: the gateways as it merged them of meshNetworks and "
    "labelled Services.",
    means="What istiod works with is not what is written. Without a gateway of a network, proxies get the addresses "
    "of its Pods, and requests hang.",
    arises="istiod refused meshNetworks (a host name that nobody resolves, a wrong entry), or it does not read the "
    "cluster whose Service is labelled.",
    mend="istiod's log says what it refused. Mend that; a new istiod reads all of it anew.",
)
