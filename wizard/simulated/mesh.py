"""What an istiod knows of the mesh: the clusters that it reads, their networks, and the gateways into these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wizard.clusters.kinds import NAMESPACE, NODE, SERVICE, Object, Ref
from wizard.istio.versions import minor_of
from wizard.mesh.model import GATEWAY_TLS_PORT, NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.simulated import istiod, network, registry
from wizard.simulated.machine import Machine, Registration
from wizard.simulated.registry import parsed
from wizard.simulated.scope import closest

_PLACES = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")

Locality = tuple[str, str, str]  # region, zone, subzone


@dataclass(frozen=True)
class Gateway:
    """The way into a network. `cluster`: the id of the one whose Service tells of it, empty where meshNetworks do."""

    address: str
    port: int
    network: str
    cluster: str = ""


def read_by(control: Machine) -> list[Machine]:
    """The machines whose endpoints istiod here knows: its own, and those it reads."""
    found = [control]
    for one in registrations(control):
        there = registry.known(control, one)
        if there and there not in found and istiod.cluster_id(there) == one.name:
            found.append(there)
    return found


def leads_to(there: Machine, control: Machine, peer: Machine) -> bool:
    """Whether a gateway of one machine passes on to the pods of another: they share network and wires, and are known."""
    if there is peer:
        return True
    same = network_of(there) == network_of(peer)
    return same and network.connected(there, peer) and peer in read_by(control)


def registrations(control: Machine) -> list[Registration]:
    """The clusters that istiod here reads, or would like to."""
    with control.settled():
        return list(registry.refresh(control).values())


def config_of(control: Machine) -> dict[str, Any]:
    """The meshConfig that istiod here works with."""
    return parsed(istiod.mesh_config(control).get("mesh", ""))


def root_of(config: dict[str, Any]) -> str:
    """The namespace whose configuration is the whole mesh's."""
    return str(config.get("rootNamespace") or SYSTEM_NAMESPACE)


def networks_of(here: Machine) -> dict[str, Any]:
    """The meshNetworks that istiod here works with."""
    with here.settled():
        return dict(parsed(istiod.mesh_config(here).get("meshNetworks", "")).get("networks") or {})


def network_of(machine: Machine, pod: Object | None = None) -> str:
    """The network of a cluster, or of the Pod in it, as istiods see it."""
    own = ((pod or {}).get("metadata", {}).get("labels") or {}).get(NETWORK_LABEL)
    if own:
        return str(own)
    record = machine.store.find(Ref(NAMESPACE, SYSTEM_NAMESPACE))
    return str((record.manifest["metadata"].get("labels") or {}).get(NETWORK_LABEL, "")) if record else ""


def locality_of(machine: Machine) -> Locality:
    """Where the cluster's node is."""
    record = machine.store.find(Ref(NODE, machine.node_name))
    labels = (record.manifest["metadata"].get("labels") or {}) if record else {}
    region, zone, subzone = (str(labels.get(name, "")) for name in _PLACES)
    return region, zone, subzone


class Gateways:
    """The gateways that an istiod knows."""

    def __init__(self, control: Machine, known: Sequence[Machine]) -> None:
        self._networks = networks_of(control)
        self._labelled: dict[str, dict[Machine, list[Gateway]]] = {}  # network → whose → as labelled Services tell
        for machine in known:
            for gateway in labelled(machine):
                self._labelled.setdefault(gateway.network, {}).setdefault(machine, []).append(gateway)

    def into(self, wanted: str, peer: Machine) -> list[Gateway]:
        """Where istiod sends what is meant for the peer's Pods on that network: what it finds on labelled Services goes over
        meshNetworks, the peer's own gateway first.
        """
        labelled = self._labelled.get(wanted, {})
        if peer in labelled:
            return labelled[peer]
        entry = self._networks.get(wanted) or {}
        listed = [
            Gateway(str(gateway.get("address")), int(gateway.get("port") or 0), wanted)
            for gateway in entry.get("gateways") or []
        ]
        if istiod.cluster_id(peer) not in [endpoint.get("fromRegistry") for endpoint in entry.get("endpoints") or []]:
            listed = []
        return [*(each for found in labelled.values() for each in found), *listed]


def labelled(machine: Machine) -> Iterator[Gateway]:
    """The gateways that a cluster's labelled Services tell of."""
    for record in machine.store.all(SERVICE):
        wanted = (record.manifest["metadata"].get("labels") or {}).get(NETWORK_LABEL)
        addresses = [*network.addresses_of(record.manifest), *(record.manifest["spec"].get("externalIPs") or [])]
        for address in addresses if wanted else ():
            yield Gateway(address, GATEWAY_TLS_PORT, str(wanted), istiod.cluster_id(machine) or "")


def is_cluster_local(config: dict[str, Any], host: str, domain: str) -> bool:
    """Whether the host's endpoints are for clients of their own cluster only: those of kube-system are, if nobody says else."""
    usual = [(f"*.kube-system.svc.{domain}", True), (f"kubernetes.default.svc.{domain}", True)]
    told = [
        (str(pattern), bool((each.get("settings") or {}).get("clusterLocal")))
        for each in config.get("serviceSettings") or []
        for pattern in each.get("hosts") or []
    ]
    place = closest([pattern for pattern, _ in [*told, *usual]], host)
    return place is not None and [*told, *usual][place][1]


def trusts(control: Machine, server: Machine | None) -> bool:
    """Whether proxies that istiod on `control` serves take the certificates of those that the one on `server` serves."""
    root = istiod.root_of(control)
    if server is None or root is None or istiod.root_of(server) != root:
        return False
    own = config_of(control)
    return trust_domain(server) in (trust_domain(control), *(own.get("trustDomainAliases") or ()))


def trust_domain(control: Machine) -> str:
    """The trust domain of the certificates that istiod here signs."""
    return str(config_of(control).get("trustDomain") or "cluster.local")


def version_of(control: Machine) -> tuple[int, int]:
    """(major, minor) of the istiod here."""
    deployment = registry.deployment(control)
    for container in deployment["spec"]["template"]["spec"]["containers"] if deployment else ():
        found = minor_of(str(container.get("image", "")).rpartition(":")[2])
        if found:
            return found
    return 0, 0
