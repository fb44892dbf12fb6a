"""Does the Service before the east-west gateway lead to it, as the other clusters ask for it?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard import kinds
from wizard.checks.finding import Severity
from wizard.checks.standing.answering import controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.gateways import (
    deployment_ref,
    labels_in,
    outer_addresses,
    places_of,
    pods_of,
    port_of,
    ready_pods_of,
    service_of,
    service_ref,
    tls_port,
)
from wizard.checks.standing.networks import written
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NODE, Object, Ref
from wizard.clusters.nodes import all_addresses
from wizard.mesh.addresses import canonical
from wizard.mesh.model import NETWORK_LABEL
from wizard.messages import msg
from wizard.objects.eastwest import ingress_of, node_port
from wizard.objects.ownership import label
from wizard.text import listing, one_line, quoted

_OF_NODES = ("node-port", "external-ips")  # exposures in which the addresses are those of nodes
_NODES_KEY = "traffic.istio.io/nodeSelector"  # annotation of a Service: istiods take the ExternalIPs of these nodes


def find(here: Here) -> Iterable[Fault]:
    if not here.mesh.has_gateway(here.name):
        return
    service = service_of(here)
    if service is None:
        yield from _missing(here)
        return
    chosen, pods = (service.get("spec") or {}).get("selector") or {}, pods_of(here)
    nobody = here.view.inferred and not pods and here.get(deployment_ref(here)) is None
    if nobody or (pods and not any(chosen and chosen.items() <= labels_in(pod).items() for pod in pods)):
        told = listing(one_line(f"{key}={value}") for key, value in sorted(chosen.items())) or msg("none")
        text = msg(
            "{object} of {cluster} leads to no Pod of its gateway: its selector is {selector}",
            selector=told, **_named(here),
        )  # fmt: skip
        yield _fault(here, text, "spec.selector")
    elif port_of(service) is None:
        text = msg(
            "{object} of {cluster} has no port {port}, by which other networks come in",
            port=tls_port(service),
            **_named(here),
        )
        yield _fault(here, text, "spec.ports")
    elif here.view.inferred:
        yield from _not_found(here, service)
    else:
        yield from _otherwise(here, service)
        yield from _local(here, service)


def _missing(here: Here) -> Iterator[Fault]:
    if here.view.inferred and (not here.mesh.beyond(here.name) or _served_by_others(here)):
        return
    text = msg("{object} of {cluster}, before its gateway to other networks, is missing", **_named(here))
    yield _fault(here, text, "")


def _served_by_others(here: Here) -> bool:
    """Whether another cluster on the network has a gateway, or istiods are told of one, which may be this cluster's, too."""
    network = here.member.network
    near = [peer for peer in here.peers if peer.member.network == network]
    entries = [
        found.entries[network] for each in controls(here) if (found := written(each)) and network in found.entries
    ]
    return any(entry.gateways or entry.services for entry in entries) or any(service_of(each) for each in near)


def _not_found(here: Here, service: Object) -> Iterator[Fault]:
    """Istiods find a labelled gateway by the addresses that lead to its Service; of NodePorts only by nodes' ExternalIPs."""
    spec, annotations = service.get("spec") or {}, service["metadata"].get("annotations") or {}
    if label(service, NETWORK_LABEL) is None or outer_addresses(service) or _served_by_others(here):
        return
    if _NODES_KEY in annotations and all_addresses(here.objects(NODE), "ExternalIP"):
        return
    if spec.get("type") == "LoadBalancer":
        yield _pending(here, service)
        return
    text = msg(
        "{object} of {cluster} is labelled as a gateway, but has no address that istiods find: of type {type}, it has neither a "
        "load balancer's nor external ones, and addresses of nodes are found only where they are ExternalIPs",
        type=one_line(spec.get("type", "ClusterIP")), **_named(here),
    )  # fmt: skip
    remedy = msg(
        "Name the gateway in meshNetworks of every control plane, by a node's address and the NodePort, and take the label off; "
        "or give the Service externalIPs."
    )
    yield _fault(here, text, "spec.type, spec.externalIPs, status.loadBalancer", remedy=remedy)


def _pending(here: Here, service: Object, severity: Severity = "error") -> Fault:
    ref, kind = service_ref(here), str((service.get("spec") or {}).get("type", "ClusterIP"))
    if kind == "LoadBalancer":
        text = msg(
            "the load balancer of {cluster} gave {object} no address: other networks have no way to its gateway",
            **_named(here),
        )
    else:
        text = msg(
            "{object} of {cluster} is of type {type}, so that no load balancer gives it an address: other networks have no way "
            "to its gateway",
            type=one_line(kind), **_named(here),
        )  # fmt: skip
    return _fault(
        here, text, "status.loadBalancer",
        remedy=msg("Look whether the cluster has a load balancer with an address to give, or choose another exposure."),
        command=f"{here.kubectl} -n {quoted(ref.namespace)} describe service {quoted(ref.name)}",
        short=msg("load balancer gave no address"), severity=severity,
    )  # fmt: skip


