"""What an istiod tells a proxy of the mesh: the Services that it is to see, and the endpoints of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import lcm
from typing import Any, Literal

from wizard.clusters.kinds import ENDPOINT_SLICE, POD, SERVICE, Object, Ref
from wizard.objects.pods import is_ready
from wizard.simulated import authentication, istiod, mesh, proxies, registry, rules, scope
from wizard.simulated.machine import Machine
from wizard.simulated.mesh import Gateway, Locality
from wizard.simulated.network import SIDECAR

Tls = Literal["mutual", "simple", "plain"]
_RAW = frozenset(
    {"tcp", "tls", "https", "mongo", "mysql", "redis", "udp"}
)  # protocols that proxies do not read as HTTP
_PREFERRED = "networking.istio.io/traffic-distribution"


@dataclass(frozen=True)
class Port:
    """A port of a Service. `http`: whether proxies read HTTP there, since nobody says that it is something else."""

    number: int
    name: str
    http: bool


@dataclass(frozen=True)
class Service:
    """A Service as istiod merges it from all clusters: what the first of them says that has it. `host`: its name in full."""

    namespace: str
    name: str
    host: str
    manifest: Object

    @cached_property
    def ports(self) -> dict[int, Port]:
        """By number."""
        return {
            each["port"]: Port(each["port"], each.get("name", ""), _reads_http(each))
            for each in self.manifest["spec"].get("ports") or []
            if each.get("protocol", "TCP") == "TCP"
        }

    @property
    def headless(self) -> bool:
        """Whether its name leads to its Pods."""
        return bool(self.manifest["spec"].get("clusterIP") == "None")


@dataclass(frozen=True)
class Backend:
    """What stands behind a Service in one cluster, ready. `pod`: None for an address that only an EndpointSlice tells."""

    machine: Machine
    address: str
    port: int
    pod: Object | None = None


@dataclass(frozen=True)
class Endpoint:
    """One address that a proxy sends requests for a host to. `cluster`: the id of the cluster that it is of, for a gateway that
    of the one whose Service tells of it; `network`: into which it leads; `peers`: whose Pods stand behind a gateway, none:
    it is a Pod's own address. `healthy`: no outlier detection has put it out.
    """

    address: str
    port: int
    cluster: str
    network: str
    locality: Locality
    tls: Tls
    weight: int = 1
    priority: int = 0
    healthy: bool = True
    peers: tuple[Machine, ...] = ()
    backend: Backend | None = None


class View:
    """The mesh as an istiod, that on `control`, tells it to the proxy in this Pod. `kept`: the clusters that it told the proxy of
    before it went away.
    """

    def __init__(self, machine: Machine, pod: Object, control: Machine, kept: Sequence[Machine] | None = None) -> None:
        self._kept = kept
        self.machine = machine
        self.pod = pod
        self.control = control
        self.namespace = str(pod["metadata"]["namespace"])
        self.labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
        self.network = registry.environment(pod["spec"], SIDECAR).get("ISTIO_META_NETWORK", "")

    @cached_property
    def known(self) -> Sequence[Machine]:
        """The clusters whose endpoints istiod knows."""
        return mesh.read_by(self.control) if self._kept is None else self._kept

    @cached_property
    def config(self) -> dict[str, Any]:
        """The meshConfig."""
        return mesh.config_of(self.control)

    @cached_property
    def root(self) -> str:
        """The namespace whose configuration is the whole mesh's."""
        return mesh.root_of(self.config)

    @cached_property
    def domain(self) -> str:
        """The domain of all Services."""
        return istiod.domain(self.control)

    @cached_property
    def sidecar(self) -> Object | None:
        """The Sidecar that is the proxy's; gateways have none."""
        if proxies.is_gateway(self.pod):
            return None
        return scope.sidecar_of(self.control, self.namespace, self.labels, self.root)

    @cached_property
    def gateways(self) -> mesh.Gateways:
        """The ways into other networks."""
        return mesh.Gateways(self.control, self.known)

    def service(self, namespace: str, name: str) -> Service | None:
        """A Service of the mesh; None where none of the clusters has it."""
        ref = Ref(SERVICE, name, namespace)
        record = self.control.store.find(ref)
        if record is None:
            record = next(filter(None, (machine.store.find(ref) for machine in self.known)), None)
        return self._merged(record.manifest) if record else None

    def services(self) -> list[Service]:
        """All that the proxy is to see."""
        found: dict[tuple[str, str], Object] = {}
        for machine in self.known:
            for record in machine.store.all(SERVICE):
                metadata = record.manifest["metadata"]
                found.setdefault((metadata["namespace"], metadata["name"]), record.manifest)
        return [service for service in map(self._merged, found.values()) if self.sees(service)]

    def _merged(self, manifest: Object) -> Service:
        name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
        return Service(namespace, name, f"{name}.{namespace}.svc.{self.domain}", manifest)

    def named(self, host: str) -> Service | None:
        """The Service of this host in full; None where the mesh has none."""
        name, _, rest = host.partition(".")
        namespace, _, domain = rest.partition(".svc.")
        return self.service(namespace, name) if domain == self.domain else None

    def sees(self, service: Service, port: int | None = None) -> bool:
        """Whether the proxy is told of the Service. `port`: and of this port of it."""
        return scope.is_exported(service.manifest, self.namespace) and scope.imports(
            self.sidecar, self.namespace, service.namespace, service.host, port
        )

    def rule(self, service: Service) -> Object | None:
        """The DestinationRule by which the proxy reaches the Service."""
        return rules.rule_of(
            self.control,
            service.host,
            service.namespace,
            self.namespace,
            self.labels,
            root=self.root,
            domain=self.domain,
        )

    def mutual(self, backend: Backend, forced: str | None) -> bool:
        """Whether proxies speak Istio's mTLS to what stands there. `forced`: what a DestinationRule prescribes."""
        if forced is not None:
            return forced == rules.MUTUAL
        if backend.pod is None or not istiod.has_sidecar(backend.pod):
            return False
        metadata = backend.pod["metadata"]
        labels = metadata.get("labels") or {}
        told = authentication.mode(self.control, metadata["namespace"], labels, backend.port, self.root)
        return told != authentication.DISABLE

    def endpoints(self, service: Service, port: Port, subset: str = "") -> list[Endpoint] | None:
        """The endpoints of a Service's port, or of a subset of it; None where there is no such subset."""
        rule = self.rule(service)
        labels = rules.subset_labels(rule, subset)
        if labels is None:
            return None
        forced = rules.tls_mode(rule, subset, port.number)
        local = mesh.is_cluster_local(self.config, service.host, self.domain)
        found: list[Endpoint] = []
        ways: dict[
            tuple[Locality, Gateway], list[tuple[Machine, int]]
        ] = {}  # → of how many gateways it is one, each time
        for machine in self.known:
            if local and machine is not self.machine:
                continue
            for backend in backends(machine, service, port, labels):
                mutual = self.mutual(backend, forced)
                into = mesh.network_of(machine, backend.pod)
                gateways = [] if self._within(into) else self.gateways.into(into, machine)
                if not gateways:
                    # Without a gateway it gives out the Pod's own address, though that may lead nowhere.
                    tls: Tls = "mutual" if mutual else "plain" if forced in (None, "DISABLE") else "simple"
                    id_ = istiod.cluster_id(machine) or ""
                    where = mesh.locality_of(machine)
                    found.append(Endpoint(backend.address, backend.port, id_, into, where, tls, backend=backend))
                # A gateway passes on by what mTLS tells: who takes none is given to nobody on another network.
                elif mutual:
                    for gateway in gateways:
                        way = ways.setdefault((mesh.locality_of(machine), gateway), [])
                        way.append((machine, len(gateways)))
        found = _weighed(found, ways)
        return self._in_order(found, service, port, subset, rule)

    def _within(self, network: str) -> bool:
        """Whether the proxy reaches Pods of that network directly; who has no network is everywhere."""
        return not network or not self.network or network == self.network

    def _in_order(
        self, found: list[Endpoint], service: Service, port: Port, subset: str, rule: Object | None
    ) -> list[Endpoint]:
        """With priorities, where what is near is to come first."""
        failover = rules.fails_over(rule, subset, port.number)
        near = mesh.locality_of(self.machine)
        if not rules.looks_at_places(rule, subset, port.number, self.config):
            return found
        if _prefers_close(service.manifest):
            # The network goes over the place: `topology.istio.io/network` is the first of the labels compared.
            mine = (mesh.network_of(self.machine, self.pod), *near[:2])
            ranks = [_apart(mine, (each.network, *each.locality[:2])) for each in found]
        elif failover:
            ranks = [_apart(near, each.locality) for each in found]
        else:
            return found
        levels = sorted(set(ranks))
        return [replace(each, priority=levels.index(rank)) for each, rank in zip(found, ranks, strict=True)]


