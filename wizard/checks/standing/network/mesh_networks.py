"""Does the meshNetworks of each control plane lead to the gateways of the other networks?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard import kinds
from wizard.checks.finding import Pair, Severity
from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.gateways import Place, labelled_services, places_of, port_of, service_of
from wizard.checks.standing.networks import (
    Entry,
    Written,
    across,
    config_ref,
    merged,
    networks_of,
    places,
    spelled,
    written,
)
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NODE
from wizard.clusters.nodes import all_addresses
from wizard.istio.operator import mesh_networks
from wizard.mesh.addresses import canonical
from wizard.mesh.model import NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects.ownership import label
from wizard.text import listing, one_line, quoted


def find(here: Here) -> Iterable[Fault]:
    networks = networks_of(here.mesh)
    if here.control is not here or len(networks) < 2:
        return
    found = written(here)
    if found is None:
        yield from _missing(here, networks)
        return
    if found.problem:
        yield _unreadable(here, found, networks)
        return
    for network in networks:
        pairs = across(here.view, here.name, network)
        entry = found.entries.get(network, Entry())
        if not pairs:
            continue
        if here.view.inferred:
            yield from _against_gateways(here, network, entry, pairs)
        else:
            yield from _against_wish(here, network, entry, pairs)
        yield from _strangers(here, network, entry)


def _missing(here: Here, networks: list[str]) -> Iterator[Fault]:
    """Only where an istiod wants it: else nothing of Istio is here, which others tell."""
    if here.istiods() and not here.view.inferred:
        text = msg(
            "{object} of {cluster} is missing: its istiod knows no gateway that other networks have in meshNetworks",
            object=str(config_ref(here)), cluster=here.name,
        )  # fmt: skip
        yield _fault(here, text, _by_config(here, networks))


def _unreadable(here: Here, found: Written, networks: list[str]) -> Fault:
    """istiod goes on with the last that it could read; what it knows tells whether it has had any."""
    pairs: list[Pair] = []
    for network in networks:
        if any(not any(each.network == network for each in known) for _, known in merged(here)):
            pairs += across(here.view, here.name, network)
    text = msg(
        "{object} of {cluster} has meshNetworks that istiod refuses ({problem}): it goes on with those before, and has none "
        "once it starts anew",
        object=str(config_ref(here)), cluster=here.name, problem=found.problem,
    )  # fmt: skip
    return _fault(here, text, tuple(pairs), remedy=msg("Write them as Istio's reference of MeshNetworks has them."))


def _by_config(here: Here, networks: list[str]) -> tuple[Pair, ...]:
    """The traffic that lives from this ConfigMap."""
    wanted = mesh_networks(here.mesh)
    return tuple(pair for network in networks if network in wanted for pair in across(here.view, here.name, network))


def _against_wish(here: Here, network: str, entry: Entry, pairs: tuple[Pair, ...]) -> Iterator[Fault]:
    """A mesh of ours says itself where its gateways are."""
    listed = (mesh_networks(here.mesh).get(network) or {}).get("gateways") or []
    wanted = {(canonical(str(each["address"])), each["port"]) for each in listed if each["address"] and each["port"]}
    if not wanted:
        return
    remedy = msg("Let network {network} have there: {places}.", network=one_line(network), places=places(wanted))
    if not entry.gateways & wanted:
        yield _leading_nowhere(here, network, entry, pairs, remedy)
        return
    if entry.gateways - wanted:
        yield _too_many(here, network, entry.gateways - wanted, remedy)
    yield from _moved(here, network, entry, pairs)


def _moved(here: Here, network: str, entry: Entry, pairs: tuple[Pair, ...]) -> Iterator[Fault]:
    """Addresses that were those of nodes, as far as that can be told: others are translated on the way, which is no fault."""
    there = [here.view.at(each.name) for each in here.mesh.clusters if each.network == network]
    if not here.view.broken & set(pairs) or len(answering(there)) < len(there):
        return
    of_nodes = [each for each in there if each.member.gateway.exposure in ("node-port", "external-ips")]
    nodes = {address for each in of_nodes for address in all_addresses(each.objects(NODE))}
    if of_nodes == there and not any(address in nodes for address, _ in entry.gateways):
        text = msg(
            "no node on network {network} has {places}, by which {object} of {cluster} leads there: right only where it is "
            "translated on the way",
            network=one_line(network), places=places(entry.gateways), object=str(config_ref(here)), cluster=here.name,
        )  # fmt: skip
        yield _fault(here, text, pairs, severity="unsure")


def _against_gateways(here: Here, network: str, entry: Entry, pairs: tuple[Pair, ...]) -> Iterator[Fault]:
    """What other hands made is held against the gateways that stand on that network."""
    there = [here.view.at(each.name) for each in here.mesh.clusters if each.network == network]
    if len(answering(there)) < len(there) or entry.services or _finds_itself(there, network):
        return
    real = {place for each in there for place in places_of(each)}
    if not real:
        return  # there is no gateway to lead to, which the gateway's own checks tell
    wrong = {place for place in entry.gateways - real if _is_one_of_theirs(place, there)}
    strange = entry.gateways - real - wrong
    remedy = msg(
        "Let network {network} have there an address of its gateway that leads from {cluster} to it, with the port that goes "
        "with it: the NodePort for a node's address, else the Service's own port. As far as the cluster tells: {places}.",
        network=one_line(network), cluster=here.name, places=places(real),
    )  # fmt: skip
    if not entry.gateways or wrong == entry.gateways:
        yield _leading_nowhere(here, network, entry, pairs, remedy)
    elif wrong:
        yield _too_many(here, network, frozenset(wrong), remedy)
    if strange and not entry.gateways & real and here.view.broken & set(pairs):
        text = msg(
            "{object} of {cluster} leads to network {network} by {places}, which is no address that a node or the gateway's "
            "Service there has: right only where it is translated on the way",
            object=str(config_ref(here)), cluster=here.name, network=one_line(network), places=places(strange),
        )  # fmt: skip
        yield _fault(here, text, pairs, remedy=remedy, severity="unsure")


def _finds_itself(there: list[Here], network: str) -> bool:
    """Whether istiods find a gateway of the network by the label of a Service."""
    return any(label(each, NETWORK_LABEL) == network for one in there for each in labelled_services(one))


def _is_one_of_theirs(place: Place, there: list[Here]) -> bool:
    """Whether the address is that of their gateways or nodes, so that another port than theirs is wrong for sure."""
    return any(place[0] in all_addresses(each.objects(NODE)) or place[0] in _own(each) for each in there)


def _own(there: Here) -> set[str]:
    return {address for address, _ in places_of(there)}


def _leading_nowhere(here: Here, network: str, entry: Entry, pairs: tuple[Pair, ...], remedy: str) -> Fault:
    values = {"object": str(config_ref(here)), "cluster": here.name, "network": one_line(network)}
    ports = _service_ports(here, network, entry)
    if not entry.gateways:
        text = msg(
            "{object} of {cluster} has no gateway for network {network}: its istiod sends proxies the addresses of the Pods "
            "there, which lead nowhere from other networks",
            **values,
        )
    elif ports:
        text = msg(
            "{object} of {cluster} leads to network {network} by {places}: {port} is the port of the gateway's Service, which "
            "nodes do not answer",
            places=places(entry.gateways), port=ports[0], **values,
        )  # fmt: skip
    else:
        text = msg(
            "{object} of {cluster} leads to network {network} by {places}, where no gateway of it is",
            places=places(entry.gateways), **values,
        )  # fmt: skip
    return _fault(here, text, pairs, remedy=remedy)


def _service_ports(here: Here, network: str, entry: Entry) -> list[int]:
    """The ports among those written that are the Service's own where a node's address asks for its NodePort."""
    found = []
    for member in here.mesh.clusters:
        there = here.view.at(member.name)
        if member.network != network or not answering([there]):
            continue
        port = port_of(service_of(there) or {"metadata": {}}) or {}
        nodes = all_addresses(there.objects(NODE))
        found += [
            number
            for address, number in entry.gateways
            if address in nodes and number == port.get("port") and port.get("nodePort") not in (None, number)
        ]
    return found


def _too_many(here: Here, network: str, extra: frozenset[Place], remedy: str) -> Fault:
    text = msg(
        "{object} of {cluster} leads to network {network} also by {places}, where no gateway of it is: connections go there in "
        "turn, and each of those fails",
        object=str(config_ref(here)), cluster=here.name, network=one_line(network), places=places(extra),
    )  # fmt: skip
    return _fault(here, text, (), remedy=remedy, severity="warning")


def _strangers(here: Here, network: str, entry: Entry) -> Iterator[Fault]:
    names = {each.name for each in here.mesh.clusters}
    unknown = sorted(entry.registries - names)
    if unknown and not entry.registries & names:
        text = msg(
            "{object} of {cluster} has network {network} for {registries}, by which name istiod knows no cluster: Pods there "
            "belong to the network only as long as a label says so",
            object=str(config_ref(here)), cluster=here.name, network=one_line(network),
            registries=listing(one_line(each) for each in unknown),
        )  # fmt: skip
        yield _fault(here, text, (), severity="warning")


def _fault(
    here: Here, text: str, pairs: tuple[Pair, ...], *, remedy: str = "", severity: Severity | None = None
) -> Fault:
    ref = config_ref(here)
    found = written(here)
    told = [
        msg("{network}: {places}", network=one_line(name), places=listing(map(spelled, sorted(entry.gateways))))
        for name, entry in (found.entries if found else {}).items()
    ]
    tool = f"{here.kubectl} -n {SYSTEM_NAMESPACE}"
    return Fault(
        text,
        str(ref),
        evidence=(msg("data.meshNetworks of {object}", object=str(ref)), *told[:8]),
        remedy=remedy,
        commands=(
            f"{tool} get configmap {quoted(ref.name)} -o jsonpath='{{.data.meshNetworks}}'",
            f"{tool} edit configmap {quoted(ref.name)}",
        ),
        step=None if here.view.inferred else kinds.MESH_NETWORKS.id(here.name),
        breaks=pairs,
        severity=severity,
    )


CHECK = Check(
    "mesh-networks",
    "network",
    "error",
    find,
    short=msg("meshNetworks lead elsewhere"),
    title="meshNetworks lead to the gateways of the other networks",
    reads="`data.meshNetworks` of ConfigMap `istio` (with a revision: `istio-REVISION`) in namespace `istio-system` of each "
    "cluster that runs istiod, held against the gateways that the mesh wants; of a mesh that other hands made, against the "
    "Services and nodes of the clusters on that network.",
    means="istiod sends proxies of its clusters to an address where no gateway of the other network is, or, without any, to the "
    "addresses of Pods, which lead nowhere. Where one of several addresses is wrong, every so many connections fail. What istiod "
    "cannot read it ignores as a whole, and goes on with what it read before until it starts anew.",
    arises="Each `istioctl install` writes this ConfigMap anew from its values, so that what was edited there by hand is lost. A "
    "NodePort changed or a node went; a node's address was given the Service's port (15443) instead of the NodePort; a network "
    "was forgotten when a cluster joined.",
    mend="Write the addresses and ports that the finding names; istiod takes them up without a restart (Istio 1.10.1 and later). "
    "Put them into the values of the install, too. In a mesh of ours step `mesh-networks` does it.",
)
