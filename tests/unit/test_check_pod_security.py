"""The check `pod-security`."""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from wizard.clusters.kinds import EVENT, NAMESPACE, POD, Object, Ref

ENFORCE = "pod-security.kubernetes.io/enforce"


def label(made: Setting, level: str, namespace: str = "sample") -> None:
    made.machine(2).change(Ref(NAMESPACE, namespace), lambda live: live["metadata"]["labels"].update({ENFORCE: level}))


def give(made: Setting, *capabilities: str) -> None:
    """What istiod gives to istio-init where Istio's CNI plugin is not there."""
    machine = made.machine(2)

    def edit(pod: Object) -> None:
        pod["spec"]["initContainers"][0]["securityContext"] = {"capabilities": {"add": list(capabilities)}}

    for pod in machine.listed(POD, "sample"):
        machine.change(Ref(POD, pod["metadata"]["name"], "sample"), edit)


def test_of_a_namespace_that_enforces_nothing_nothing_is_said() -> None:
    made = finished_mesh()
    give(made, "NET_ADMIN", "NET_RAW")
    assert found(made, "pod-security") == []


@pytest.mark.parametrize("level", ["baseline", "restricted", "privileged"])
def test_with_the_cni_plugin_any_level_will_do(level: str) -> None:
    made = finished_mesh()
    label(made, level)
    label(made, level, "istio-system")
    assert found(made, "pod-security") == []


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_the_next_pod_will_be_refused(level: str) -> None:
    made = finished_mesh()
    give(made, "NET_ADMIN", "NET_RAW")
    label(made, level)
    (one,) = found(made, "pod-security")
    assert (one.severity, one.cluster, one.breaks) == ("warning", "cluster2", ())
    assert one.object == "Namespace sample"
    assert one.commands == (
        "kubectl --context=kubernetes-admin2@kubernetes label namespace sample "
        "pod-security.kubernetes.io/enforce=privileged --overwrite",
    )


def test_one_that_was_refused_is_an_error() -> None:
    made = finished_mesh()
    label(made, "restricted")
    machine = made.machine(2)
    (server,) = (each for each in machine.listed(POD, "sample") if "helloworld" in each["metadata"]["name"])
    machine.quotas["sample"] = "limits.cpu"  # keeps a new one from being made
    with machine.settled():
        machine.store.remove(Ref(POD, server["metadata"]["name"], "sample"))
    why = 'pods "helloworld" is forbidden: violates PodSecurity "restricted:latest": istio-init must not include NET_ADMIN'
    machine.apply_as(
        "kube-controller-manager",
        {
            "apiVersion": "v1", "kind": EVENT.kind, "metadata": {"name": "refused", "namespace": "sample"},
            "involvedObject": {"kind": "ReplicaSet", "name": str(server["metadata"]["name"]).rpartition("-")[0]},
            "type": "Warning", "reason": "FailedCreate", "message": f"Error creating: {why}",
            "lastTimestamp": "2999-01-01T00:00:00Z",
        },
    )  # fmt: skip
    (one,) = found(made, "pod-security")
    assert (one.severity, one.object) == ("error", "Namespace sample")
    assert "refuses the Pods of helloworld-v2" in one.text
    assert one.breaks == (("cluster1", "cluster2"), ("cluster2", "cluster2"))
    assert found(made, "quota") == []
