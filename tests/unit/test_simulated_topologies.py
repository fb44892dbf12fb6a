"""Whole runs of every topology over simulated clusters, proven by their traffic: installed, done again without a change, and
taken back without a rest.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partialmethod
from pathlib import Path

import pytest

from state import StateFolder
from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    EVENT,
    ISTIO_GATEWAY,
    KINDS,
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    SERVICE,
    Object,
    Ref,
    ref_of,
)
from wizard.engine.events import Event, PersonNeeded
from wizard.engine.outcome import Outcome
from wizard.engine.step import Job
from wizard.errors import NeedsPerson
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE, Cluster, Gateway, Istio, Mesh
from wizard.operations.apply import Apply
from wizard.operations.choice import first
from wizard.operations.operation import Operation
from wizard.operations.prepared import prepare
from wizard.operations.uninstall import Uninstall
from wizard.operations.working import working
from wizard.simulated.machine import Machine
from wizard.simulated.outside import SimulatedOutside


class Town:
    """Simulated clusters and a mesh over them, worked on by runs."""

    def __init__(self, folder: Path, outside: SimulatedOutside, mesh: Mesh) -> None:
        self.outside = outside
        self.mesh = mesh
        self.folder = StateFolder(folder / "state")
        self.events: list[Event] = []
        self.before = [contents(machine) for machine in outside.machines]

    def run(self, *, attended: bool = False, listener: Callable[[Event], None] | None = None) -> Outcome:
        session = prepare(self.mesh, self.outside, self.folder)
        self.events.clear()

        def heard(event: Event) -> None:
            self.events.append(event)
            if listener:
                listener(event)

        with working(Apply(session), heard, attended=attended) as engine:
            return engine.run()

    def undo(self) -> Outcome:
        session = prepare(self.mesh, self.outside, self.folder)
        with working(Uninstall(session), self.events.append) as engine:
            return engine.undo()

    def machine(self, name: str) -> Machine:
        return self.outside.machine(self.mesh.cluster(name).context)

    def heard(self, name: str) -> set[str]:
        """The versions that answer this cluster's client."""
        door = self.outside.cluster(name, self.mesh.cluster(name).context)
        (pod,) = door.objects(POD, "sample", "app=curl")
        argv = ["curl", "-sS", "--max-time", "2", "http://helloworld.sample:5000/hello?n=[1-24]"]
        done = door.execute(Ref(POD, pod["metadata"]["name"], "sample"), "curl", argv, seconds=600)
        return set(re.findall(r"Hello version: (v\d+), instance", done.stdout))

    def changes(self) -> list[int]:
        """How many requests that may change something each cluster has had."""
        return [
            sum(count for call, count in machine.asked.items() if call in ("apply", "delete"))
            for machine in self.outside.machines
        ]


def contents(machine: Machine) -> set[str]:
    """What stands in a cluster. Events tell what was, and go by themselves."""
    return {str(ref(each)) for kind in KINDS if kind != EVENT for each in machine.listed(kind)}


def ref(manifest: Object) -> tuple[str, str, str]:
    return manifest["kind"], manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]


def members(
    outside: SimulatedOutside, exposure: str, primaries: Sequence[str | None], networks: Sequence[str] = ()
) -> tuple[Cluster, ...]:
    """A cluster on each machine: `primaries` names the primary of each, None for a primary."""
    return tuple(
        Cluster(
            f"cluster{index}", machine.context, networks[index - 1] if networks else f"network{index}",
            role="remote" if primary else "primary", primary=primary, gateway=Gateway(exposure=exposure),
        )
        for index, (machine, primary) in enumerate(zip(outside.machines, primaries, strict=True), 1)
    )  # fmt: skip


def mesh(clusters: tuple[Cluster, ...], istio: Istio | None = None) -> Mesh:
    remotes = any(cluster.role == "remote" for cluster in clusters)
    topology = "primary-remote" if remotes else "multi-primary"
    return Mesh("mesh1", clusters, topology=topology, istio=istio or Istio())


def proven(town: Town) -> None:
    """It stands, everybody hears everybody, a second run changes nothing, and it goes without a rest."""
    outcome = town.run()
    assert outcome.ok, outcome.what
    everybody = {f"v{number}" for number in range(1, len(town.mesh.clusters) + 1)}
    assert {cluster.name: town.heard(cluster.name) for cluster in town.mesh.clusters} == {
        cluster.name: everybody for cluster in town.mesh.clusters
    }
    changes, installs = town.changes(), town.outside.istioctl.installs
    again = town.run()
    assert again.ok, again.what
    assert (town.changes(), town.outside.istioctl.installs) == (changes, installs)
    gone = town.undo()
    assert gone.ok, gone.what
    assert [contents(machine) - before for machine, before in zip(town.outside.machines, town.before, strict=True)] == [
        set() for _ in town.before
    ]


# -- each topology


