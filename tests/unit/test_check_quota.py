"""The check `quota`."""

from __future__ import annotations

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.clusters.kinds import DEPLOYMENT, NODE, POD, Object, Ref
from wizard.mesh.model import GATEWAY_NAME, NETWORK_LABEL, SYSTEM_NAMESPACE


def restart(made: Setting, number: int, namespace: str, name: str) -> None:
    machine = made.machine(number)
    with machine.settled():
        for pod in machine.listed(POD, namespace):
            if pod["metadata"]["name"].startswith(f"{name}-"):
                machine.store.remove(Ref(POD, pod["metadata"]["name"], namespace))


def taint(made: Setting, number: int) -> None:
    machine = made.machine(number)

    def edit(node: Object) -> None:
        node["spec"]["taints"] = [{"key": "dedicated", "value": "other", "effect": "NoSchedule"}]

    machine.change(Ref(NODE, machine.node_name), edit)


def test_where_no_pod_is_missing_nothing_is_said() -> None:
    made = finished_mesh()
    made.machine(2).quotas["sample"] = "limits.cpu"
    assert found(made, "quota") == []


def test_what_is_scaled_to_nothing_lacks_nothing() -> None:
    made = finished_mesh()
    made.machine(2).change(
        Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE), lambda live: live["spec"].update(replicas=0)
    )
    assert found(made, "quota") == []


def test_a_quota_that_refuses_the_server_is_the_cause() -> None:
    made = finished_mesh()
    made.machine(2).quotas["sample"] = "limits.cpu"
    restart(made, 2, "sample", "helloworld-v2")
    (one,) = found(made, "quota")
    assert (one.severity, one.cluster) == ("error", "cluster2")
    assert one.object == "ResourceQuota compute in sample"
    assert "0 of 1 Pods of Deployment helloworld-v2 in sample are Ready" in one.text
    assert one.breaks == (("cluster1", "cluster2"), ("cluster2", "cluster2"))
    assert "kubectl --context=kubernetes-admin2@kubernetes -n sample describe deployment helloworld-v2" in one.commands
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.object) == ("quota", "ResourceQuota compute in sample")


def test_a_client_that_no_node_takes_breaks_what_it_asks() -> None:
    made = finished_mesh()
    taint(made, 1)
    restart(made, 1, "sample", "curl")
    (one,) = found(made, "quota")
    assert one.object == "Deployment curl in sample"
    assert "cannot be scheduled" in one.text
    assert one.breaks == (("cluster1", "cluster2"), ("cluster1", "cluster1"))


def test_a_gateway_that_no_node_takes_breaks_what_comes_from_other_networks_and_its_remotes() -> None:
    made = finished_remote()
    taint(made, 1)
    restart(made, 1, SYSTEM_NAMESPACE, GATEWAY_NAME)
    (one,) = found(made, "quota")
    assert one.object == f"Deployment {GATEWAY_NAME} in istio-system"
    assert set(one.breaks) == {("cluster2", "cluster1"), ("cluster1", "cluster2"), ("cluster2", "cluster2")}


def test_a_gateway_is_known_by_the_network_of_its_service() -> None:
    made = finished_mesh()
    machine = made.machine(2)
    machine.quotas[SYSTEM_NAMESPACE] = "limits.cpu"
    labels, place = {"app": "theirs"}, {"name": "theirs", "namespace": SYSTEM_NAMESPACE}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "istio-proxy", "image": "auto"}]}}
    machine.apply_as("helm", {
        "apiVersion": "v1", "kind": "Service", "metadata": {**place, "labels": {NETWORK_LABEL: "network2"}},
        "spec": {"selector": labels, "ports": [{"port": 15443}]},
    })  # fmt: skip
    machine.apply_as("helm", {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": place,
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    })  # fmt: skip
    (one,) = found(made, "quota")
    assert "Deployment theirs in istio-system" in one.text
    assert one.breaks == (("cluster1", "cluster2"),)


def test_one_of_two_that_is_missing_is_a_warning() -> None:
    made = finished_mesh()
    made.machine(1).quotas["sample"] = "limits.cpu"
    made.machine(1).change(Ref(DEPLOYMENT, "curl", "sample"), lambda live: live["spec"].update(replicas=2))
    (one,) = found(made, "quota")
    assert (one.severity, one.breaks) == ("warning", ())
    assert "1 of 2 Pods" in one.text


def test_pods_that_lack_for_an_injector_that_does_not_answer_are_told_elsewhere() -> None:
    made = finished_mesh()
    made.machine(1).change(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE), lambda live: live["spec"].update(replicas=0))
    restart(made, 1, "sample", "curl")
    assert found(made, "quota") == []
