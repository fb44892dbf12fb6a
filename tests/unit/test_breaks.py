"""The causes by which a simulated mesh is broken: each changes what it says, and just the answers go that really would."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.unit.standing import finished_mesh
from tests.unit.test_simulated_pages import status
from tests.unit.test_simulated_remotes import made as town_of
from wizard.clusters.kinds import (
    AUTHORIZATION_POLICY,
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    DESTINATION_RULE,
    ISTIO_GATEWAY,
    NAMESPACE,
    PEER_AUTHENTICATION,
    POD,
    SECRET,
    SERVICE,
    SIDECAR,
    VIRTUAL_SERVICE,
    Kind,
    Object,
    Ref,
)
from wizard.errors import BadInput, Trouble
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE, Mesh
from wizard.objects.cacerts import CACERTS
from wizard.objects.removal import READER_TOKEN
from wizard.operations.prepared import prepare
from wizard.probes.traffic import ask
from wizard.simulated.breaks import BREAKS, break_mesh, cause_of
from wizard.simulated.machine import Machine
from wizard.simulated.outside import SimulatedOutside

SECRET_OF_2 = Ref(SECRET, "istio-remote-secret-cluster2", SYSTEM_NAMESPACE)
BOTH = {"v1", "v2"}


@dataclass
class Standing:
    """A finished, settled mesh of two clusters."""

    outside: SimulatedOutside
    mesh: Mesh

    def machine(self, number: int) -> Machine:
        return self.outside.machines[number - 1]

    def broken(self, cause: str) -> str:
        return break_mesh(cause_of(cause), self.mesh, self.outside.machine)

    def heard(self, number: int) -> set[str] | None:
        """The versions that this cluster's client hears, None where it cannot ask."""
        cluster = self.outside.cluster(f"cluster{number}", self.machine(number).context)
        try:
            return set(ask(cluster, "sample", 8).answers)
        except Trouble:
            return None


def multi_primary(folder: Path) -> Standing:
    made = finished_mesh()
    return Standing(made.outside, made.mesh)


def primary_remote(folder: Path) -> Standing:
    town = town_of(folder)
    return Standing(town.outside, prepare(town.mesh, town.outside, town.folder).mesh)


@pytest.fixture
def two(tmp_path: Path) -> Standing:
    return multi_primary(tmp_path)


# cause → what cluster1's client and cluster2's hear then. What policies do is tested where they are simulated.
HEARD: dict[str, tuple[set[str] | None, set[str] | None]] = {
    "gateway-gone": ({"v1"}, BOTH),
    "gateway-port-closed": ({"v1"}, BOTH),
    "gateway-unselected": ({"v1"}, BOTH),
    "network-label": ({"v1"}, BOTH),
    "remote-secret-gone": ({"v1"}, BOTH),
    "remote-secret-server": ({"v1"}, BOTH),
    "remote-secret-name": ({"v1"}, BOTH),
    "token-revoked": (BOTH, BOTH),
    "reader-role": (BOTH, BOTH),
    "mesh-networks-port": ({"v1"}, BOTH),
    "no-sidecar": ({"v1"}, BOTH),
    "service-gone": ({"v1"}, set()),
    "istiod-down": (BOTH, BOTH),
    "client-gone": (None, BOTH),
    "roots-differ": ({"v1"}, {"v2"}),
    "api-server-away": (BOTH, None),
    "trust-domain": ({"v1"}, {"v2"}),
}
# And where cluster2 is a remote of cluster1, as far as that is something else.
# Its own Pods, too, are known to its istiod through its registration alone.
OF_A_REMOTE = {
    "gateway-unselected": ({"v1"}, {"v2"}),
    **dict.fromkeys(("remote-secret-gone", "remote-secret-server", "remote-secret-name"), ({"v1"}, {"v1"})),
}
POLICIES = {"mtls-disabled", "plain-destination-rule", "abort", "deny", "port-renamed", "narrow-sidecar"}
ONLY_OF_PRIMARIES = {"roots-differ", "trust-domain"}


def test_every_cause_has_its_expectation() -> None:
    ids = [each.id for each in BREAKS]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {*HEARD, *POLICIES}


