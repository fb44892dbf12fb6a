"""Honest traffic: who answers follows from what stands in the clusters, with the failures that Istio and Envoy really show.

A sidecar sees the mesh through the istiod that serves it: the endpoints of the clusters which that one reads, each behind a
gateway where its network is another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from wizard.clusters.kinds import NAMESPACE, POD, SERVICE, Object, Ref
from wizard.mesh.model import GATEWAY_TLS_PORT, NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.objects.pods import is_ready
from wizard.simulated import istiod, network, proxies, registry
from wizard.simulated.machine import Machine, Registration
from wizard.simulated.network import Reached
from wizard.simulated.registry import parsed

SYNC_SECONDS = 5.0  # until istiod has read a peer whose remote secret is new
SAMPLE_PORT = 5000
CERTIFICATE = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection "
    "failure, transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:"
    "TLS_error_end"
)
REFUSED = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection "
    "failure, transport failure reason: delayed connect error: Connection refused"
)
RESET = (
    "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection "
    "failure, transport failure reason: TLS_error:|33554536:system library:OPENSSL_internal:Connection reset by peer:"
    "TLS_error_end"
)
UNHEALTHY = "no healthy upstream"


@dataclass(frozen=True)
class Upstream:
    """One endpoint as the sidecar sees it. With `answer` it answers; else `body` is what Envoy says, empty: it times out."""

    answer: str = ""
    body: str = ""


class Traffic:
    """The traffic between the machines of one universe."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines = machines

    def upstreams(self, here: Machine, client: Object, namespace: str) -> list[Upstream] | None:
        """What stands behind helloworld for a client Pod of this cluster; None where the name does not resolve."""
        for machine in self.machines:
            with machine.settled():
                pass
        if here.store.find(Ref(SERVICE, "helloworld", namespace)) is None:
            return None
        found = [Upstream(answer=_hello(pod)) for pod in _backends(here, namespace)]
        control = proxies.control_plane(here, client) if istiod.has_sidecar(client) else None
        if control is None or not registry.istiods(control):
            return found
        view = _View(here, control)
        for peer in view.known:
            if peer is not here:
                found += view.endpoints(peer, namespace)
        return found


class _View:
    """The mesh as the sidecars of one cluster see it through their istiod."""

    def __init__(self, here: Machine, control: Machine) -> None:
        self._here = here
        self._control = control
        self._trust = _trust(control)
        self._networks = networks_of(control)
        self.known = read_by(control)
        # network → whose gateway → (address, port), as istiod finds them on labelled Services
        self._labelled: dict[str, dict[Machine, list[tuple[str, int]]]] = {}
        for machine in self.known:
            for wanted, found in _labelled(machine):
                self._labelled.setdefault(wanted, {}).setdefault(machine, []).extend(found)

    def endpoints(self, peer: Machine, namespace: str) -> list[Upstream]:
        """A peer's pods."""
        pods = _backends(peer, namespace)
        if _network(peer) and _network(peer) == _network(self._here):
            return [self._directly(peer, pod) for pod in pods]
        # An endpoint without a proxy takes no mTLS, so istiod gives it to nobody on another network.
        pods = [pod for pod in pods if istiod.has_sidecar(pod)]
        if not pods:
            return []
        problem = self._beyond(peer)
        return [problem or self._answer(peer, pod) for pod in pods]

    def _directly(self, peer: Machine, pod: Object) -> Upstream:
        """By the pod's own address."""
        found = network.reach(self._here, pod["status"]["podIP"], SAMPLE_PORT)
        if found.answer == "silent" or found.machine is not peer:
            return Upstream()
        return self._answer(peer, pod) if found.answer == "open" else Upstream(body=REFUSED)

    def _answer(self, peer: Machine, pod: Object) -> Upstream:
        if istiod.has_sidecar(pod):
            server = proxies.control_plane(peer, pod)
            if server is None or self._trust[0] is None or _trust(server) != self._trust:
                return Upstream(body=CERTIFICATE)
        return Upstream(answer=_hello(pod))

    def _beyond(self, peer: Machine) -> Upstream | None:
        """What keeps the sidecars here from the pods of a peer on another network; None: nothing."""
        # Without a gateway istiod gives out the pod's own address, which leads nowhere.
        if not _network(peer) or not _network(self._here):
            return Upstream()
        gateways = self._gateways(peer, _network(peer))
        if not gateways:
            return Upstream()
        # Envoy spreads over all gateways of a network; one that fails is enough to show.
        for address, port in gateways:
            problem = _through(peer, proxies.reach(self._here, address, port))
            if problem:
                return problem
        return None

    def _gateways(self, peer: Machine, wanted: str) -> list[tuple[str, int]]:
        """Where istiod sends what is meant for the peer's network: what it finds on labelled Services goes over
        meshNetworks, the peer's own gateway first.
        """
        labelled = self._labelled.get(wanted, {})
        if peer in labelled:
            return labelled[peer]
        entry = self._networks.get(wanted) or {}
        listed = [
            (str(gateway.get("address")), int(gateway.get("port") or 0)) for gateway in entry.get("gateways") or []
        ]
        if istiod.cluster_id(peer) not in [endpoint.get("fromRegistry") for endpoint in entry.get("endpoints") or []]:
            listed = []
        return [*(each for found in labelled.values() for each in found), *listed]


