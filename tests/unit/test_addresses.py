"""Addresses that clusters use of each other: each leads to one cluster, never back to whoever uses it, and to nodes that stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from screens.candidates import id_of
from screens.draft import Draft
from state import StateFolder
from tests.unit.conftest import Setting, setting
from wizard.checks.finding import Finding
from wizard.checks.preflight import check
from wizard.clusters.contexts import ContextEntry, ContextFacts
from wizard.clusters.kinds import CONFIG_MAP, NODE, POD, SERVICE, Ref
from wizard.clusters.nodes import addresses_to_rely_on
from wizard.engine.progress import Look
from wizard.engine.step import Conflict, Done, Needed
from wizard.errors import BadInput
from wizard.istio.operator import mesh_networks
from wizard.mesh.document import document_of, mesh_from, mistakes_in
from wizard.mesh.model import GATEWAY_NAME, Cluster, Gateway, Mesh
from wizard.mesh.rules import value_at
from wizard.operations.apply import Apply
from wizard.operations.prepared import prepare
from wizard.operations.recorded import saved_mesh, wanted_mesh
from wizard.operations.uninstall import Uninstall
from wizard.operations.working import working
from wizard.plan import RIGHTS
from wizard.resolve import resolve
from wizard.simulated.outside import SimulatedOutside

NAT = "10.0.2.15"  # of every node that Vagrant makes


def internal(*addresses: str) -> list[dict[str, str]]:
    return [{"type": "InternalIP", "address": address} for address in addresses]


def readdress(outside: SimulatedOutside, number: int, *addresses: str) -> None:
    """Give the only node of a cluster these addresses."""
    machine = outside.machines[number - 1]
    machine.change(Ref(NODE, machine.node_name), lambda node: node["status"].update(addresses=internal(*addresses)))


def unsettled(mesh: Mesh, **gateway: Any) -> Mesh:
    return replace(
        mesh, clusters=tuple(replace(each, gateway=Gateway(**gateway), api_server=None) for each in mesh.clusters)
    )


def refused(made: Setting, mesh: Mesh) -> Mapping[str, str]:
    """Path → what is wrong, of a mesh that cannot be settled."""
    with pytest.raises(BadInput) as caught:
        resolve(mesh, made.world)
    assert caught.value.exit_code == 2
    return {mistake.path: mistake.text for mistake in caught.value.mistakes}


# -- each leads to one cluster


@pytest.mark.inputs("6")
@pytest.mark.parametrize("exposure", ["node-port", "external-ips"])
def test_nodes_behind_nat_are_no_gateways(two: Setting, exposure: str) -> None:
    for number in (1, 2):
        readdress(two.outside, number, NAT)
    told = refused(two, unsettled(two.mesh, exposure=exposure))
    assert f"{NAT}:" in told["clusters[0].gateway.address"]
    assert "an address of cluster2's own nodes" in told["clusters[0].gateway.address"]
    assert "gateway.address" in told["clusters[1].gateway.address"]
    assert "--node-ip" in told["clusters[0].gateway.address"]


@pytest.mark.inputs("6")
def test_another_port_at_an_own_address_is_no_other_gateway(two: Setting) -> None:
    """10.0.2.15:31444 is still the observer's own node."""
    for number in (1, 2):
        readdress(two.outside, number, NAT)
    mesh = unsettled(two.mesh)
    for port, cluster in enumerate(mesh.clusters, 31443):
        mesh = mesh.with_cluster(replace(cluster, gateway=Gateway("node-port", NAT, port)))
    assert set(refused(two, mesh)) == {"clusters[0].gateway.address", "clusters[1].gateway.address"}


@pytest.mark.inputs("6")
def test_of_several_addresses_one_that_no_other_cluster_has_is_found(two: Setting) -> None:
    readdress(two.outside, 1, NAT, "192.168.56.11")
    readdress(two.outside, 2, NAT, "192.168.56.12")
    settled = resolve(unsettled(two.mesh), two.world)
    assert [each.gateway.address for each in settled.clusters] == ["192.168.56.11", "192.168.56.12"]


@pytest.mark.inputs("6")
def test_one_address_in_front_of_both_is_told_apart_by_port(two: Setting) -> None:
    mesh = two.mesh
    for port, cluster in enumerate(mesh.clusters, 31443):
        mesh = mesh.with_cluster(replace(cluster, gateway=Gateway("node-port", "198.51.100.7", port)))
    assert resolve(mesh, two.world).clusters == mesh.clusters
    assert mistakes_in(document_of(mesh)) == ()
    same = mesh.with_cluster(replace(mesh.clusters[1], gateway=mesh.clusters[0].gateway))
    assert "198.51.100.7:31443 is the gateway of cluster1 already" in refused(two, same)["clusters[1].gateway.address"]