@pytest.mark.parametrize("cause", HEARD)
def test_just_the_answers_go_that_must(two: Standing, cause: str) -> None:
    assert (two.heard(1), two.heard(2)) == (BOTH, BOTH)
    two.broken(cause)
    assert (two.heard(1), two.heard(2)) == HEARD[cause]


@pytest.mark.parametrize("cause", [cause for cause in HEARD if cause not in ONLY_OF_PRIMARIES])
def test_the_same_with_a_remote(tmp_path: Path, cause: str) -> None:
    standing = primary_remote(tmp_path)
    assert (standing.heard(1), standing.heard(2)) == (BOTH, BOTH)
    standing.broken(cause)
    assert (standing.heard(1), standing.heard(2)) == OF_A_REMOTE.get(cause, HEARD[cause])


@pytest.mark.parametrize("cause", ["token-revoked", "reader-role", "api-server-away"])
def test_what_bites_later_does_when_istiod_starts_anew(two: Standing, cause: str) -> None:
    two.broken(cause)
    first = two.outside.cluster("cluster1", two.machine(1).context)
    assert status(first) == "synced"
    for pod in first.objects(POD, SYSTEM_NAMESPACE, "app=istiod"):
        first.delete(Ref(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE))
    assert status(first) == "timeout"
    assert two.heard(1) == {"v1"}


# -- what is changed


def found(standing: Standing, number: int, ref: Ref) -> Object:
    live = standing.machine(number).found(ref)
    assert live is not None, str(ref)
    return live


def of_system(kind: Kind, name: str) -> Ref:
    return Ref(kind, name, SYSTEM_NAMESPACE)


def kubeconfig(standing: Standing, name: str) -> Object:
    text = base64.b64decode(found(standing, 1, SECRET_OF_2)["data"][name])
    content: Object = yaml.safe_load(text)
    return content


def config(standing: Standing, number: int, key: str) -> Object:
    content: Object = yaml.safe_load(found(standing, number, of_system(CONFIG_MAP, "istio"))["data"][key])
    return content


def scaled_down(standing: Standing, number: int, name: str, namespace: str = SYSTEM_NAMESPACE) -> bool:
    live = found(standing, number, Ref(DEPLOYMENT, name, namespace))
    return live["spec"]["replicas"] == 0 and not live["status"].get("readyReplicas")


def theirs(standing: Standing, number: int, kind: Kind) -> Object:
    spec: Object = found(standing, number, Ref(kind, "theirs", "sample"))["spec"]
    return spec