def _otherwise(here: Here, service: Object) -> Iterator[Fault]:
    """Where the gateway is not found as the mesh says that it is."""
    gateway, spec = here.member.gateway, service.get("spec") or {}
    if gateway.exposure == "node-port" and gateway.port not in (None, node_port(service)):
        text = msg(
            "{object} of {cluster} has NodePort {found} for its port {port}; other networks look for its gateway on {wanted}",
            found=node_port(service) or msg("none"), port=tls_port(service), wanted=gateway.port, **_named(here),
        )  # fmt: skip
        yield _fault(here, text, "spec.ports", short=msg("NodePort changed"))
    elif gateway.exposure == "external-ips":
        has = {canonical(each) for each in spec.get("externalIPs") or []}
        yield from _lost(here, [each for each in gateway.addresses if canonical(each) not in has])
    elif gateway.exposure == "cluster-ip-route" and gateway.address and spec.get("clusterIP") != gateway.address:
        text = msg(
            "{object} of {cluster} has address {found}; other networks look for its gateway at {wanted}",
            found=one_line(spec.get("clusterIP")), wanted=gateway.address, **_named(here),
        )  # fmt: skip
        yield _fault(here, text, "spec.clusterIP")
    elif gateway.exposure == "load-balancer" and ingress_of(service) is None:
        # An address that was given may lead to the gateway past what the Service says.
        yield _pending(here, service, "error" if gateway.labelled else "unsure")


def _lost(here: Here, gone: list[str]) -> Iterator[Fault]:
    if not gone:
        return
    every = len(gone) == len(here.member.gateway.addresses)
    values = {"addresses": listing(one_line(each) for each in gone), **_named(here)}
    if every:
        text = msg(
            "{object} of {cluster} lacks externalIPs {addresses}, where other networks look for its gateway", **values
        )
    else:
        text = msg(
            "{object} of {cluster} lacks externalIPs {addresses}: connections of other networks go there in turn, and each of "
            "those fails",
            **values,
        )
    yield _fault(here, text, "spec.externalIPs", severity="error" if every else "warning")


def _local(here: Here, service: Object) -> Iterator[Fault]:
    """With externalTrafficPolicy Local a node answers only where it has a Pod of the gateway."""
    gateway = here.member.gateway
    if (service.get("spec") or {}).get("externalTrafficPolicy") != "Local" or gateway.exposure not in _OF_NODES:
        return
    with_pod = {str((pod.get("spec") or {}).get("nodeName")) for pod in ready_pods_of(here)}
    if not with_pod:
        return
    without = [node for node in here.objects(NODE) if node["metadata"]["name"] not in with_pod]
    silent = all_addresses(without)
    lost = [each for each in gateway.addresses if canonical(each) in silent]
    if lost:
        every = len(lost) == len(gateway.addresses)
        text = msg(
            "{object} of {cluster} has externalTrafficPolicy Local, and no Pod of the gateway is on the nodes with {addresses}, "
            "where other networks look for it: what goes there is dropped",
            addresses=listing(one_line(each) for each in lost), **_named(here),
        )  # fmt: skip
        yield _fault(
            here, text, "spec.externalTrafficPolicy",
            remedy=msg("Set externalTrafficPolicy to Cluster, or name addresses of nodes that have a Pod of the gateway."),
            severity="error" if every else "warning",
        )  # fmt: skip


def _named(here: Here) -> dict[str, str]:
    return {"object": str(service_ref(here)), "cluster": here.name}


def _fault(
    here: Here, text: str, field: str, *, remedy: str = "", command: str = "", short: str = "",
    severity: Severity | None = None,
) -> Fault:  # fmt: skip
    ref: Ref = service_ref(here)
    tool = f"{here.kubectl} -n {quoted(ref.namespace)}"
    found = [one_line(f"{address}:{port}") for address, port in sorted(places_of(here))]
    evidence = [msg("{field} of {object}", field=field, object=str(ref))] if field else []
    evidence += [msg("it answers at {places}", places=listing(found[:6]))] if found else []
    return Fault(
        text,
        str(ref),
        short=short,
        evidence=tuple(evidence),
        remedy=remedy,
        commands=(command or f"{tool} get service {quoted(ref.name)} -o yaml",),
        step=None if here.view.inferred else kinds.INSTALL.id(here.name),
        breaks=here.view.beyond_into(here.name) if severity in (None, "error", "unsure") else (),
        severity=severity,
    )


CHECK = Check(
    "gateway-service",
    "gateway",
    "error",
    find,
    short=msg("gateway Service differs"),
    title="The Service before the east-west gateway leads to it",
    reads="The gateway's Service: its selector against the gateway's Pods, port 15443 and its NodePort, externalIPs, the load "
    "balancer's address and `externalTrafficPolicy`, held against where the mesh says that the gateway is found.",
    means="The other clusters look for the gateway where it is not, or is not any more: their proxies are refused or wait in "
    "vain. Where one of several addresses is lost, every so many connections fail.",
    arises="Somebody edited the Service, or an install of others made it anew and Kubernetes drew another NodePort. There is no "
    "load balancer, or it has no address to give. With `externalTrafficPolicy: Local` the gateway's Pod went to another node.",
    mend="Give the Service what the finding names; in a mesh of ours step `install` does it. Where another port or address is to "
    "stay, write that into the mesh file and apply it, so that the other clusters learn of it.",
)
