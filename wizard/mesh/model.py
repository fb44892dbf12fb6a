"""The mesh as the user wants it, frozen. Everything else is derived from it; no name is typed twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

API_VERSION = "meshwizard/v1"
SYSTEM_NAMESPACE = "istio-system"
GATEWAY_NAME = "istio-eastwestgateway"
GATEWAY_TLS_PORT = 15443
DEFAULT_NODE_PORT = 31443
NODE_PORTS = range(30000, 32768)  # kube-apiserver's default --service-node-port-range


@dataclass(frozen=True)
class Gateway:
    """How other clusters reach this cluster's east-west gateway. `None`: to be found."""

    exposure: str = "node-port"
    address: str | None = None
    port: int | None = None


@dataclass(frozen=True)
class Cluster:
    """One member of the mesh. `name` is its clusterName, remote secret, meshNetworks registry and injection path."""

    name: str
    context: str
    network: str
    kubeconfig: Path | None = None  # None: the kubeconfig that kubectl would use
    role: str = "primary"
    primary: str | None = None
    api_server: str | None = None  # the address that the *other* clusters use; None: the kubeconfig's
    gateway: Gateway = field(default_factory=Gateway)


@dataclass(frozen=True)
class Istio:
    version: str | None = None  # None: that of the istioctl found
    hub: str = "docker.io/istio"
    image_pull_policy: str = "IfNotPresent"
    overlays: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Certificates:
    source: str = "generate"
    path: Path | None = None  # generate: where the root key is kept


@dataclass(frozen=True)
class Verify:
    namespace: str = "sample"
    hub: str = "docker.io/istio"
    curl_image: str | None = None  # None: derived from the hub


@dataclass(frozen=True)
class Mesh:
    name: str
    clusters: tuple[Cluster, ...]
    topology: str = "multi-primary"
    trust_domain: str = "cluster.local"
    istio: Istio = field(default_factory=Istio)
    certificates: Certificates = field(default_factory=Certificates)
    verify: Verify = field(default_factory=Verify)

    def cluster(self, name: str) -> Cluster:
        """The cluster of that name; KeyError if there is none."""
        for cluster in self.clusters:
            if cluster.name == name:
                return cluster
        raise KeyError(name)

    def peers(self, name: str) -> tuple[Cluster, ...]:
        """Every other cluster, in the mesh file's order."""
        return tuple(cluster for cluster in self.clusters if cluster.name != name)

    def sample_version(self, name: str) -> str:
        """The helloworld version that this cluster runs: v1 in the first cluster, v2 in the second, and so on, so
        that an answer tells where it came from.
        """
        return f"v{[cluster.name for cluster in self.clusters].index(name) + 1}"

    def with_cluster(self, cluster: Cluster) -> Mesh:
        """This mesh with the cluster of the same name replaced."""
        return replace(self, clusters=tuple(cluster if old.name == cluster.name else old for old in self.clusters))
