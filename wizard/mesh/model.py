"""The mesh as the user wants it, frozen. Everything else is derived from it; no name is typed twice."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from wizard.mesh.tolerations import Toleration

API_VERSION = "meshwizard/v1"
SYSTEM_NAMESPACE = "istio-system"
NETWORK_LABEL = "topology.istio.io/network"
GATEWAY_NAME = "istio-eastwestgateway"
GATEWAY_TLS_PORT = 15443
BY_OTHERS = "by-others"
DEFAULT_NODE_PORT = 31443
NODE_PORTS = range(30000, 32768)  # kube-apiserver's default --service-node-port-range; another cluster may have another


@dataclass(frozen=True)
class Gateway:
    """How other clusters reach this cluster's east-west gateway. `None`: to be found.

    `address`: a node's (node-port, external-ips), the Service's own (cluster-ip-route), or one that stands for what the
    load balancer gives (load-balancer; None: peers use what it gives). `port`: the NodePort. `node`: the node address
    over which other clusters' nodes route to this cluster's Services (cluster-ip-route). `more`: further addresses like
    `address`, of which any will do. `gone`: those of them that a node had when the mesh was last worked on, and none has now
    (no part of the mesh file). `annotations`: of its Service.
    """

    exposure: str = "node-port"
    address: str | None = None
    port: int | None = None
    node: str | None = None
    more: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """All that are known; none while the first is to be found."""
        return () if self.address is None else (self.address, *self.more)

    @property
    def tls_port(self) -> int | None:
        """The port on which peers reach it; None: a NodePort to be found."""
        return self.port if self.exposure == "node-port" else GATEWAY_TLS_PORT

    @property
    def labelled(self) -> bool:
        """Whether istiod learns the address from the Service, which then carries the network label; else from
        meshNetworks. Never both: istiod would use the two side by side.
        """
        return self.exposure == "load-balancer" and self.address is None


@dataclass(frozen=True)
class Cluster:
    """One member of the mesh. `name` is its clusterName, remote secret, meshNetworks registry and injection path."""

    name: str
    context: str
    network: str
    kubeconfig: Path | None = None  # None: the kubeconfig that kubectl would use
    role: str = "primary"
    primary: str | None = None  # of a remote: the cluster whose istiod serves it
    discovery: str | None = None  # of a remote: where it reaches that istiod; None: where its gateway is reached
    api_server: str | None = None  # the address that the *other* clusters use; None: the kubeconfig's
    service_cidr: str | None = None  # the range of its Services' addresses; known only where somebody routes there
    gateway: Gateway = field(default_factory=Gateway)
    sample: str | None = None  # the helloworld version it runs; None: by its place among the clusters
    overlays: tuple[Path, ...] = ()  # of this cluster alone, merged over those of the mesh


@dataclass(frozen=True)
class Istio:
    """Which Istio every cluster of the mesh gets, and from where."""

    version: str | None = None  # None: that of the istioctl found
    revision: str | None = None
    hub: str = "docker.io/istio"
    image_pull_policy: str = "IfNotPresent"
    pull_secret: str | None = None  # the name of the Secret with which images are pulled
    pull_secret_file: Path | None = None  # its content; None: the Secret is there already
    overlays: tuple[Path, ...] = ()
    installed: str | None = None  # BY_OTHERS: it is looked at only


@dataclass(frozen=True)
class Certificates:
    """Where the clusters' certificates come from. `source`: generate, directory, existing, offline."""

    source: str = "generate"
    path: Path | None = None  # generate: where the root key is kept; directory, offline: where the certificates are


@dataclass(frozen=True)
class Verify:
    """The sample whose traffic proves the mesh, and the probes before it."""

    namespace: str = "sample"
    hub: str = "docker.io/istio"
    curl_image: str | None = None  # None: derived from the hub
    probes: str = "before"  # whether addresses are probed from inside the clusters before they are needed, or "never"