def _through(peer: Machine, found: Reached) -> Upstream | None:
    """What a gateway that was reached makes of it; None: it passes on to the peer's pods."""
    if found.answer == "silent":
        return Upstream()
    if found.answer == "refused" or found.machine is None or not found.pods:
        return Upstream(body=REFUSED)
    control = proxies.control_plane(found.machine, found.pods[0])
    passes = any(
        (server.get("tls") or {}).get("mode") == "AUTO_PASSTHROUGH"
        and control is not None
        and any(fnmatch(_service(control), str(host)) for host in server.get("hosts") or [])
        for _, server in proxies.servers(found)
    )
    if control is None or not passes or not _leads_to(found.machine, control, peer):
        return Upstream(body=RESET)
    return None


def _leads_to(there: Machine, control: Machine, peer: Machine) -> bool:
    """Whether a gateway of one machine passes on to the pods of another: they share network and wires, and are known."""
    if there is peer:
        return True
    return _network(there) == _network(peer) and network.connected(there, peer) and peer in read_by(control)


def read_by(control: Machine) -> list[Machine]:
    """The machines whose endpoints istiod here knows: its own, and those it reads."""
    found = [control]
    for one in _registered(control):
        there = registry.cluster_of(control, one) if synced(control, one) else None
        if there and there not in found and istiod.cluster_id(there) == one.name:
            found.append(there)
    return found


def remote_clusters(here: Machine) -> list[Object]:
    """The clusters that istiod here reads, as its `/debug/clusterz` tells."""
    told: list[Object] = [{"id": istiod.cluster_id(here), "syncStatus": "synced"}]
    for one in _registered(here):
        done = synced(here, one) and registry.cluster_of(here, one) is not None
        status = "closed" if one.closed else "synced" if done else "syncing"
        told.append({"id": one.name, "secretName": f"{SYSTEM_NAMESPACE}/{one.secret}", "syncStatus": status})
    return told


def _registered(control: Machine) -> list[Registration]:
    with control.settled():
        return list(registry.refresh(control).values())


def synced(here: Machine, one: Registration) -> bool:
    """Whether istiod has had the time to read the cluster."""
    return here.pace.now() >= one.born + SYNC_SECONDS * here.pace.speed


def networks_of(here: Machine) -> dict[str, Any]:
    """The meshNetworks that istiod here works with."""
    with here.settled():
        return dict(parsed(istiod.mesh_config(here).get("meshNetworks", "")).get("networks") or {})


def _trust(control: Machine) -> tuple[bytes | None, str]:
    mesh = parsed(istiod.mesh_config(control).get("mesh", ""))
    return istiod.root_of(control), str(mesh.get("trustDomain") or "cluster.local")


def _service(control: Machine) -> str:
    """A Service of the mesh as istiod here names it."""
    return f"helloworld.sample.svc.{istiod.domain(control)}"


def _network(machine: Machine) -> str:
    record = machine.store.find(Ref(NAMESPACE, SYSTEM_NAMESPACE))
    return str((record.manifest["metadata"].get("labels") or {}).get(NETWORK_LABEL, "")) if record else ""


def _backends(machine: Machine, namespace: str) -> list[Object]:
    """The ready pods behind this cluster's own helloworld Service."""
    service = machine.store.find(Ref(SERVICE, "helloworld", namespace))
    selector = (service.manifest["spec"].get("selector") or {}) if service else {}
    return [
        record.manifest
        for record in machine.store.all(POD, namespace)
        if selector
        and is_ready(record.manifest)
        and selector.items() <= (record.manifest["metadata"].get("labels") or {}).items()
    ]


def _hello(pod: Object) -> str:
    version = (pod["metadata"].get("labels") or {}).get("version", "v1")
    for container in pod["spec"]["containers"]:
        for variable in container.get("env") or []:
            if variable["name"] == "SERVICE_VERSION":
                version = variable.get("value", version)
    return f"Hello version: {version}, instance: {pod['metadata']['name']}"


def _labelled(machine: Machine) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    for record in machine.store.all(SERVICE):
        wanted = (record.manifest["metadata"].get("labels") or {}).get(NETWORK_LABEL)
        addresses = [*network.addresses_of(record.manifest), *(record.manifest["spec"].get("externalIPs") or [])]
        if wanted and addresses:
            yield wanted, [(address, GATEWAY_TLS_PORT) for address in addresses]