@pytest.mark.inputs("6", "35")
@pytest.mark.parametrize("other", ["https://teleport.example.com", "https://Teleport.example.com.:443/"])
def test_two_api_servers_at_one_address_are_none_that_istiod_could_tell_apart(two: Setting, other: str) -> None:
    mesh = two.mesh
    for cluster, server in zip(mesh.clusters, ("https://teleport.example.com:443", other), strict=True):
        mesh = mesh.with_cluster(replace(cluster, api_server=server))
    told = refused(two, mesh)
    assert list(told) == ["clusters[1].apiServer"]
    assert "is the API server of cluster1 already" in told["clusters[1].apiServer"]
    given = mesh.with_cluster(replace(mesh.clusters[1], api_server="https://192.0.2.12:6443"))
    assert resolve(given, two.world).clusters == given.clusters


@pytest.mark.inputs("6")
def test_an_api_server_at_an_address_of_whoever_reads_it_is_refused(two: Setting) -> None:
    readdress(two.outside, 1, "192.0.2.11", "192.0.2.12")
    assert "cluster1 would reach itself" in refused(two, two.mesh)["clusters[1].apiServer"]


@pytest.mark.inputs("6")
def test_clusters_that_do_not_answer_hold_up_no_settled_mesh(two: Setting) -> None:
    two.machine(2).unreachable = True
    assert resolve(two.mesh, two.world) == two.mesh


@pytest.mark.inputs("6")
def test_what_would_be_refused_now_is_still_taken_back(tmp_path: Path) -> None:
    home = Home(tmp_path, given=None)
    for number in (1, 2):
        readdress(home.outside, number, "192.0.2.11")
    with pytest.raises(BadInput):
        prepare(home.recorded, home.outside, home.folder)
    session = prepare(home.recorded, home.outside, home.folder, undo=True)
    with working(Uninstall(session), lambda event: None) as engine:
        assert engine.undo().ok


@pytest.mark.inputs("6")
def test_the_screens_propose_no_address_that_others_have() -> None:
    draft = Draft()
    for number, own in (("1", (NAT, "192.168.56.11")), ("2", (NAT, "192.168.56.12"))):
        entry = ContextEntry(f"context{number}", Path("/kubeconfig"), f"https://10.0.0.{number}:6443", "u", "token")
        (candidate,) = draft.offer([entry])
        draft.looked(candidate, ContextFacts(reachable=True, uid=number, addresses=own))
        draft.toggle(id_of(entry))
    found = [value_at(row.entry, "gateway.address") for row in draft.rows.values()]
    assert found == ["192.168.56.11", "192.168.56.12"]


# -- Pods on one network


def flat(made: SimulatedOutside) -> list[Finding]:
    clusters = tuple(
        Cluster(name=f"cluster{index}", context=entry.context, network="flat")
        for index, entry in enumerate(made.contexts(), 1)
    )
    mesh = Mesh(name="mesh1", clusters=clusters)
    return [finding for finding in check(mesh, made.world(mesh), RIGHTS) if finding.check == "pods"]


def pods_at(made: SimulatedOutside, number: int, address: str, **spec: Any) -> None:
    machine = made.machines[number - 1]

    def move(pod: dict[str, Any]) -> None:
        pod["spec"].update(spec)
        pod["status"].update(podIP=address, podIPs=[{"ip": address}])

    for pod in machine.listed(POD):
        machine.change(Ref(POD, pod["metadata"]["name"], pod["metadata"]["namespace"]), move)


@pytest.mark.inputs("8")
def test_equal_ranges_of_nodes_are_nothing_where_pods_have_others() -> None:
    """As with Calico's own address management."""
    made = SimulatedOutside(clusters=2, speed=0)
    pods_at(made, 1, "172.20.1.2")
    pods_at(made, 2, "172.20.2.2")
    assert flat(made) == []


@pytest.mark.inputs("8")
def test_equal_ranges_from_which_pods_have_addresses_are_a_warning() -> None:
    made = SimulatedOutside(clusters=2, speed=0)
    pods_at(made, 2, "10.244.0.77")
    (finding,) = flat(made)
    assert (finding.cluster, finding.severity) == ("cluster2", "warning")
    assert "10.244.0.0/24" in finding.text