def _weighed(
    found: list[Endpoint], ways: Mapping[tuple[Locality, Gateway], list[tuple[Machine, int]]]
) -> list[Endpoint]:
    """Each Pod has the same weight, which the gateways that lead to it share."""
    whole = lcm(*(count for way in ways.values() for _, count in way))
    through = [
        Endpoint(
            gateway.address, gateway.port, gateway.cluster, gateway.network, locality, "mutual",
            weight=sum(whole // count for _, count in way), peers=tuple(dict.fromkeys(machine for machine, _ in way)),
        )
        for (locality, gateway), way in ways.items()
    ]  # fmt: skip
    return [*(replace(each, weight=whole) for each in found), *through]


def _apart(mine: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How far apart two places are: 0 the same, more the earlier they differ."""
    return next(
        (len(mine) - place for place, pair in enumerate(zip(mine, other, strict=True)) if pair[0] != pair[1]), 0
    )


def _prefers_close(service: Object) -> bool:
    annotation = (service["metadata"].get("annotations") or {}).get(_PREFERRED)
    told = str(annotation or service["spec"].get("trafficDistribution") or "")
    return told.startswith("Prefer")


def _reads_http(port: Object) -> bool:
    told = str(port.get("appProtocol") or port.get("name") or "").lower()
    return told.partition("-")[0] not in _RAW


def backends(machine: Machine, service: Service, port: Port, labels: Mapping[str, str]) -> Iterator[Backend]:
    """What stands behind a Service in a cluster, where its own Service has a port of that name: it is the name by which istiod
    matches them. `labels`: what Pods must have beside.
    """
    record = machine.store.find(Ref(SERVICE, service.name, service.namespace))
    for each in (record.manifest["spec"].get("ports") or []) if record else ():
        if each.get("name", "") == port.name:
            yield from _behind(machine, record.manifest if record else {}, each, labels)


def own_backends(machine: Machine, namespace: str, name: str, number: int) -> list[Backend] | None:
    """What kube-proxy leads to from a Service of its cluster; None where that has no such port."""
    record = machine.store.find(Ref(SERVICE, name, namespace))
    ports = [each for each in record.manifest["spec"].get("ports") or [] if each["port"] == number] if record else []
    if record is None or not ports:
        return None
    return list(_behind(machine, record.manifest, ports[0], {}))


def _behind(machine: Machine, service: Object, port: Object, labels: Mapping[str, str]) -> Iterator[Backend]:
    metadata, selector = service["metadata"], service["spec"].get("selector") or {}
    if not selector:
        yield from _listed(machine, metadata["namespace"], metadata["name"], port)
        return
    target = port.get("targetPort") or port["port"]
    wanted = {**selector, **labels}
    for record in machine.store.all(POD, metadata["namespace"]):
        pod = record.manifest
        if is_ready(pod) and wanted.items() <= (pod["metadata"].get("labels") or {}).items():
            yield Backend(machine, pod["status"]["podIP"], _number(target, pod, port["port"]), pod)


def _number(target: int | str, pod: Object, otherwise: int) -> int:
    if isinstance(target, int):
        return target
    named = (each for container in pod["spec"]["containers"] for each in container.get("ports") or [])
    return next((int(each["containerPort"]) for each in named if each.get("name") == target), otherwise)


def _listed(machine: Machine, namespace: str, name: str, port: Object) -> Iterator[Backend]:
    if (namespace, name) == ("default", "kubernetes"):
        yield Backend(machine, machine.node_address, int(port.get("targetPort") or port["port"]))
    for record in machine.store.all(ENDPOINT_SLICE, namespace, f"kubernetes.io/service-name={name}"):
        numbers = [each["port"] for each in record.manifest.get("ports") or [] if each.get("name") == port.get("name")]
        for endpoint in record.manifest.get("endpoints") or [] if numbers else ():
            for address in endpoint.get("addresses") or []:
                yield Backend(machine, str(address), int(numbers[0]))
