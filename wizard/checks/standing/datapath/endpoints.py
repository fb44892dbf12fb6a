"""Does the client's proxy know endpoints of every other cluster?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard.checks.finding import Pair
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.endpoints import PAGE, Endpoint, inner_addresses, known, outer_addresses, read_again
from wizard.checks.standing.samples import unproven
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import Ref
from wizard.mesh.sample import PORT, SERVICE
from wizard.messages import msg
from wizard.text import listing, one_line

_SHOWN = 8


def find(here: Here) -> Iterable[Fault]:
    lacking = unproven(here.view, here.view.out_of(here.name))
    told = known(here) if lacking else None
    if told is None:
        return
    if told.endpoints is None:
        text = msg(
            "{cluster}: the proxy of {pod} knows no port {port} of Service {service}: its istiod tells it nothing of that",
            cluster=here.name, pod=one_line(str(told.pod)), port=PORT, service=SERVICE,
        )  # fmt: skip
        yield _fault(here, told.pod, text, lacking, ())
        return
    places = {each.address for each in told.endpoints}
    network = here.member.network
    inner = {there.name: inner_addresses(there) for there in here.view.all}
    near = frozenset[str]().union(*(inner[each.name] for each in here.mesh.clusters if each.network == network))
    leaked = {pair[1]: (inner[pair[1]] - near) & places for pair in lacking if _network(here, pair[1]) != network}
    yield from _leaking(here, told.pod, leaked, lacking)
    missing = tuple(pair for pair in lacking if not leaked.get(pair[1]) and not _has(here, pair[1], places, near))
    if missing:
        text = msg(
            "{cluster}: the proxy of {pod} has no endpoint of {targets}: its istiod gives it none",
            cluster=here.name, pod=one_line(str(told.pod)), targets=listing(target for _, target in missing),
        )  # fmt: skip
        yield _fault(here, told.pod, text, missing, told.endpoints)


def _leaking(here: Here, pod: Ref, leaked: dict[str, frozenset[str]], lacking: tuple[Pair, ...]) -> Iterator[Fault]:
    """Addresses of Pods on other networks, which lead nowhere from here."""
    networks = dict.fromkeys(_network(here, target) for target, found in leaked.items() if found)
    for network in networks:
        targets = [target for target, found in leaked.items() if found and _network(here, target) == network]
        addresses = sorted(frozenset[str]().union(*(leaked[target] for target in targets)))
        yield Fault(
            msg(
                "{cluster}: the istiod of {control} knows no gateway of network {network}: it gives the proxy of {pod} addresses "
                "of Pods there ({addresses}), which lead nowhere from another network",
                cluster=here.name, control=here.control.name, network=one_line(network), pod=one_line(str(pod)),
                addresses=listing(addresses[:_SHOWN]),
            ),
            msg("network {network}", network=one_line(network)),
            short=msg("no gateway is known"),
            evidence=(msg("{pod} in {cluster}: {page}", pod=one_line(str(pod)), cluster=here.name, page=PAGE),),
            remedy=msg("Name its gateway in meshNetworks, or label the gateway's Service with the network."),
            commands=(read_again(here, pod, PAGE),),
            breaks=tuple(pair for pair in lacking if pair[1] in targets),
            severity="error",
        )  # fmt: skip


def _has(here: Here, target: str, places: set[str], near: frozenset[str]) -> bool:
    """Whether any of these addresses leads to that cluster, as far as that can be told."""
    network = _network(here, target)
    if network == here.member.network:
        return bool(inner_addresses(here.view.at(target)) & places)
    outer = outer_addresses(here.view, network)
    return bool(places - near) if outer is None else bool(places & outer)


def _network(here: Here, name: str) -> str:
    return here.mesh.cluster(name).network


def _fault(here: Here, pod: Ref, text: str, breaks: tuple[Pair, ...], endpoints: tuple[Endpoint, ...]) -> Fault:
    shown = listing(one_line(each.place) for each in endpoints[:_SHOWN]) or msg("none")
    return Fault(
        text,
        str(pod),
        evidence=(
            msg("{pod} in {cluster}: {page}: endpoints: {endpoints}", pod=one_line(str(pod)), cluster=here.name, page=PAGE,
                endpoints=shown),
        ),
        remedy=msg("The cause lies further down: in what istiod reads of the other cluster, in its Service, or in a policy."),
        commands=(read_again(here, pod, PAGE),),
        breaks=breaks,
    )  # fmt: skip


CHECK = Check(
    "endpoints",
    "data-path",
    "unsure",
    find,
    short=msg("no endpoint of it"),
    title="The client's proxy knows endpoints of every cluster",
    reads="The admin page `clusters` of the client's proxy: the endpoints of port 5000 of the sample's Service; held "
    "against the addresses of the sample's Pods, and of the gateways as the mesh file plans them. Only while answers "
    "are missing.",
    means="Without an endpoint of a cluster nothing is sent there: istiod does not read that cluster, does not know "
    "its Service, or leaves its endpoints out. Where the proxy has addresses of Pods on another network, istiod "
    "knows no gateway of that network: that is an error.",
    arises="Whatever keeps istiod from the other cluster's endpoints; the layers before this one look for it. "
    "Addresses of Pods come of a network label that is missing, a load balancer without an address, or meshNetworks "
    "without the network.",
    mend="See what the layers before this one found. `istioctl proxy-config endpoint` shows the same.",
)
