"""The contracts, held against the simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.contract.cluster_contract import ClusterContract
from tests.contract.doors_contract import RestrictedContract, RootStoreContract, UnreachableContract
from tests.contract.istio_contract import InstallContract, IstioctlContract
from tests.contract.manifests import OTHER, SomebodyElse
from tests.contract.remote_contract import RemoteContract, RevisionContract
from wizard.certificates.rootstore import RootFolder
from wizard.clusters.port import Cluster
from wizard.istio.port import Istioctl
from wizard.mesh import model
from wizard.simulated.outside import SimulatedOutside
from wizard.simulated.rootstore import MemoryRoots
from wizard.world import RootStore


@pytest.fixture(scope="class")
def outside() -> SimulatedOutside:
    made = SimulatedOutside(clusters=2, speed=0)
    made.machines[0].missing_images.add("nowhere.invalid/")
    return made


@pytest.fixture(scope="class")
def cluster(outside: SimulatedOutside) -> Cluster:
    return outside.cluster("cluster1", outside.machines[0].context)


@pytest.fixture(scope="class")
def somebody_else(outside: SimulatedOutside) -> SomebodyElse:
    machine = outside.machines[0]
    return lambda manifest: machine.apply_as(OTHER, manifest)


@pytest.fixture(scope="class")
def image() -> str:
    return "docker.io/curlimages/curl:8.16.0"


@pytest.fixture
def balancer(outside: SimulatedOutside) -> Callable[[], None]:
    return lambda: setattr(outside.machines[0], "load_balancer", True)


@pytest.fixture(scope="class")
def closed(outside: SimulatedOutside) -> str:
    outside.machines[1].blocked_ports.add(6443)
    return outside.machines[1].server


@pytest.fixture(scope="class")
def restricted(outside: SimulatedOutside) -> Cluster:
    machine = outside.machines[1]
    machine.missing_rights |= {"create namespaces", "patch namespaces"}
    return outside.cluster("cluster2", machine.context)


@pytest.fixture
def unreachable() -> Cluster:
    broken = SimulatedOutside(clusters=1, speed=0)
    broken.machines[0].unreachable = True
    return broken.cluster("cluster1", broken.machines[0].context)


@pytest.fixture(scope="class")
def istioctl(outside: SimulatedOutside) -> Istioctl:
    return outside.istioctl


@pytest.fixture(scope="class")
def member(outside: SimulatedOutside) -> model.Cluster:
    return model.Cluster("cluster1", outside.machines[0].context, "network1")


@pytest.fixture(scope="class")
def hub() -> str:
    return "docker.io/istio"


@pytest.fixture(scope="class")
def overlays() -> Sequence[Path]:
    return ()


class TestSimulatedCluster(ClusterContract):
    pass


class TestRestrictedSimulatedCluster(RestrictedContract):
    pass


class TestUnreachableSimulatedCluster(UnreachableContract):
    pass


class TestSimulatedIstioctl(IstioctlContract):
    pass


class TestSimulatedInstall(InstallContract):
    PATIENCE = 0.5


class TestSimulatedRemote(RemoteContract):
    PATIENCE = 0.5


class TestSimulatedRevision(RevisionContract):
    pass


class TestMemoryRoots(RootStoreContract):
    @pytest.fixture
    def roots(self) -> RootStore:
        return MemoryRoots()


class TestRootFolder(RootStoreContract):
    @pytest.fixture
    def roots(self, tmp_path: Path) -> RootStore:
        return RootFolder(tmp_path / "roots")
