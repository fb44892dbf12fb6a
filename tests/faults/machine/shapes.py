"""Meshes to draw, and the person's files that they name."""

from __future__ import annotations

import atexit
import base64
import functools
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from wizard.certificates import authority
from wizard.mesh.model import Certificates, Cluster, Gateway, Istio, Mesh, Verify
from wizard.simulated.names import context_of
from wizard.simulated.outside import SimulatedOutside

NAME = "mesh1"
REGISTRY_PASSWORD = "canary-of-the-registry-5f1d09"
HIGHEST = 4

_TOPOLOGIES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    # For each cluster the number of its primary, 0: it is one; and its network.
    ((0, 0), (1, 2)),
    ((0, 1), (1, 2)),
    ((0, 0), (1, 1)),
    ((0, 0, 0), (1, 2, 3)),
    ((0, 0, 1), (1, 2, 3)),
    ((0, 0, 0), (1, 1, 2)),
    ((0, 0, 1, 2), (1, 2, 3, 4)),
)


@dataclass(frozen=True)
class Shape:
    """A mesh, and what its clusters are like."""

    primaries: tuple[int, ...]
    networks: tuple[int, ...]
    exposure: str
    probes: str = "never"
    revision: str | None = None
    pull_secret: bool = False
    certificates: str = "generate"
    settled_in: bool = False  # the namespaces are there already, and somebody else's

    @property
    def machines(self) -> int:
        """One more than the mesh has, to join it."""
        return min(HIGHEST, len(self.primaries) + 1)

    def outside(self) -> SimulatedOutside:
        """Fresh clusters."""
        networks = [*self.networks, *range(100, 100 + HIGHEST)][: self.machines]
        flat = [False if networks.count(each) < 2 else each for each in networks]
        made = SimulatedOutside(self.machines, 0, flat=flat, own_services=True)
        for machine in made.machines:
            machine.load_balancer = self.exposure == "load-balancer"
            for other in made.machines:
                if self.exposure == "cluster-ip-route" and other is not machine:
                    machine.routes[other.service_cidr] = other.node_address  # a person laid it
        return made

    def cluster(self, number: int, primary: int = 0, network: int = 0) -> Cluster:
        """The mesh's cluster on the machine of that number."""
        return Cluster(
            f"cluster{number}",
            context_of(number),
            f"network{network or number}",
            role="remote" if primary else "primary",
            primary=f"cluster{primary}" if primary else None,
            gateway=Gateway(exposure=self.exposure),
        )

    def member(self, number: int) -> Cluster:
        """The cluster on that machine as the mesh has it at first, or as it would join it."""
        if number > len(self.primaries):
            return self.cluster(number)
        return self.cluster(number, self.primaries[number - 1], self.networks[number - 1])

    def mesh(self) -> Mesh:
        """The mesh as a person writes it."""
        clusters = tuple(map(self.member, range(1, len(self.primaries) + 1)))
        return Mesh(
            NAME,
            clusters,
            topology="primary-remote" if any(self.primaries) else "multi-primary",
            istio=Istio(
                revision=self.revision,
                pull_secret="registry" if self.pull_secret else None,
                pull_secret_file=files() / "config.json" if self.pull_secret else None,
            ),
            certificates=Certificates(self.certificates, files() if self.certificates == "directory" else None),
            verify=Verify(probes=self.probes),
        )


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    """The first of everything is the plainest."""
    primaries, networks = draw(st.sampled_from(_TOPOLOGIES[:3] * 2 + _TOPOLOGIES))
    exposures = ["external-ips", "load-balancer", "cluster-ip-route"]
    return Shape(
        primaries,
        networks,
        draw(st.sampled_from(exposures if any(primaries) else ["node-port", *exposures])),
        draw(st.sampled_from(["never", "never", "before"])),
        draw(st.sampled_from([None, None, None, "canary"])),
        draw(st.sampled_from([False, False, False, True])),
        draw(st.sampled_from(["generate", "generate", "generate", "directory"])),
        draw(st.sampled_from([False, False, True])),
    )


def scratch(prefix: str) -> Path:
    """A new folder, in memory where the machine has such a place: flushing to a disk is not what is tested here."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix=f"meshwizard-{prefix}-", dir=memory if memory.is_dir() else None))


@functools.cache
def files() -> Path:
    """A folder with a registry's credentials and with certificates for every cluster, made once a process."""
    place = scratch("files")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    auth = base64.b64encode(f"robot:{REGISTRY_PASSWORD}".encode()).decode()
    (place / "config.json").write_text(json.dumps({"auths": {"registry.example": {"auth": auth}}}))
    root = authority.make_root("brought")
    for number in range(1, HIGHEST + 1):
        folder = place / f"cluster{number}"
        folder.mkdir()
        for name, content in authority.make_intermediate(root, folder.name, "cluster.local").items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
    return place
