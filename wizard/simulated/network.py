"""The wires between the simulated machines: what answers at an address for whoever asks from a pod of one of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from wizard.clusters.kinds import ENDPOINT_SLICE, POD, SERVICE, Object, Ref
from wizard.objects.pods import is_ready
from wizard.simulated.machine import Machine
from wizard.simulated.pods import containers

Answer = Literal["open", "refused", "silent"]
SIDECAR = "istio-proxy"
_API_PORT = 6443


@dataclass(frozen=True)
class Reached:
    """How far a connection got. `machine` and `port` (as whoever answers numbers it): where it ended; `pods`: who stands
    there, none for the API server itself.
    """

    answer: Answer
    machine: Machine | None = None
    port: int = 0
    pods: tuple[Object, ...] = ()

    @property
    def is_api(self) -> bool:
        """Whether an API server answered."""
        return self.answer == "open" and not self.pods


SILENT = Reached("silent")


def reach(here: Machine, address: str, port: int) -> Reached:
    """What a connection from a pod (or the API server) of this machine meets. Whether a proxy that is met listens on the
    port depends on what its control plane tells it, see `wizard.simulated.proxies`.
    """
    return _own_service(here, address, port) or _across(here, address, port) or SILENT


def machine_at(here: Machine, address: str) -> Machine | None:
    """The machine whose node has this address."""
    return here.universe.nodes.get(address)


def _own_service(here: Machine, address: str, port: int) -> Reached | None:
    """kube-proxy takes what is meant for its own Services before anything leaves the node."""
    owner = here.store.admission.owner(address)
    return _service(here, owner, port) if owner else None


def _across(here: Machine, address: str, port: int) -> Reached | None:
    there = machine_at(here, address)
    if there is not None:
        return SILENT if _dropped(here, there, port) else _node(there, port)
    for there in here.universe.machines:
        for ref in _services(there, address, "ingress") if there.load_balancer else ():
            return SILENT if _dropped(here, there, port) else _service(there, ref, port)
        if there is here or connected(here, there):
            for place, own in list(there.pod_addresses.items()):
                if own == address:
                    return _pod(there, Ref(POD, place[1], place[0]), port)
    return _routed(here, address, port)


def _dropped(here: Machine, there: Machine, port: int) -> bool:
    return there is not here and port in there.blocked_ports


def connected(here: Machine, there: Machine) -> bool:
    """Whether the pods of two machines reach each other directly: one pod network, and no address in it twice."""
    return here is there or (
        here.pod_network is not None and here.pod_network == there.pod_network and here.pod_cidr != there.pod_cidr
    )


def _routed(here: Machine, address: str, port: int) -> Reached | None:
    try:
        asked = ipaddress.ip_address(address)
    except ValueError:
        return None
    for cidr, gateway in list(here.routes.items()):
        if asked in ipaddress.ip_network(cidr):
            there = machine_at(here, gateway)
            if there is None or _dropped(here, there, port):
                return SILENT
            owner = there.store.admission.owner(address)
            return _service(there, owner, port) if owner else SILENT
    _miss(here, asked)
    return None


def _miss(here: Machine, asked: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Somebody who watches lays the missing route after a while, if there is anybody."""
    if here.universe.person is None:
        return
    for there in here.universe.machines:
        if there is not here and asked in ipaddress.ip_network(there.service_cidr):
            since = here.missed_routes.setdefault(there.service_cidr, here.pace.now())
            if here.pace.now() >= since + here.universe.person * here.pace.speed:
                here.routes[there.service_cidr] = there.node_address


def _node(there: Machine, port: int) -> Reached:
    if port == _API_PORT:
        return Reached("refused" if there.unreachable else "open", there, port)
    for ref in _services(there, there.node_address, "external"):
        found = _service(there, ref, port)
        if found is not None:
            return found
    for ref in _services(there, "", "node"):
        for each in _spec(there, ref).get("ports") or []:
            if each.get("nodePort") == port:
                return _behind(there, ref, each)
    return Reached("refused", there, port)


def _services(there: Machine, address: str, how: str) -> Iterator[Ref]:
    for record in there.store.all(SERVICE):
        manifest = record.manifest
        ref = Ref(SERVICE, manifest["metadata"]["name"], manifest["metadata"]["namespace"])
        spec = manifest["spec"]
        if how == "node" and spec.get("type") in ("NodePort", "LoadBalancer"):
            yield ref
        if how == "external" and address in (spec.get("externalIPs") or []):
            yield ref
        if how == "ingress" and address in addresses_of(manifest):
            yield ref


def addresses_of(service: Object) -> list[str]:
    """What a load balancer gave this Service."""
    given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [str(each["ip"]) for each in given if each.get("ip")]


def _spec(there: Machine, ref: Ref) -> Object:
    record = there.store.find(ref)
    return record.manifest["spec"] if record else {}


def _service(there: Machine, ref: Ref, port: int) -> Reached | None:
    """None where the Service has no such port: the address is nobody's, as far as this port goes."""
    for each in _spec(there, ref).get("ports") or []:
        if each["port"] == port:
            return _behind(there, ref, each)
    return None


def _behind(there: Machine, ref: Ref, port: Object) -> Reached:
    target = int(port.get("targetPort") or port["port"])
    selector = _spec(there, ref).get("selector") or {}
    if ref.name == "kubernetes" and ref.namespace == "default":
        return Reached("refused" if there.unreachable else "open", there, _API_PORT)
    if not selector:
        return _listed(there, ref, port)
    pods = tuple(
        record.manifest
        for record in there.store.all(POD, ref.namespace)
        if is_ready(record.manifest) and selector.items() <= (record.manifest["metadata"].get("labels") or {}).items()
    )
    return Reached("open" if pods else "refused", there, target, pods)


def _listed(there: Machine, ref: Ref, port: Object) -> Reached:
    """A Service without a selector leads to what its EndpointSlices list."""
    for record in there.store.all(ENDPOINT_SLICE, ref.namespace, f"kubernetes.io/service-name={ref.name}"):
        listed = [each for each in record.manifest.get("ports") or [] if each.get("name", "") == port.get("name", "")]
        for endpoint in record.manifest.get("endpoints") or [] if listed else []:
            for address in endpoint.get("addresses") or []:
                return _across(there, str(address), int(listed[0]["port"])) or SILENT
    return Reached("refused", there)


def _pod(there: Machine, ref: Ref, port: int) -> Reached:
    record = there.store.find(ref)
    if record is None:
        return SILENT
    pod = record.manifest
    if (pod.get("status") or {}).get("phase") != "Running":
        return Reached("refused", there, port)
    # A sidecar takes whatever comes in.
    ports = {each["containerPort"] for container in containers(pod) for each in container.get("ports") or []}
    listens = port in ports or any(container["name"] == SIDECAR for container in containers(pod))
    return Reached("open" if listens else "refused", there, port, (pod,))
