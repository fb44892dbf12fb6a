"""The contracts that the simulation keeps, held against real clusters and Istio's own istioctl, so that neither drifts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.contract.cluster_contract import ClusterContract
from tests.contract.doors_contract import RestrictedContract, UnreachableContract
from tests.contract.istio_contract import InstallContract, IstioctlContract
from tests.contract.manifests import OTHER, SomebodyElse
from tests.contract.remote_contract import RemoteContract, RevisionContract
from tests.lab.lab import Lab
from wizard.clusters.port import Cluster
from wizard.clusters.real import RealCluster
from wizard.istio.istioctl import RealIstioctl
from wizard.istio.port import Istioctl
from wizard.mesh import model

pytestmark = [pytest.mark.lab, pytest.mark.in_order]


@pytest.fixture(scope="module")
def cleared(module_lab: Lab) -> Lab:
    return module_lab


@pytest.fixture(scope="class")
def cluster(cleared: Lab) -> Iterator[Cluster]:
    made = RealCluster("cluster1", cleared.kubeconfig, "cluster1")
    yield made
    made.close()


@pytest.fixture
def balancer(cleared: Lab) -> Callable[[], None]:
    return cleared.clusters[0].start_load_balancer


@pytest.fixture(scope="class")
def closed(cleared: Lab) -> Iterator[str]:
    second = cleared.clusters[1]
    second.firewall_close(6443, cleared.clusters[0])
    yield second.spec.server
    second.firewall_open()


@pytest.fixture(scope="class")
def restricted(cleared: Lab) -> Iterator[Cluster]:
    made = RealCluster("cluster2", cleared.kubeconfig_weak, "cluster2")
    yield made
    made.close()


@pytest.fixture
def unreachable(cleared: Lab, tmp_path: Path) -> Iterator[Cluster]:
    config = yaml.safe_load(cleared.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://{cleared.clusters[0].address}:6442"
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    made = RealCluster("cluster1", tmp_path / "config", "cluster1")
    yield made
    made.close()


@pytest.fixture(scope="class")
def somebody_else(cleared: Lab) -> SomebodyElse:
    first = cleared.clusters[0]
    words = ("apply", "--server-side", "--force-conflicts", f"--field-manager={OTHER}", "-f", "-")
    return lambda manifest: first.kubectl(*words, stdin=json.dumps(manifest)) and None


@pytest.fixture(scope="class")
def image() -> str:
    return "docker.io/curlimages/curl:8.16.0"


@pytest.fixture(scope="class")
def istioctl(cleared: Lab) -> Istioctl:
    return RealIstioctl(str(cleared.istioctl))


@pytest.fixture(scope="class")
def member(cleared: Lab) -> model.Cluster:
    return model.Cluster("cluster1", "cluster1", "network1", kubeconfig=cleared.kubeconfig)


@pytest.fixture(scope="class")
def hub() -> str:
    return "docker.io/istio"


@pytest.fixture(scope="class")
def overlays(cleared: Lab) -> Sequence[Path]:
    return (cleared.overlay,)


class TestRealCluster(ClusterContract):
    pass


class TestRestrictedRealCluster(RestrictedContract):
    pass


class TestUnreachableRealCluster(UnreachableContract):
    pass


class TestRealIstioctl(IstioctlContract):
    pass


class TestRealInstall(InstallContract):
    pass


class OnSecond:
    """The second cluster, since the first has an Istio by then."""

    @pytest.fixture(scope="class")
    @classmethod
    def cluster(cls, cleared: Lab) -> Iterator[Cluster]:
        made = RealCluster("cluster2", cleared.kubeconfig, "cluster2")
        yield made
        made.close()

    @pytest.fixture(scope="class")
    @classmethod
    def member(cls, cleared: Lab) -> model.Cluster:
        return model.Cluster("cluster2", "cluster2", "network2", kubeconfig=cleared.kubeconfig)


class TestRealRemote(OnSecond, RemoteContract):
    pass


class TestRealRevision(OnSecond, RevisionContract):
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def emptied(cls, cleared: Lab) -> None:
        cleared.reset()
