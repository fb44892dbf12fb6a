"""The contracts, held against the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.contract.contract import (
    OTHER,
    PodContract,
    RestrictedContract,
    RootStoreContract,
    SomebodyElse,
    UnreachableContract,
)
from tests.contract.istio_contract import InstallContract, IstioctlContract
from wizard.certificates.rootstore import RootFolder
from wizard.clusters.port import Cluster
from wizard.engine.step import RootStore
from wizard.istio.port import Istioctl
from wizard.mesh import model
from wizard.simulated.outside import MemoryRoots, SimulatedOutside


@pytest.fixture(scope="class")
def outside() -> SimulatedOutside:
    return SimulatedOutside(clusters=2, speed=0)


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
    outside.machines[0].missing_images.add("nowhere.invalid/")
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


class TestSimulatedCluster(PodContract):
    pass


class TestRestrictedSimulatedCluster(RestrictedContract):
    pass


class TestUnreachableSimulatedCluster(UnreachableContract):
    pass


class TestSimulatedIstioctl(IstioctlContract):
    pass


class TestSimulatedInstall(InstallContract):
    PATIENCE = 0.5


class TestMemoryRoots(RootStoreContract):
    @pytest.fixture
    def roots(self) -> RootStore:
        return MemoryRoots()


class TestRootFolder(RootStoreContract):
    @pytest.fixture
    def roots(self, tmp_path: Path) -> RootStore:
        return RootFolder(tmp_path / "roots")
