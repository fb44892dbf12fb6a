"""Has a gateway only a host name, where this Istio takes none?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard import kinds
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.gateways import outer_addresses, service_of, service_ref
from wizard.checks.standing.networks import across, config_ref, networks_of, spelled, written
from wizard.checks.standing.view import Here
from wizard.istio.versions import host_names_of_gateways
from wizard.mesh.addresses import is_ip
from wizard.mesh.model import NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects.ownership import label
from wizard.text import listing, one_line, quoted


def find(here: Here) -> Iterable[Fault]:
    if here.mesh.istio.version and not host_names_of_gateways(here.mesh.istio.version):
        yield from _balanced(here)
        yield from _written(here)


def _balanced(here: Here) -> Iterator[Fault]:
    """A host name that a load balancer gave to a Service in which istiods look for the address."""
    service, ref = service_of(here), service_ref(here)
    given = outer_addresses(service) if service and label(service, NETWORK_LABEL) else []
    if given and not any(is_ip(each) for each in given) and here.view.beyond_into(here.name):
        text = msg(
            "the load balancer of {object} in {cluster} gave it the host name {name}; Istio {version} takes only IP addresses, "
            "so that other networks know no gateway there",
            object=str(ref), cluster=here.name, name=one_line(given[0]), version=one_line(here.mesh.istio.version),
        )  # fmt: skip
        yield Fault(
            text,
            str(ref),
            evidence=(msg("status.loadBalancer of {object}", object=str(ref)),),
            remedy=msg(
                "Give the IP address behind it in gateway.address of {cluster}, or use Istio 1.13 or later.",
                cluster=here.name,
            ),
            commands=(f"{here.kubectl} -n {quoted(ref.namespace)} get service {quoted(ref.name)}",),
            breaks=here.view.beyond_into(here.name),
        )


def _written(here: Here) -> Iterator[Fault]:
    """One in meshNetworks, for which istiod refuses them as a whole."""
    found = written(here) if here.control is here else None
    named = [
        place for entry in (found.entries if found else {}).values() for place in entry.gateways if not is_ip(place[0])
    ]
    if named:
        ref = config_ref(here)
        text = msg(
            "{object} of {cluster} leads to {places}; Istio {version} takes only IP addresses there, and refuses all of its "
            "meshNetworks",
            object=str(ref), cluster=here.name, places=listing(sorted(map(spelled, named))),
            version=one_line(here.mesh.istio.version),
        )  # fmt: skip
        yield Fault(
            text,
            str(ref),
            evidence=(msg("data.meshNetworks of {object}", object=str(ref)),),
            remedy=msg("Write IP addresses there, or use Istio 1.13 or later."),
            commands=(f"{here.kubectl} -n {SYSTEM_NAMESPACE} edit configmap {quoted(ref.name)}",),
            step=None if here.view.inferred else kinds.MESH_NETWORKS.id(here.name),
            breaks=tuple(
                pair for network in networks_of(here.mesh) for pair in across(here.view, here.name, network)
            ),
        )  # fmt: skip


CHECK = Check(
    "host-names",
    "network",
    "error",
    find,
    short=msg("host name for a gateway"),
    title="Gateways have IP addresses where this Istio takes no host names",
    reads="The addresses that load balancers gave to the gateways' Services, and `data.meshNetworks` of ConfigMap `istio`; only "
    "with Istio 1.12 and older.",
    means="Istio up to 1.12 uses IP addresses only. A gateway that is found by its Service and has none does not exist for it; a "
    "host name in meshNetworks makes it refuse them all.",
    arises="Load balancers of some clouds give host names.",
    mend="Use Istio 1.13 or later, which resolves them; or give the gateway fixed addresses, and write these.",
)