@pytest.mark.parametrize("exposure", ["external-ips", "load-balancer"])
def test_primary_and_remote(tmp_path: Path, exposure: str) -> None:
    outside = SimulatedOutside(2, 0)
    for machine in outside.machines:
        machine.load_balancer = True
    proven(Town(tmp_path, outside, mesh(members(outside, exposure, [None, "cluster1"]))))


def test_namespaces_that_were_there_stay_as_they_were(tmp_path: Path) -> None:
    outside = SimulatedOutside(2, 0)
    for machine in outside.machines:
        machine.apply_as("somebody", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}})
    town = Town(tmp_path, outside, mesh(members(outside, "external-ips", [None, "cluster1"])))
    proven(town)
    for machine in outside.machines:
        place = machine.found(Ref(NAMESPACE, SYSTEM_NAMESPACE))
        assert place is not None
        assert place["metadata"]["labels"] == {"kubernetes.io/metadata.name": SYSTEM_NAMESPACE}
        assert not place["metadata"].get("annotations")


def test_primary_and_remote_over_routes_that_a_person_lays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "person", partialmethod(Job.person, every=0.05))
    outside = SimulatedOutside(2, 0, own_services=True)
    town = Town(tmp_path, outside, mesh(members(outside, "cluster-ip-route", [None, "cluster1"])))
    alone = town.run()
    assert not alone.ok
    assert alone.exit_code == 3
    assert "sudo ip route add 10.97.0.0/16 via 192.0.2.11" in str(alone.what) + str(alone.remedy)

    def person(event: Event) -> None:
        if isinstance(event, PersonNeeded):
            here = town.machine(str(event.cluster))
            for cidr, via in re.findall(r"^sudo ip route add (\S+) via (\S+)$", event.instructions, re.MULTILINE):
                here.routes[cidr] = via

    done = town.run(attended=True, listener=person)
    assert done.ok, done.what
    assert {str(event.cluster) for event in town.events if isinstance(event, PersonNeeded)} == {"cluster1", "cluster2"}
    proven(town)


def test_two_primaries_and_a_remote_of_each(tmp_path: Path) -> None:
    outside = SimulatedOutside(4, 0)
    proven(Town(tmp_path, outside, mesh(members(outside, "external-ips", [None, None, "cluster1", "cluster2"]))))


def test_three_primaries(tmp_path: Path) -> None:
    outside = SimulatedOutside(3, 0)
    proven(Town(tmp_path, outside, mesh(members(outside, "node-port", [None] * 3))))


def test_primaries_on_one_network_need_no_gateways(tmp_path: Path) -> None:
    outside = SimulatedOutside(2, 0, flat=True)
    town = Town(tmp_path, outside, mesh(members(outside, "node-port", [None, None], ["network1"] * 2)))
    assert town.run().ok
    assert town.machine("cluster1").found(Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE)) is None
    proven(town)


def test_two_networks_of_two_clusters(tmp_path: Path) -> None:
    outside = SimulatedOutside(4, 0, flat=[1, 1, 2, 2])
    networks = ["network1", "network1", "network2", "network2"]
    proven(Town(tmp_path, outside, mesh(members(outside, "node-port", [None] * 4, networks))))


def test_a_revision(tmp_path: Path) -> None:
    outside = SimulatedOutside(2, 0)
    clusters = members(outside, "external-ips", [None, "cluster1"])
    town = Town(tmp_path, outside, mesh(clusters, Istio(revision="canary")))
    assert town.run().ok
    for machine in outside.machines:
        assert machine.found(Ref(MUTATING_WEBHOOK, "istio-sidecar-injector-canary"))
        sample = machine.found(Ref(NAMESPACE, "sample"))
        assert sample is not None
        assert sample["metadata"]["labels"]["istio.io/rev"] == "canary"
    proven(town)


def test_a_cluster_joins_and_leaves(tmp_path: Path) -> None:
    outside = SimulatedOutside(3, 0)
    three = mesh(members(outside, "node-port", [None] * 3))
    town = Town(tmp_path, outside, replace(three, clusters=three.clusters[:2]))
    assert town.run().ok
    pods = [{ref(pod) for pod in machine.listed(POD)} for machine in outside.machines[:2]]
    installs = outside.istioctl.installs
    town.mesh = three
    joined = town.run()
    assert joined.ok, joined.what
    assert outside.istioctl.installs == installs + 1
    assert [{ref(pod) for pod in machine.listed(POD)} for machine in outside.machines[:2]] == pods  # nobody restarted
    assert town.heard("cluster1") == town.heard("cluster3") == {"v1", "v2", "v3"}

    town.mesh = replace(three, clusters=three.clusters[:2])
    session = prepare(town.mesh, outside, town.folder)
    with pytest.raises(NeedsPerson, match="cluster3"), working(Apply(session), town.events.append):
        pass
    departure = first(session, None)
    with working(departure, town.events.append) as engine:
        left = departure.run(engine)
    assert left.ok, left.what
    following = departure.then()
    assert following
    with working(following, town.events.append) as engine:
        done = engine.run()
    assert done.ok, done.what
    assert contents(outside.machines[2]) - town.before[2] == set()
    assert town.heard("cluster1") == town.heard("cluster2") == {"v1", "v2"}
    assert [{ref(pod) for pod in machine.listed(POD)} for machine in outside.machines[:2]] == pods