@pytest.mark.inputs("8")
def test_pods_of_one_address_are_an_error_whatever_their_nodes_were_given() -> None:
    made = SimulatedOutside(clusters=2, speed=0, flat=True)
    for number in (1, 2):
        pods_at(made, number, "172.20.1.2")
    (finding,) = flat(made)
    assert finding.severity == "error"
    assert "172.20.1.2" in finding.text
    pods_at(made, 1, "172.20.1.2", hostNetwork=True)  # then it is the node's
    assert flat(made) == []


# -- nodes to rely on


def node(
    name: str, *, ready: bool = True, os: str = "linux", taints: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    labels = {"kubernetes.io/os": os, **more.pop("labels", {})}
    deleted = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if more.pop("deleted", False) else {}
    return {
        "metadata": {"name": name, "labels": labels, **deleted},
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints], **more},
        "status": {
            "addresses": [*internal(name), {"type": "Hostname", "address": "host"}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


@pytest.mark.inputs("20")
@pytest.mark.parametrize(
    "worse",
    [
        node("10.0.0.1", unschedulable=True),
        node("10.0.0.1", deleted=True),
        node("10.0.0.1", taints=("ToBeDeletedByClusterAutoscaler",)),
        node("10.0.0.1", taints=("karpenter.sh/disrupted",)),
        node("10.0.0.1", os="windows"),
    ],
    ids=["cordoned", "deleted", "scaled down", "disrupted", "windows"],
)
def test_a_node_that_stays_comes_before_one_that_may_not(worse: dict[str, Any]) -> None:
    assert addresses_to_rely_on([worse, node("10.0.0.2")]) == ["10.0.0.2", "10.0.0.1"]
    assert addresses_to_rely_on([worse]) == ["10.0.0.1"], "better than none"


@pytest.mark.inputs("20")
@pytest.mark.parametrize(
    "none",
    [
        node("10.0.0.1", ready=False),
        node("10.0.0.1", labels={"eks.amazonaws.com/compute-type": "fargate"}),
        node("10.0.0.1", labels={"type": "virtual-kubelet"}),
        node("10.0.0.1", taints=("virtual-kubelet.io/provider",)),
    ],
    ids=["not ready", "Fargate", "virtual-kubelet", "its taint"],
)
def test_at_a_node_that_is_none_no_gateway_is_looked_for(none: dict[str, Any]) -> None:
    assert addresses_to_rely_on([none]) == []


# -- several addresses


def several(mesh: Mesh, exposure: str = "node-port") -> Mesh:
    port = 31443 if exposure == "node-port" else None
    gateway = Gateway(exposure, "192.0.2.12", port, more=("192.0.2.112",))
    return mesh.with_cluster(replace(mesh.clusters[1], gateway=gateway))


@pytest.mark.inputs("20")
def test_several_addresses_survive_the_mesh_file_and_stand_in_mesh_networks(two: Setting) -> None:
    mesh = several(two.mesh)
    document = document_of(mesh)
    assert document["clusters"][1]["gateway"]["addresses"] == ["192.0.2.12", "192.0.2.112"]
    assert "address" not in document["clusters"][1]["gateway"]
    assert document["clusters"][0]["gateway"]["address"] == "192.0.2.11"
    assert mesh_from(document).clusters == mesh.clusters
    assert [each["address"] for each in mesh_networks(mesh)["network2"]["gateways"]] == ["192.0.2.12", "192.0.2.112"]


@pytest.mark.inputs("20")
@pytest.mark.parametrize("exposure", ["node-port", "external-ips"])
def test_a_mesh_with_several_addresses_is_made_and_needs_nothing_more(two: Setting, exposure: str) -> None:
    readdress(two.outside, 2, "192.0.2.12", "192.0.2.112")
    two.outside.machines[0].universe.nodes["192.0.2.112"] = two.machine(2)
    two.mesh = several(two.mesh, exposure)
    two.mesh = resolve(two.mesh, two.world)
    outcome = two.run()
    assert outcome.ok, outcome.what
    assert {finding.severity for finding in check(two.mesh, two.world, RIGHTS)} == {"ok"}
    assert {step.id for step in two.plan.steps if not step.guard and not isinstance(two.probe(step.id), Done)} == set()
    config = two.machine(1).found(Ref(CONFIG_MAP, "istio", "istio-system"))
    assert config is not None
    assert config["data"]["meshNetworks"].count("address:") == 3
    service = two.machine(2).found(Ref(SERVICE, GATEWAY_NAME, "istio-system"))
    assert service is not None
    assert service["spec"].get("externalIPs") == (["192.0.2.12", "192.0.2.112"] if exposure == "external-ips" else None)


@pytest.mark.inputs("20")
@pytest.mark.parametrize(
    ("gateway", "path"),
    [
        ({"address": "10.0.0.1", "addresses": ["10.0.0.2"]}, "gateway.address"),
        ({"addresses": ["10.0.0.1", "10.0.0.1"]}, "gateway.addresses"),
        ({"addresses": ["lb.example.com"]}, "gateway.addresses"),
        ({"addresses": "10.0.0.1"}, "gateway.addresses"),
        ({"addresses": ["127.0.0.1"]}, "gateway.addresses"),
        ({"exposure": "cluster-ip-route", "addresses": ["10.96.0.1", "10.96.0.2"]}, "gateway.addresses"),
    ],
)
def test_addresses_that_do_not_go_together_are_refused(gateway: dict[str, Any], path: str) -> None:
    clusters = [{"name": f"cluster{n}", "context": f"c{n}", "network": f"network{n}"} for n in (1, 2)]
    document = {"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}
    clusters[0]["gateway"] = gateway  # type: ignore[assignment]
    assert [mistake.path for mistake in mistakes_in(document)] == [f"clusters[0].{path}"]


# -- a node that went


class Home:
    """A finished mesh with its state."""

    def __init__(self, folder: Path, *, given: str | None) -> None:
        made = setting()
        self.outside = made.outside
        self.folder = StateFolder(folder / "state")
        mesh = unsettled(made.mesh)
        self.file = mesh.with_cluster(replace(mesh.clusters[1], gateway=Gateway(address=given)))
        self.apply(self.file)

    def apply(self, mesh: Mesh) -> None:
        session = prepare(mesh, self.outside, self.folder)
        with working(Apply(session), lambda event: None) as engine:
            outcome = engine.run()
        assert outcome.ok, outcome.what

    def replace_node(self) -> None:
        readdress(self.outside, 2, "192.0.2.212")
        nodes = self.outside.machines[0].universe.nodes
        nodes["192.0.2.212"] = nodes["192.0.2.12"]

    @property
    def recorded(self) -> Mesh:
        """The mesh as `status` and `resume` know it."""
        return wanted_mesh(*saved_mesh(self.folder, "mesh1"))

    def look(self, mesh: Mesh) -> dict[str, Look]:
        session = prepare(mesh, self.outside, self.folder)
        return {step: look for step, look in session.look().items() if not isinstance(look, Done)}


@pytest.mark.inputs("20")
@pytest.mark.parametrize("recorded", [False, True], ids=["plan", "status"])
def test_an_address_that_was_found_follows_its_node(tmp_path: Path, recorded: bool) -> None:
    home = Home(tmp_path, given=None)
    assert home.look(home.recorded) == {}
    home.replace_node()
    mesh = home.recorded if recorded else home.file
    drift = home.look(mesh)
    assert {"cluster1/mesh-networks", "cluster2/mesh-networks"} <= set(drift)
    look = drift["cluster1/mesh-networks"]
    assert isinstance(look, Needed)
    assert ("192.0.2.12", "192.0.2.212") in [(each.found, each.wanted) for each in look.differences]
    home.apply(mesh)
    assert home.look(home.recorded) == {}


@pytest.mark.inputs("20")
@pytest.mark.parametrize("recorded", [False, True], ids=["plan", "status"])
def test_an_address_that_a_person_gave_is_theirs_to_change(tmp_path: Path, recorded: bool) -> None:
    home = Home(tmp_path, given="192.0.2.12")
    home.replace_node()
    drift = home.look(home.recorded if recorded else home.file)
    look = drift["cluster2/install"]
    assert isinstance(look, Conflict)
    assert "no node has 192.0.2.12 any more" in look.what
    assert "gateway.address of cluster2" in look.remedy
    assert "192.0.2.212" in look.remedy
    home.apply(home.file.with_cluster(replace(home.file.clusters[1], gateway=Gateway(address="192.0.2.212"))))
    assert home.look(home.recorded) == {}


@pytest.mark.inputs("20")
def test_an_address_that_never_was_a_nodes_is_nothing_to_miss(tmp_path: Path) -> None:
    home = Home(tmp_path, given=None)
    front = "198.51.100.7"
    home.outside.machines[0].universe.nodes[front] = home.outside.machines[1]
    mesh = home.file.with_cluster(replace(home.file.clusters[1], gateway=Gateway(address=front)))
    home.apply(mesh)
    home.replace_node()
    assert home.look(mesh) == {}