@dataclass(frozen=True)
class Mesh:
    """A mesh as it is wanted: what the mesh file says, checked. Names of clusters and contexts are unique in it. Where it is
    settled (`wizard.resolve`), every gateway has an address and a port.
    """

    name: str
    clusters: tuple[Cluster, ...]
    topology: str = "multi-primary"
    trust_domain: str = "cluster.local"
    istio: Istio = field(default_factory=Istio)
    certificates: Certificates = field(default_factory=Certificates)
    verify: Verify = field(default_factory=Verify)
    tolerations: tuple[Toleration, ...] = ()  # of every Pod that is made: istiod, gateway, probes, sample

    @property
    def adopted(self) -> bool:
        """Whether others made it: what they made is neither changed nor taken back."""
        return self.istio.installed == BY_OTHERS

    def cluster(self, name: str) -> Cluster:
        """The cluster of that name; KeyError if there is none."""
        for cluster in self.clusters:
            if cluster.name == name:
                return cluster
        raise KeyError(name)

    def peers(self, name: str) -> tuple[Cluster, ...]:
        """Every other cluster, in the mesh file's order."""
        return tuple(cluster for cluster in self.clusters if cluster.name != name)

    @property
    def primaries(self) -> tuple[Cluster, ...]:
        """The clusters that run their own istiod."""
        return tuple(cluster for cluster in self.clusters if cluster.role == "primary")

    def remotes_of(self, name: str) -> tuple[Cluster, ...]:
        """The remotes that this cluster's istiod serves."""
        return tuple(cluster for cluster in self.clusters if cluster.role == "remote" and cluster.primary == name)

    def control_plane(self, name: str) -> Cluster:
        """The cluster whose istiod serves this one: itself, or its primary."""
        cluster = self.cluster(name)
        return self.cluster(str(cluster.primary)) if cluster.role == "remote" else cluster

    def beyond(self, name: str) -> tuple[Cluster, ...]:
        """The clusters on other networks than this one: their pods are reached through their gateways only."""
        network = self.cluster(name).network
        return tuple(cluster for cluster in self.clusters if cluster.network != network)

    def read_by(self, name: str) -> tuple[Cluster, ...]:
        """The clusters whose API servers this cluster's istiod reads: a primary reads all others, a remote has none."""
        return self.peers(name) if self.cluster(name).role == "primary" else ()

    def routed_from(self, name: str) -> tuple[Cluster, ...]:
        """The clusters whose Service addresses this cluster's nodes must have a route to."""
        cluster, control = self.cluster(name), self.control_plane(name)
        used = list(self.beyond(name))
        if control is not cluster and cluster.discovery is None and control not in used:
            used.append(control)
        return tuple(target for target in used if target.gateway.exposure == "cluster-ip-route")

    def has_gateway(self, name: str) -> bool:
        """Whether this cluster needs an east-west gateway: for pods of other networks, or for its remotes' proxies."""
        primaries = (str(cluster.primary) for cluster in self.clusters if cluster.role == "remote")
        return needs_gateway(
            name, self.cluster(name).network, (cluster.network for cluster in self.clusters), primaries
        )

    def overlays_of(self, name: str) -> tuple[Path, ...]:
        """The IstioOperator files for this cluster, in the order of merging: those of the mesh, then its own."""
        return self.istio.overlays + self.cluster(name).overlays

    def sample_version(self, name: str) -> str:
        """The helloworld version that this cluster runs, so that an answer tells where it came from: v1 in the first
        cluster, v2 in the second, and so on; a version once given is kept.
        """
        return _sample_versions(self.clusters)[name]

    def with_cluster(self, cluster: Cluster) -> Mesh:
        """This mesh with the cluster of the same name replaced."""
        return replace(self, clusters=tuple(cluster if old.name == cluster.name else old for old in self.clusters))


def needs_gateway(name: object, network: object, networks: Iterable[object], primaries: Iterable[object]) -> bool:
    """Whether the cluster of that name on that network needs an east-west gateway: for Pods on other `networks` than its own, or
    for the proxies of remotes, since it is one of their `primaries`. Of the clusters of a mesh, or of a document that grows.
    """
    return any(other != network for other in networks) or name in primaries


@functools.lru_cache(maxsize=64)
def _sample_versions(clusters: tuple[Cluster, ...]) -> dict[str, str]:
    given = {cluster.sample for cluster in clusters if cluster.sample}
    free = (version for version in (f"v{number}" for number in itertools.count(1)) if version not in given)
    return {cluster.name: cluster.sample or next(free) for cluster in clusters}
