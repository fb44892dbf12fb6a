"""The check `webhooks`."""

from __future__ import annotations

from typing import Any

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.clusters.kinds import EVENT, MUTATING_WEBHOOK, POD, SERVICE, VALIDATING_WEBHOOK, Kind, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE

PODS = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


def hooked(made: Setting, kind: Kind = VALIDATING_WEBHOOK, **more: Any) -> None:
    """A webhook of a policy engine whose Service is not there."""
    service = {"name": "policy", "namespace": "gone"}
    given: Object = {"name": "pods.policy.example", "clientConfig": {"service": service}, "rules": [PODS], **more}
    made.machine(2).apply_as(
        "helm",
        {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "policy"}, "webhooks": [given]},
    )


def test_of_webhooks_that_answer_nothing_is_said() -> None:
    for made in (finished_mesh(), finished_remote()):
        assert found(made, "webhooks") == []


def test_one_whose_service_is_gone_refuses_what_restarts() -> None:
    for kind in (VALIDATING_WEBHOOK, MUTATING_WEBHOOK):
        made = finished_mesh()
        hooked(made, kind)
        (one,) = found(made, "webhooks")
        assert (one.severity, one.cluster, one.breaks) == ("warning", "cluster2", ())
        assert one.object == f"{kind.kind} policy"
        assert "pods in istio-system" in one.text
        tool = "kubectl --context=kubernetes-admin2@kubernetes"
        assert one.commands[1] == f"{tool} delete {kind.kind.lower()} policy"


def test_one_that_may_fail_or_is_not_asked_refuses_nothing() -> None:
    for more in (
        {"failurePolicy": "Ignore"},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}},
        {"rules": [{**PODS, "resources": ["nodes"]}]},
    ):
        made = finished_mesh()
        hooked(made, **more)
        assert found(made, "webhooks") == []


def test_of_istiods_own_the_control_plane_tells() -> None:
    made = finished_mesh()
    machine = made.machine(2)
    machine.change(
        Ref(MUTATING_WEBHOOK, "istio-revision-tag-default"),
        lambda live: [hook.update(rules=[PODS]) for hook in live["webhooks"]],
    )
    with machine.settled():
        machine.store.remove(Ref(SERVICE, "istiod", SYSTEM_NAMESPACE))
    assert found(made, "webhooks") == []


def test_one_that_refused_the_server_is_the_cause() -> None:
    made = finished_mesh()
    hooked(made)
    machine = made.machine(2)
    (server,) = (each for each in machine.listed(POD, "sample") if "helloworld" in each["metadata"]["name"])
    machine.quotas["sample"] = "limits.cpu"  # keeps a new one from being made
    with machine.settled():
        machine.store.remove(Ref(POD, server["metadata"]["name"], "sample"))
    why = 'Internal error occurred: failed calling webhook "pods.policy.example": failed to call webhook: service not found'
    machine.apply_as(
        "kube-controller-manager",
        {
            "apiVersion": "v1", "kind": EVENT.kind, "metadata": {"name": "refused", "namespace": "sample"},
            "involvedObject": {"kind": "ReplicaSet", "name": str(server["metadata"]["name"]).rpartition("-")[0]},
            "type": "Warning", "reason": "FailedCreate", "message": f"Error creating: {why}",
            "lastTimestamp": "2999-01-01T00:00:00Z",
        },
    )  # fmt: skip
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.object) == ("webhooks", "ValidatingWebhookConfiguration policy")
    assert "refuses the Pods of helloworld-v2" in cause.text
    assert cause.breaks == (("cluster1", "cluster2"), ("cluster2", "cluster2"))
