"""The simulation's knobs, tempo and door; what it shares with real clusters is in tests/contract."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
import yaml

from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    Object,
    Ref,
    ref_of,
)
from wizard.clusters.port import Right
from wizard.errors import BadInput, Failed, Interrupted, NotAllowed, Unreachable
from wizard.istio.operator import operator_of
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE, Mesh
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.fields import as_fields_v1, differing, merged, owned, spelled, value_at, without
from wizard.simulated.outside import SimulatedOutside

CONFIG: Object = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "default"},
    "data": {"k": "v"},
}


def outside(clusters: int = 1, speed: float = 0) -> SimulatedOutside:
    return SimulatedOutside(clusters, speed)


def door(universe: SimulatedOutside, index: int = 0) -> SimulatedCluster:
    return universe.cluster(f"cluster{index + 1}", universe.machines[index].context)


def operator(universe: SimulatedOutside) -> tuple[model.Cluster, Object]:
    machine = universe.machines[0]
    gateway = model.Gateway(address=machine.node_address, port=31443)
    member = model.Cluster("cluster1", machine.context, "network1", gateway=gateway)
    peer = model.Cluster("cluster2", "elsewhere", "network2", gateway=gateway)
    mesh = Mesh("mesh1", (member, peer), istio=model.Istio(version="1.29.1"))
    return member, operator_of(mesh, member)


def install(universe: SimulatedOutside, **changes: object) -> list[str]:
    member, document = operator(universe)
    said: list[str] = []
    universe.istioctl.install(
        member, yaml.safe_dump({**document, **changes}), (), say=said.append, cancelled=lambda: False, seconds=30
    )
    return said


# -- the outside


def test_it_offers_contexts_of_documentation_addresses() -> None:
    universe = outside(2)
    assert universe.simulated
    entries = universe.contexts()
    assert [entry.context for entry in entries] == ["kubernetes-admin1@kubernetes", "kubernetes-admin2@kubernetes"]
    assert [entry.server for entry in entries] == ["https://192.0.2.11:6443", "https://192.0.2.12:6443"]
    assert [entry.current for entry in entries] == [True, False]
    facts = [universe.facts(entry) for entry in entries]
    assert [fact.addresses for fact in facts] == [("192.0.2.11",), ("192.0.2.12",)]
    assert facts[0].uid != facts[1].uid
    assert all(fact.reachable and fact.version == "v1.34.4" and fact.ready_nodes == 1 for fact in facts)
    assert [found.version for found in universe.istioctls()] == ["1.29.1"]


def test_what_a_run_needs_is_not_loaded_before_it() -> None:
    code = (
        "import sys\nfrom wizard.simulated.outside import SimulatedOutside\nSimulatedOutside(50).contexts()\n"
        "sys.stdout.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "wizard.simulated.names" in loaded
    assert not loaded & {"yaml", "wizard.engine.step", "wizard.simulated.machines", "wizard.simulated.machine"}


def test_two_worlds_see_the_same_clusters() -> None:
    universe = outside()
    mesh = Mesh("mesh1", (model.Cluster("one", universe.machines[0].context, "network1"),))
    first, second = universe.world(mesh), universe.world(mesh)
    first.cluster("one").apply(CONFIG)
    assert second.cluster("one").get(ref_of(CONFIG)) is not None
    first.roots.save(b"c", b"k")
    assert second.roots.load() == (b"c", b"k")
    assert first.simulated


def test_an_unknown_context_is_bad_input() -> None:
    with pytest.raises(BadInput, match="no context"):
        outside().world(Mesh("mesh1", (model.Cluster("one", "elsewhere", "network1"),)))


def test_the_same_seed_makes_the_same_names() -> None:
    def names(seed: int) -> list[str]:
        universe = SimulatedOutside(2, 0, seed=seed)
        install(universe)
        told = [item["metadata"]["name"] for item in universe.machines[0].listed(POD)]
        return [*told, *(item["metadata"]["uid"] for item in universe.machines[1].listed(NAMESPACE))]

    assert names(1) == names(1)
    assert names(1) != names(2)


def test_fifty_clusters_are_quick_to_make() -> None:
    universe = outside(50)
    assert len({door(universe, index).identity() for index in range(50)}) == 50
    assert len({machine.node_address for machine in universe.machines}) == 50


# -- the knobs of a cluster


def test_an_unreachable_cluster_tells_the_facts_so() -> None:
    universe = outside()
    universe.machines[0].unreachable = True
    facts = universe.facts(universe.contexts()[0])
    assert not facts.reachable
    assert "does not answer" in facts.problem
    member, document = operator(universe)
    with pytest.raises(Unreachable):
        universe.istioctl.install(
            member, yaml.safe_dump(document), (), say=lambda _: None, cancelled=lambda: False, seconds=5
        )


def test_its_clock_may_be_wrong() -> None:
    universe = outside()
    universe.machines[0].clock_skew = -300
    date = door(universe).version().date
    assert date is not None
    assert -310 < (date - datetime.now(UTC)).total_seconds() < -290
    assert universe.facts(universe.contexts()[0]).clock_offset == pytest.approx(-300, abs=3)


def test_rights_may_be_missing() -> None:
    universe = outside()
    universe.machines[0].missing_rights |= {"patch configmaps", "get pods/exec"}
    lacking = [Right("patch", CONFIG_MAP), Right("get", POD, subresource="exec")]
    assert door(universe).denied([Right("get", CONFIG_MAP), *lacking]) == lacking
    with pytest.raises(NotAllowed, match="configmaps"):
        door(universe).apply(CONFIG)


def test_the_next_calls_may_fail() -> None:
    universe = outside()
    universe.machines[0].fail_next("apply ConfigMap", Failed("etcdserver: request timed out", ""), times=2)
    for _ in range(2):
        with pytest.raises(Failed, match="etcdserver"):
            door(universe).apply(CONFIG)
    assert door(universe).apply(CONFIG)["data"] == {"k": "v"}


def test_a_slow_cluster_is_slow() -> None:
    universe = outside(speed=1)
    universe.machines[0].slow = 0.3
    began = time.monotonic()
    door(universe).get(ref_of(CONFIG))
    assert time.monotonic() - began >= 0.3


def test_without_speed_nothing_waits() -> None:
    began = time.monotonic()
    install(outside())
    assert time.monotonic() - began < 5


def test_an_image_may_be_missing() -> None:
    universe = outside()
    machine = universe.machines[0]
    machine.missing_images.add("docker.io/istio/pilot")
    member, document = operator(universe)
    with pytest.raises(Failed, match="did not end within"):
        universe.istioctl.install(
            member, yaml.safe_dump(document), (), say=lambda _: None, cancelled=lambda: False, seconds=0.3
        )
    (pod,) = machine.listed(POD, SYSTEM_NAMESPACE, "app=istiod")
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
    machine.missing_images.clear()
    (pod,) = machine.listed(POD, SYSTEM_NAMESPACE, "app=istiod")
    assert pod["status"]["phase"] == "Running"


def test_whoever_edits_owns_what_changed() -> None:
    universe = outside()
    door(universe).apply(CONFIG)
    universe.machines[0].change(ref_of(CONFIG), lambda live: live["data"].update(k="theirs"))
    live = door(universe).get(ref_of(CONFIG))
    assert live is not None
    assert {entry["manager"] for entry in live["metadata"]["managedFields"]} == {"kubectl-edit"}


def test_a_namespace_that_ends_takes_nothing_new() -> None:
    universe = outside(speed=0.3)
    there = door(universe)
    there.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ending"}})
    there.delete(Ref(NAMESPACE, "ending"))
    late = {**CONFIG, "metadata": {"name": "late", "namespace": "ending"}}
    with pytest.raises(Failed, match="being terminated"):
        there.apply(late)
    universe.pace.speed = 0
    end = time.monotonic() + 5
    while there.get(Ref(NAMESPACE, "ending")) is not None and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(Failed, match='namespaces "ending" not found'):
        there.apply(late)


# -- istioctl


def test_istioctl_takes_its_fields_back() -> None:
    universe = outside()
    install(universe)
    machine = universe.machines[0]
    ref = Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": SYSTEM_NAMESPACE}}
    machine.apply_as("somebody-else", {**config, "data": {"meshNetworks": "networks: {}"}})
    install(universe)
    live = door(universe).get(ref)
    assert live is not None
    assert "network1" in live["data"]["meshNetworks"]
    assert {entry["manager"] for entry in live["metadata"]["managedFields"]} == {"istio-operator"}


def test_an_install_may_fail_at_a_component() -> None:
    universe = outside()
    universe.istioctl.fail_at["IngressGateways"] = "quota exceeded"
    with pytest.raises(Failed, match="quota exceeded"):
        install(universe)
    machine = universe.machines[0]
    assert machine.found(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE))
    assert machine.found(Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)) is None
    universe.istioctl.fail_at.clear()
    assert install(universe)[-1] == "✔ Installation complete"


def test_an_install_may_hang_until_it_is_cancelled() -> None:
    universe = outside()
    universe.istioctl.hang_at.add("Pilot")
    member, document = operator(universe)
    end = time.monotonic() + 0.3
    with pytest.raises(Interrupted):
        universe.istioctl.install(
            member, yaml.safe_dump(document), (),
            say=lambda _: None, cancelled=lambda: time.monotonic() > end, seconds=30,
        )  # fmt: skip
    assert universe.machines[0].found(Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)) is None


def test_a_nameless_operator_prunes_what_others_made() -> None:
    universe = outside()
    install(universe)
    _, document = operator(universe)
    spec = {**document["spec"], "components": {}}
    install(universe, metadata={"name": "another", "namespace": SYSTEM_NAMESPACE}, spec=spec)
    assert universe.machines[0].found(Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE))
    install(universe, metadata={"namespace": SYSTEM_NAMESPACE}, spec=spec)
    assert universe.machines[0].found(Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)) is None


def test_a_taken_node_port_fails_the_install() -> None:
    universe = outside()
    door(universe).apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "taker", "namespace": "default"},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31443}]},
        }
    )
    with pytest.raises(Failed, match="already allocated"):
        install(universe)
    door(universe).delete(Ref(SERVICE, "taker", "default"))
    assert install(universe)[-1] == "✔ Installation complete"


def test_a_remote_secret_holds_nothing_that_looks_real() -> None:
    universe = outside()
    install(universe)
    member, _ = operator(universe)
    secret = universe.istioctl.remote_secret(member, server="https://192.0.2.11:6443")
    assert "simulated-token-" in secret["stringData"]["cluster1"]


def test_the_gateway_waits_for_the_injector() -> None:
    universe = outside()
    _, document = operator(universe)
    spec = {**document["spec"]}
    spec["components"] = {**spec["components"], "pilot": {"enabled": False}}
    member, _ = operator(universe)
    with pytest.raises(Failed, match="did not end within"):
        universe.istioctl.install(
            member, yaml.safe_dump({**document, "spec": spec}), (),
            say=lambda _: None, cancelled=lambda: False, seconds=0.3,
        )  # fmt: skip
    (pod,) = universe.machines[0].listed(POD, SYSTEM_NAMESPACE)
    assert pod["spec"]["containers"][0]["image"] == "auto"
    assert pod["status"]["phase"] == "Pending"


# -- fields


SERVICE_MANIFEST: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s", "namespace": "default", "labels": {"a/b.c": "1"}},
    "spec": {"selector": {"app": "x"}, "ports": [{"port": 80, "protocol": "TCP", "name": "http"}]},
}


def test_owned_fields_in_the_shape_of_the_api() -> None:
    assert as_fields_v1(owned(SERVICE_MANIFEST)) == {
        "f:metadata": {"f:labels": {"f:a/b.c": {}}},
        "f:spec": {
            "f:selector": {},
            "f:ports": {
                'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:protocol": {}, "f:name": {}},
            },
        },
    }


@pytest.mark.parametrize(
    "live",
    [
        SERVICE_MANIFEST,
        {},
        {**SERVICE_MANIFEST, "metadata": {"name": "s", "labels": {"a/b.c": "2"}}},
        {**SERVICE_MANIFEST, "metadata": {"name": "s", "labels": "rubbish"}},
        {**SERVICE_MANIFEST, "spec": {"selector": {"app": "x", "b": "y"}, "ports": []}},
        {**SERVICE_MANIFEST, "spec": {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 80, "protocol": "TCP"}]}},
        {**SERVICE_MANIFEST, "spec": {"ports": {"port": 80}}},
    ],
)
def test_what_differs_is_each_owned_path_whose_value_differs(live: Object) -> None:
    expected = {path for path in owned(SERVICE_MANIFEST) if value_at(live, path) != value_at(SERVICE_MANIFEST, path)}
    assert differing(SERVICE_MANIFEST, live) == expected


def test_paths_are_spelled_as_in_messages() -> None:
    assert {spelled(path) for path in owned(SERVICE_MANIFEST)} == {
        ".metadata.labels.a/b.c",
        ".spec.selector",
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].port',
        '.spec.ports[port=80,protocol="TCP"].protocol',
        '.spec.ports[port=80,protocol="TCP"].name',
    }


def test_taking_away_all_that_was_owned_leaves_what_names_it() -> None:
    left = without(SERVICE_MANIFEST, owned(SERVICE_MANIFEST))
    assert left["metadata"] == {"name": "s", "namespace": "default"}
    assert not left.get("spec", {}).get("selector")
    assert not left.get("spec", {}).get("ports")


def test_lists_of_custom_resources_are_one_value() -> None:
    gateway = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "g", "namespace": "default"},
        "spec": {"servers": [{"port": {"number": 15443}}]},
    }
    assert ("f:spec", "f:servers") in owned(gateway)
    other = {**gateway, "spec": {"servers": [{"port": {"number": 80}}]}}
    assert merged(gateway, other)["spec"] == other["spec"]


def test_nodes_are_ready() -> None:
    (node,) = door(outside()).objects(NODE)
    assert {"type": "InternalIP", "address": "192.0.2.11"} in node["status"]["addresses"]
