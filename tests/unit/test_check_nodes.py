"""The check `nodes`."""

from __future__ import annotations

from tests.unit.standing import Setting, finished_mesh, found
from wizard.clusters.kinds import NODE, Object, Ref


def lose(made: Setting, number: int) -> None:
    machine = made.machine(number)

    def edit(node: Object) -> None:
        node["status"]["conditions"][0]["status"] = "Unknown"

    machine.change(Ref(NODE, machine.node_name), edit)


def test_of_nodes_that_are_ready_nothing_is_said() -> None:
    assert found(finished_mesh(), "nodes") == []


def test_a_cluster_without_a_ready_node_is_named_by_it() -> None:
    made = finished_mesh()
    lose(made, 2)
    (one,) = found(made, "nodes")
    assert (one.severity, one.cluster) == ("error", "cluster2")
    assert one.object == f"Node {made.machine(2).node_name}"
    assert "its only node" in one.text
    assert set(one.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster1"), ("cluster2", "cluster2")}


def test_a_cluster_without_a_node_is_told_as_such() -> None:
    made = finished_mesh()
    machine = made.machine(2)
    with machine.settled():
        machine.store.remove(Ref(NODE, machine.node_name))
    (one,) = found(made, "nodes")
    assert "there is no node" in one.text