# -- what is closed is told before anything depends on it


@pytest.mark.parametrize(
    ("port", "closed", "told", "untouched"),
    [
        (15012, "cluster1", "cluster2 cannot reach istiod of cluster1 at https://192.0.2.11:15012", "cluster2"),
        (15017, "cluster1", "cluster2 cannot reach istiod of cluster1 at https://192.0.2.11:15017", "cluster2"),
        (15443, "cluster2", "cluster1 cannot reach the gateway of cluster2 at https://192.0.2.12:15443", ""),
        (6443, "cluster2", "cluster1 cannot reach the API server of cluster2 at https://192.0.2.12:6443", ""),
    ],
)
def test_a_closed_port_is_told_before_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int, closed: str, told: str, untouched: str
) -> None:
    for name in ("PATIENCE", "OPENING_PATIENCE"):
        monkeypatch.setattr(f"wizard.steps.reach.{name}", 0.0)
    outside = SimulatedOutside(2, 0)
    town = Town(tmp_path, outside, mesh(members(outside, "external-ips", [None, "cluster1"])))
    town.machine(closed).blocked_ports.add(port)
    outcome = town.run()
    assert not outcome.ok
    assert told in outcome.what
    if untouched:
        assert town.machine(untouched).found(Ref(SERVICE, "istiod", SYSTEM_NAMESPACE)) is None
    assert not any(machine.listed(POD, SYSTEM_NAMESPACE, "meshwizard/reach") for machine in outside.machines)
    town.machine(closed).blocked_ports.clear()
    done = town.run()
    assert done.ok, done.what


def test_with_its_last_remote_goes_what_a_primary_had_only_for_it(tmp_path: Path) -> None:
    outside = SimulatedOutside(3, 0)
    whole = mesh(members(outside, "external-ips", [None, None, "cluster1"]))
    town = Town(tmp_path, outside, whole)
    assert town.run().ok
    shown = Ref(ISTIO_GATEWAY, "istiod-gateway", SYSTEM_NAMESPACE)
    assert town.machine("cluster1").found(shown)
    primary = town.machine("cluster1")
    town.mesh = mesh(whole.clusters[:2])
    session = prepare(town.mesh, outside, town.folder)
    following: Operation | None = first(session, None)
    while following:
        with working(following, town.events.append) as engine:
            assert following.run(engine).ok
        following = following.then()
    assert primary.found(shown) is None
    assert primary.found(Ref(ISTIO_GATEWAY, "cross-network-gateway", SYSTEM_NAMESPACE))
    assert town.heard("cluster1") == {"v1", "v2"}


@pytest.fixture
def unrecorded(tmp_path: Path) -> Town:
    """A mesh of two, where somebody deleted the record of cluster2's install."""
    outside = SimulatedOutside(2, 0)
    town = Town(tmp_path, outside, mesh(members(outside, "node-port", [None, None])))
    assert town.run().ok
    town.machine("cluster2").store.remove(Ref(CONFIG_MAP, "meshwizard", SYSTEM_NAMESPACE))
    town.events.clear()
    return town


def test_an_install_whose_record_somebody_deleted_is_still_taken_back(unrecorded: Town) -> None:
    town, machine = unrecorded, unrecorded.machine("cluster2")
    outcome = town.undo()
    assert outcome.ok, outcome.what
    rest = contents(machine) - town.before[1]
    assert {kind for kind, _, _ in map(ast.literal_eval, rest)} <= {CRD.kind}  # whose they are nobody can tell any more
    assert any("CRDs stay" in getattr(event, "text", "") for event in town.events)
    assert contents(town.machine("cluster1")) == town.before[0]


@pytest.mark.promise(21)
def test_an_uninstall_that_stopped_half_way_goes_on_though_somebody_deleted_the_record(unrecorded: Town) -> None:
    town, machine = unrecorded, unrecorded.machine("cluster2")
    owner = "install.operator.istio.io/owning-resource"
    with machine.settled():  # only what istiod wrote is left, and nothing tells any more that the Istio was ours
        for kind in KINDS:
            for live in machine.listed(kind, labels=owner):
                machine.store.remove(ref_of(live))
        machine.settle()
    written = Ref(CONFIG_MAP, "istio-ca-root-cert", "default")
    assert machine.found(written)
    outcome = town.undo()
    assert outcome.ok, outcome.what
    assert not machine.found(written)
    assert contents(machine) == town.before[1]


def test_an_istio_of_another_mesh_whose_record_somebody_deleted_stays(unrecorded: Town) -> None:
    machine = unrecorded.machine("cluster2")
    namespace = copy.deepcopy(machine.found(Ref(NAMESPACE, SYSTEM_NAMESPACE)))
    assert namespace
    namespace["metadata"]["annotations"]["meshwizard/mesh"] = "another"
    machine.store.update(namespace, "kubectl-edit")
    unrecorded.undo()
    assert machine.found(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE))