CHANGED: dict[str, Callable[[Standing], bool]] = {
    "gateway-gone": lambda at: scaled_down(at, 2, GATEWAY_NAME),
    "gateway-port-closed": lambda at: at.machine(2).blocked_ports == {31443},
    "gateway-unselected": lambda at: (
        found(at, 2, of_system(ISTIO_GATEWAY, "cross-network-gateway"))["spec"]["selector"] == {"istio": "nothing"}
    ),
    "network-label": lambda at: (
        found(at, 2, Ref(NAMESPACE, SYSTEM_NAMESPACE))["metadata"]["labels"]["topology.istio.io/network"] == "other"
    ),
    "remote-secret-gone": lambda at: at.machine(1).found(SECRET_OF_2) is None,
    "remote-secret-server": lambda at: (
        kubeconfig(at, "cluster2")["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    ),
    "remote-secret-name": lambda at: list(found(at, 1, SECRET_OF_2)["data"]) == ["cluster2-other"],
    "token-revoked": lambda at: at.machine(2).found(READER_TOKEN) is None,
    "reader-role": lambda at: (
        not any(
            "endpointslices" in rule["resources"]
            for rule in found(at, 2, Ref(CLUSTER_ROLE, "istio-reader-clusterrole-istio-system"))["rules"]
        )
    ),
    "mesh-networks-port": lambda at: (
        config(at, 1, "meshNetworks")["networks"]["network2"]["gateways"] == [{"address": "192.0.2.12", "port": 15999}]
        and config(at, 1, "meshNetworks")["networks"]["network1"]["gateways"][0]["port"] == 31443
    ),
    "no-sidecar": lambda at: all(
        ("initContainers" in pod["spec"]) == (pod["metadata"]["labels"]["app"] == "curl")
        for pod in at.machine(2).listed(POD, "sample")
    ),
    "mtls-disabled": lambda at: theirs(at, 2, PEER_AUTHENTICATION) == {"mtls": {"mode": "DISABLE"}},
    "plain-destination-rule": lambda at: (
        theirs(at, 1, DESTINATION_RULE)["trafficPolicy"] == {"tls": {"mode": "DISABLE"}}
        and theirs(at, 1, DESTINATION_RULE)["host"] == "helloworld.sample.svc.cluster.local"
    ),
    "abort": lambda at: theirs(at, 1, VIRTUAL_SERVICE)["http"][0]["fault"]["abort"]["httpStatus"] == 555,
    "deny": lambda at: theirs(at, 2, AUTHORIZATION_POLICY) == {"action": "DENY", "rules": [{}]},
    "service-gone": lambda at: at.machine(2).found(Ref(SERVICE, "helloworld", "sample")) is None,
    "port-renamed": lambda at: (
        found(at, 2, Ref(SERVICE, "helloworld", "sample"))["spec"]["ports"][0]["name"] == "tcp-other"
    ),
    "istiod-down": lambda at: scaled_down(at, 1, "istiod"),
    "client-gone": lambda at: scaled_down(at, 1, "curl", "sample"),
    "narrow-sidecar": lambda at: theirs(at, 1, SIDECAR) == {"egress": [{"hosts": ["istio-system/*"]}]},
    "roots-differ": lambda at: (
        found(at, 1, CACERTS)["data"]["root-cert.pem"] != found(at, 2, CACERTS)["data"]["root-cert.pem"]
    ),
    "api-server-away": lambda at: at.machine(2).unreachable,
    "trust-domain": lambda at: config(at, 2, "mesh")["trustDomain"] == "other.local",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Standing:
    return multi_primary(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("cause", [each.id for each in BREAKS])
def test_each_changes_what_it_says(two: Standing, whole: Standing, cause: str) -> None:
    told = two.broken(cause)
    assert told.startswith(("cluster1: ", "cluster2: "))
    assert told.endswith(cause_of(cause).told)
    assert CHANGED[cause](two)
    if cause not in {"plain-destination-rule", "abort", "deny", "mtls-disabled", "narrow-sidecar"}:
        assert not CHANGED[cause](whole)


def test_what_was_made_anew_is_ready_again(two: Standing) -> None:
    two.broken("roots-differ")
    two.heard(1)  # until then it happened
    pods = [*two.machine(2).listed(POD, SYSTEM_NAMESPACE), *two.machine(2).listed(POD, "sample")]
    assert len(pods) == 4
    assert all(pod["status"]["phase"] == "Running" for pod in pods)


def test_the_secret_that_is_made_anew_is_a_remote_secret_still(two: Standing) -> None:
    before = found(two, 1, SECRET_OF_2)["metadata"]
    two.broken("remote-secret-name")
    after = found(two, 1, SECRET_OF_2)["metadata"]
    assert after["labels"] == before["labels"]
    assert after["annotations"] == before["annotations"]
    assert after["uid"] != before["uid"]


def test_a_cause_that_is_none() -> None:
    with pytest.raises(BadInput, match="there is no cause 'weather'") as told:
        cause_of("weather")
    assert "gateway-gone" in told.value.remedy


@pytest.mark.parametrize("cause", sorted(ONLY_OF_PRIMARIES))
def test_what_makes_no_sense_in_a_mesh_changes_nothing(tmp_path: Path, cause: str) -> None:
    standing = primary_remote(tmp_path)
    with pytest.raises(BadInput, match="no cluster of mesh mesh1 can be broken by"):
        standing.broken(cause)
    assert (standing.heard(1), standing.heard(2)) == (BOTH, BOTH)


def test_a_gateway_that_mesh_networks_do_not_name(tmp_path: Path) -> None:
    town = town_of(tmp_path, "load-balancer", (None, None))
    standing = Standing(town.outside, prepare(town.mesh, town.outside, town.folder).mesh)
    with pytest.raises(BadInput):
        standing.broken("mesh-networks-port")
    standing.broken("gateway-port-closed")
    assert standing.heard(1) == {"v1"}
