"""The east-west gateways of a mesh as they stand, for the checks of several layers."""

from __future__ import annotations

from collections.abc import Mapping

from wizard.checks.standing.foreign import number
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import DEPLOYMENT, NODE, POD, SERVICE, Kind, Object, Ref
from wizard.clusters.nodes import all_addresses
from wizard.clusters.shapes import Shape
from wizard.mesh.addresses import canonical
from wizard.mesh.model import GATEWAY_TLS_PORT, NETWORK_LABEL
from wizard.objects.eastwest import GATEWAY, GATEWAY_SERVICE
from wizard.objects.ownership import label
from wizard.objects.pods import is_going, is_pod_of, is_ready

Place = tuple[str, int]  # an address, as `canonical` writes it, and a port
PORT_LABEL = "networking.istio.io/gatewayPort"  # on the Service: another port than 15443
_HBONE = 15008  # of an ambient gateway, which sidecars do not use
_USUAL_LABELS = "istio=eastwestgateway"  # by Istio's samples and charts
_LISTENERS: Shape = {"listener_statuses": [{"name": str, "local_address": {"socket_address": {"port_value": int}}}]}


def service_ref(here: Here) -> Ref:
    """The gateway's Service: ours by its name. Where other hands made the mesh: one that istiod takes for a gateway by its label,
    or that is called as usual; the usual name where there is none.
    """
    if not here.view.inferred:
        return GATEWAY_SERVICE
    labelled = [_ref(SERVICE, each) for each in labelled_services(here) if not _is_ambient(each)]
    usual = [GATEWAY_SERVICE] if here.get(GATEWAY_SERVICE) else []
    alike = [] if labelled or usual else [_ref(SERVICE, each) for each in here.objects(SERVICE, labels=_USUAL_LABELS)]
    by_name = [ref for ref in labelled if ref == GATEWAY_SERVICE]
    return next(iter((*by_name, *labelled, *usual, *alike)), GATEWAY_SERVICE)


def service_of(here: Here) -> Object | None:
    """That Service; None where there is none."""
    return here.get(service_ref(here))


def labelled_services(here: Here) -> list[Object]:
    """The Services that istiods take for gateways of a network, because their label says so."""
    return here.objects(SERVICE, labels=NETWORK_LABEL)


def deployment_ref(here: Here) -> Ref:
    """The gateway's Deployment: ours by its name; where other hands made the mesh, the one to whose Pods the Service leads."""
    if not here.view.inferred:
        return GATEWAY
    service = service_of(here)
    chosen = ((service or {}).get("spec") or {}).get("selector") or {}
    if service is not None and chosen:
        for each in here.objects(DEPLOYMENT, str(service["metadata"]["namespace"])):
            if chosen.items() <= _template_labels(each).items():
                return _ref(DEPLOYMENT, each)
    found = service_ref(here)
    return Ref(DEPLOYMENT, found.name, found.namespace)


def pods_of(here: Here) -> list[Object]:
    """The gateway's Pods, but those that only end yet."""
    ref, service = deployment_ref(here), service_of(here)
    chosen = ((service or {}).get("spec") or {}).get("selector") or {}
    # What other hands run there may be made by something else than a Deployment.
    by_service = bool(chosen) and here.view.inferred and here.get(ref) is None
    return [
        pod
        for pod in here.objects(POD, ref.namespace)
        if not is_going(pod) and (is_pod_of(pod, ref.name) or (by_service and chosen.items() <= labels_in(pod).items()))
    ]


def ready_pods_of(here: Here) -> list[Object]:
    """Those of them that are Ready."""
    return [pod for pod in pods_of(here) if is_ready(pod)]


def gateway_labels(here: Here) -> Mapping[str, str]:
    """The labels of the gateway's Pods, or those that its Deployment would give them; empty where there is no gateway."""
    for pod in pods_of(here):
        return labels_in(pod)
    deployment = here.get(deployment_ref(here))
    return _template_labels(deployment) if deployment else {}


def labels_in(live: Object) -> dict[str, str]:
    """The labels of an object."""
    return live["metadata"].get("labels") or {}


def tls_port(service: Object) -> int:
    """The port of the Service on which other networks come in: istiod's default, or as a label says."""
    return number(label(service, PORT_LABEL)) or GATEWAY_TLS_PORT


def port_of(service: Object) -> Object | None:
    """That port's entry in the Service; None where it has none."""
    wanted = tls_port(service)
    return next((each for each in (service.get("spec") or {}).get("ports") or [] if each["port"] == wanted), None)


def listening_port(service: Object | None) -> int:
    """The port on which the gateway's proxies listen for it."""
    target = number((port_of(service) or {}).get("targetPort")) if service else None
    return target or GATEWAY_TLS_PORT


def places_of(here: Here) -> frozenset[Place]:
    """Where this cluster's gateway is reached, as its Service tells: by its own address, external ones, those of load balancers
    and nodes. What leads there from outside, as a translated address does, is not known here.
    """
    service = service_of(here)
    port = port_of(service) if service else None
    if service is None or port is None:
        return frozenset()
    found = {(canonical(each), int(port["port"])) for each in [*outer_addresses(service), *_own(service)]}
    if port.get("nodePort"):
        found |= {(address, int(port["nodePort"])) for address in all_addresses(here.objects(NODE))}
    return frozenset(found)


def outer_addresses(service: Object) -> list[str]:
    """The addresses and host names that lead to this Service from outside on its own ports."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    given = [each.get("ip") or each.get("hostname") or "" for each in ingress]
    return [each for each in [*((service.get("spec") or {}).get("externalIPs") or []), *given] if each]


def ports_listened_on(here: Here, pod: Object) -> frozenset[int]:
    """The ports on which the proxy in this Pod listens, as its own admin page says."""
    page = here.envoy_page(pod, "listeners?format=json", _LISTENERS)
    sockets = [
        (each.get("local_address") or {}).get("socket_address") or {} for each in page.get("listener_statuses") or []
    ]
    return frozenset(socket["port_value"] for socket in sockets if "port_value" in socket)


def _own(service: Object) -> list[str]:
    spec = service.get("spec") or {}
    return [each for each in [*(spec.get("clusterIPs") or []), spec.get("clusterIP") or ""] if each not in ("", "None")]


def _is_ambient(service: Object) -> bool:
    ports = {each["port"] for each in (service.get("spec") or {}).get("ports") or []}
    return _HBONE in ports and tls_port(service) not in ports


def _template_labels(deployment: Object) -> dict[str, str]:
    return (deployment["spec"]["template"].get("metadata") or {}).get("labels") or {}


def _ref(kind: Kind, live: Object) -> Ref:
    return Ref(kind, str(live["metadata"]["name"]), str(live["metadata"]["namespace"]))
