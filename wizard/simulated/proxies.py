"""What proxies do with a connection: a gateway listens where its control plane says so, and passes on to whom that names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from wizard.clusters.kinds import ISTIO_GATEWAY, SERVICE, VIRTUAL_SERVICE, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.simulated import network
from wizard.simulated.machine import Machine
from wizard.simulated.network import Reached

_ALWAYS = {15021, 15090}  # what every gateway answers, told or not


def reach(here: Machine, address: str, port: int) -> Reached:
    """What a connection from a pod of this machine meets, proxies included."""
    found = network.reach(here, address, port)
    if found.answer != "open" or not found.pods or not all(is_gateway(pod) for pod in found.pods):
        return found
    if found.port in _ALWAYS or any(servers(found)):
        return found
    return replace(found, answer="refused")


def is_gateway(pod: Object) -> bool:
    """Whether the Pod is a gateway's proxy."""
    return (pod["metadata"].get("annotations") or {}).get("inject.istio.io/templates") == "gateway"


def control_plane(machine: Machine, pod: Object) -> Machine | None:
    """The machine whose istiod serves the proxy in this Pod."""
    metadata = pod["metadata"]
    return machine.served.get((metadata["namespace"], metadata["name"]))


def servers(found: Reached) -> Iterator[tuple[Object, Object]]:
    """(Gateway, server) for the gateway's port that was reached."""
    if found.machine is None or not found.pods:
        return
    pod = found.pods[0]
    control = control_plane(found.machine, pod)
    labels = pod["metadata"].get("labels") or {}
    for record in control.store.all(ISTIO_GATEWAY) if control else []:
        spec = record.manifest.get("spec") or {}
        if (spec.get("selector") or {}).items() <= labels.items():
            for server in spec.get("servers") or []:
                if (server.get("port") or {}).get("number") == found.port:
                    yield record.manifest, server


def istiod_at(here: Machine, service: str, port: int) -> Machine | None:
    """The machine whose istiod answers at this port of this cluster's Service of that name."""
    record = here.store.find(Ref(SERVICE, service, SYSTEM_NAMESPACE))
    if record is None:
        return None
    return _istiod_behind(reach(here, str(record.manifest["spec"].get("clusterIP")), port))


def _istiod_behind(found: Reached) -> Machine | None:
    if found.answer != "open" or found.machine is None or not found.pods:
        return None
    if (found.pods[0]["metadata"].get("labels") or {}).get("app") == "istiod":
        return found.machine
    control = control_plane(found.machine, found.pods[0])
    for gateway, server in servers(found):
        if control and (server.get("tls") or {}).get("mode") == "PASSTHROUGH":
            return _routed(control, gateway["metadata"]["name"], found.port)
    return None


def _routed(control: Machine, gateway: str, port: int) -> Machine | None:
    for record in control.store.all(VIRTUAL_SERVICE):
        spec = record.manifest.get("spec") or {}
        if gateway not in [str(name).rpartition("/")[2] for name in spec.get("gateways") or []]:
            continue
        for route in spec.get("tls") or []:
            if port in [match.get("port") for match in route.get("match") or []]:
                destination = route["route"][0]["destination"]
                host = str(destination.get("host", "")).split(".")[0]
                return istiod_at(control, host, int((destination.get("port") or {}).get("number", 0)))
    return None
