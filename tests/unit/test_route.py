"""Routes that only a person can lay: what is shown, and how it is found out that it was done."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.reach_fakes import NO_ROUTE, OPEN, TIMEOUT, Clock, FakeCluster, Hands, member, mesh_of, world_of
from wizard.clusters.kinds import NODE, SERVICE, Ref
from wizard.engine.events import PersonNeeded, StepSaid, StepWaits
from wizard.engine.step import Needed
from wizard.errors import Failed, NeedsPerson
from wizard.mesh.model import Gateway
from wizard.steps.route import Route
from wizard.world import World

ADD = "sudo ip route add 10.96.0.0/16 via 10.0.0.1"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr("time.monotonic", made)
    yield made


def setting(cidr: str = "10.96.0.0/16") -> tuple[Route, World, FakeCluster, FakeCluster]:
    gateway = Gateway("cluster-ip-route", "10.96.0.255", None, "10.0.0.1")
    mesh = mesh_of(member(1, gateway, service_cidr=cidr), member(2, role="remote", primary="cluster1"))
    world, clusters = world_of(mesh)
    clusters["cluster1"].items[Ref(SERVICE, "kubernetes", "default")] = {"spec": {"clusterIP": "10.96.0.1"}}
    return (
        Route(mesh, mesh.cluster("cluster2"), mesh.cluster("cluster1")),
        world,
        clusters["cluster1"],
        clusters["cluster2"],
    )


def test_where_the_route_is_there_nobody_is_asked(clock: Clock) -> None:
    step, world, _, from_ = setting()
    assert isinstance(step.probe(world), Needed)
    hands = Hands(clock, step)
    step.apply(world, hands.job)
    assert from_.tried == ["https://10.96.0.1:443"]
    assert from_.probes() == []


def test_unattended_a_person_is_needed_with_a_command_for_each_node(clock: Clock) -> None:
    step, world, _, from_ = setting()
    from_.says = {"10.96.0.1:443": TIMEOUT}
    from_.node("evil\x1b[2J\nsudo rm -rf /", "10.0.0.9")
    with pytest.raises(NeedsPerson) as caught:
        step.apply(world, Hands(clock, step).job)
    assert "cluster2 to the Services of cluster1: 10.96.0.0/16 via 10.0.0.1" in caught.value.what
    lines = caught.value.remedy.splitlines()
    assert lines.count(ADD) == 2
    assert "# on node node-of-cluster2 (10.0.0.2)" in lines
    assert "\x1b" not in caught.value.remedy
    assert not any(line.startswith("sudo rm") for line in lines), "a node's name stays on its line"
    assert any("restarts" in line and f"up ip route add {ADD.split('add ')[1]}" in line for line in lines)
    assert "sudo ip route del 10.96.0.0/16 via 10.0.0.1" in caught.value.remedy
    assert from_.probes() == []


def test_attended_it_waits_until_the_route_is_there(clock: Clock) -> None:
    step, world, _, from_ = setting()
    from_.says = {"10.96.0.1:443": [NO_ROUTE, NO_ROUTE, OPEN]}
    hands = Hands(clock, step, attended=True)
    step.apply(world, hands.job)
    (asked,) = [event for event in hands.events if isinstance(event, PersonNeeded)]
    assert ADD in asked.instructions
    waits = [event for event in hands.events if isinstance(event, StepWaits)]
    assert len(waits) == 2
    assert "from node node1: No route to host" in waits[0].seen
    assert len(from_.jobs) == 1
    assert from_.probes() == []


def test_every_node_that_takes_pods_is_tried(clock: Clock) -> None:
    step, world, _, from_ = setting()
    from_.node("two", "10.0.0.22")
    from_.node("off", unschedulable=True)
    from_.node("control", taints=[{"key": "c", "effect": "NoSchedule"}])
    from_.nodes = ("node-of-cluster2", "two")
    from_.says = {"10.96.0.1:443": [OPEN, TIMEOUT, TIMEOUT]}
    with pytest.raises(NeedsPerson) as caught:
        step.apply(world, Hands(clock, step).job)
    assert caught.value.remedy.count(ADD) == 4, "also those that take no Pods now"
    (job,) = from_.jobs
    assert job["spec"]["parallelism"] == 2
    assert "podAntiAffinity" in job["spec"]["template"]["spec"]["affinity"]
    assert from_.probes() == []


def test_a_pod_that_ends_while_a_person_works_is_made_again(clock: Clock) -> None:
    step, world, _, from_ = setting()
    from_.says = {"10.96.0.1:443": [TIMEOUT, OPEN]}

    def gone() -> None:
        from_.during = lambda: None
        from_.exec_trouble = [Failed("cluster2: no command could be run")]

    hands = Hands(clock, step, attended=True)
    from_.during = gone
    step.apply(world, hands.job)
    assert len(from_.jobs) == 2
    assert from_.probes() == []


def test_undo_tells_how_to_take_it_back(clock: Clock) -> None:
    step, world, _, _ = setting()
    hands = Hands(clock, step)
    step.undo(world, hands.job)
    (said,) = [event for event in hands.events if isinstance(event, StepSaid)]
    assert "sudo ip route del 10.96.0.0/16 via 10.0.0.1" in said.text


def test_what_a_cluster_tells_cannot_become_a_command() -> None:
    step, _, _, _ = setting("10.96.0.0/16; reboot")
    assert "'10.96.0.0/16; reboot'" in step.commands()[0].text


def test_a_target_without_services_is_told(clock: Clock) -> None:
    step, world, target, _ = setting()
    target.items.clear()
    with pytest.raises(Failed, match="cluster1: Service kubernetes in default has no address"):
        step.apply(world, Hands(clock, step).job)


def test_nodes_may_tell_little(clock: Clock) -> None:
    step, world, _, from_ = setting()
    from_.says = {"10.96.0.1:443": TIMEOUT}
    from_.items = {Ref(NODE, "bare"): {"metadata": {"name": "bare"}}}
    with pytest.raises(NeedsPerson) as caught:
        step.apply(world, Hands(clock, step).job)
    assert "# on node bare\n" in caught.value.remedy
