"""Where a lab lives and what its things are called: everything follows from one number, the lab's id."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from tests.lab.shape import Shape

# A cluster's processes see a private /run, /var/lib and /var/log: nothing they need may live there.
_MASKED = (Path("/run"), Path("/var/lib"), Path("/var/log"))


@dataclass(frozen=True)
class ClusterSpec:
    """The fixed facts about one cluster of a lab; nothing here says that it runs."""

    index: int
    name: str
    dir: Path
    address: str
    link: str
    cgroup: str
    pod_cidr: str
    service_cidr: str
    neighbours: tuple[tuple[str, str], ...]  # (pod range, node address) of every other cluster on the same network

    @property
    def node(self) -> str:
        """The name of the cluster's only node."""
        return f"{self.name}-node"

    def service_address(self, number: int) -> str:
        """An address of the range of Services."""
        return str(ipaddress.ip_network(self.service_cidr)[number])

    @property
    def dns_address(self) -> str:
        """The cluster's DNS, at its usual place in the range of Services."""
        return self.service_address(10)

    @property
    def balanced_addresses(self) -> list[str]:
        """The addresses of the lab's wire that this cluster's load balancer may give away."""
        subnet = self.address.rpartition(".")[0]
        first = 50 + 10 * (self.index - 1)
        return [f"{subnet}.{last}" for last in range(first, first + 10)]

    @property
    def pods_cgroup(self) -> str:
        """The group below which kubelet puts every pod."""
        return f"{self.cgroup}/pods"

    @property
    def server(self) -> str:
        """The API server's address as kubeconfigs spell it."""
        return f"https://{self.address}:6443"

    @property
    def pki(self) -> Path:
        """Keys and certificates: they outlive a reset, so kubeconfigs stay valid."""
        return self.dir / "pki"

    @property
    def conf(self) -> Path:
        """Configuration files of the cluster's processes."""
        return self.dir / "conf"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.dir / "logs"

    @property
    def disk(self) -> Path:
        """The node's disk (its /var/lib and /var/log), thrown away by a reset."""
        return self.dir / "disk"

    @property
    def audit_log(self) -> Path:
        """What the API server was asked: JSON lines."""
        return self.dir / "audit.log"


@dataclass(frozen=True)
class Settings:
    """One lab: labs with different ids share the cache and nothing else."""

    lab_id: int
    root: Path
    cache: Path

    @property
    def name(self) -> str:
        """The prefix of every link and cgroup of this lab."""
        return f"mwlab{self.lab_id}"

    @property
    def bridge(self) -> str:
        """The bridge that joins the clusters and this machine."""
        return f"{self.name}br"

    @property
    def subnet(self) -> str:
        """The first three numbers of the lab's addresses."""
        return f"10.{200 + self.lab_id}.0"

    @property
    def host_address(self) -> str:
        """This machine's address on the bridge."""
        return f"{self.subnet}.1"

    @property
    def lock(self) -> Path:
        """Beside the lab's folder, because the folder itself comes and goes."""
        return self.root.with_name(self.root.name + ".lock")

    @property
    def record(self) -> Path:
        """What this lab may have created, written before it is created."""
        return self.root / "lab.json"

    def _address(self, index: int) -> str:
        return f"{self.subnet}.{10 + index}"

    def cluster(self, index: int, shape: Shape) -> ClusterSpec:
        """The facts about cluster number `index`, counted from 1, of a lab of that shape."""
        name = f"cluster{index}"
        sharing = shape.sharing(index)
        return ClusterSpec(
            index=index,
            name=name,
            dir=self.root / name,
            address=self._address(index),
            link=f"{self.name}c{index}",
            cgroup=f"{self.name}/{name}",
            pod_cidr=_pod_cidr(index if sharing else 0),
            service_cidr=f"10.{95 + index if shape.services == 'distinct' else 96}.0.0/16",
            neighbours=tuple((_pod_cidr(other), self._address(other)) for other in sharing),
        )


def _pod_cidr(number: int) -> str:
    return f"10.244.{number}.0/24"


def from_environment(env: dict[str, str] | None = None) -> Settings:
    """The settings that MESHWIZARD_LAB_ID, MESHWIZARD_LAB_DIR and MESHWIZARD_LAB_CACHE ask for."""
    source = dict(os.environ) if env is None else env
    lab_id = int(source.get("MESHWIZARD_LAB_ID") or "1")
    if not 1 <= lab_id <= 50:
        raise ValueError("MESHWIZARD_LAB_ID must be between 1 and 50")
    default_root = "/var/tmp/meshwizard-lab" + ("" if lab_id == 1 else f"-{lab_id}")
    root = Path(source.get("MESHWIZARD_LAB_DIR") or default_root).absolute()
    cache = Path(source.get("MESHWIZARD_LAB_CACHE") or Path.home() / ".cache/meshwizard-lab").absolute()
    for path in (root, cache):
        if any(path.is_relative_to(masked) for masked in _MASKED):
            raise ValueError(f"{path}: a lab's processes do not see this machine's /run, /var/lib and /var/log")
    return Settings(lab_id=lab_id, root=root, cache=cache)
