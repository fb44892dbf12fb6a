"""What others set on what istioctl installed is seen before an install overwrites it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.conftest import Setting
from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    SERVICE,
    VALIDATING_WEBHOOK,
    Object,
    Ref,
)
from wizard.engine.events import Status
from wizard.engine.step import Conflict, Done, Needed
from wizard.istio.istioctl import RealIstioctl
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.steps.foreign import set_by_others, spelled
from wizard.steps.install import RECORD
from wizard.steps.managers import ISTIOCTL, MACHINERY

pytestmark = pytest.mark.promise(24)

ISTIOD = Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)
GATEWAY = Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)
GATEWAY_SERVICE = Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE)
CONFIG = Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)
INJECTOR = Ref(MUTATING_WEBHOOK, "istio-sidecar-injector")
VALIDATOR = Ref(VALIDATING_WEBHOOK, "istio-validator-istio-system")


def needs_install(made: Setting) -> None:
    """Something else makes the install necessary: it was never recorded as completed."""
    made.machine(1).change(RECORD, lambda item: item["data"].pop("operator.yaml"), manager="meshwizard")


def image(item: Object) -> None:
    item["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/pilot:patched"


def memory(item: Object) -> None:
    item["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m", "memory": "8Gi"}}


def mesh_config(item: Object) -> None:
    item["data"]["mesh"] += "accessLogFile: /dev/stdout\n"


def webhook(item: Object) -> None:
    item["webhooks"][0]["failurePolicy"] = "Ignore"


def target(item: Object) -> None:
    next(port for port in item["spec"]["ports"] if port["port"] == 15443)["targetPort"] = 9443


def scaled(item: Object) -> None:
    item["spec"]["replicas"] = 3


@pytest.mark.parametrize(
    ("ref", "how", "manager", "told"),
    [
        (ISTIOD, image, "kubectl-edit",
         "Deployment istiod in istio-system: spec.template.spec.containers.discovery.image: "
         "registry.example/pilot:patched (set by kubectl-edit) → "),
        (GATEWAY, memory, "vertical-scaler",
         "Deployment istio-eastwestgateway in istio-system: "
         "spec.template.spec.containers.istio-proxy.resources.requests.memory: 8Gi (set by vertical-scaler) → 128Mi"),
        (CONFIG, mesh_config, "helm", "ConfigMap istio in istio-system: data.mesh: "),
        (INJECTOR, webhook, "kubectl-patch",
         "MutatingWebhookConfiguration istio-sidecar-injector: webhooks.rev.namespace.sidecar-injector.istio.io.failurePolicy: "
         "Ignore (set by kubectl-patch) → Fail"),
        (GATEWAY_SERVICE, target, "kubectl-edit",
         "Service istio-eastwestgateway in istio-system: spec.ports.15443,TCP.targetPort: 9443 (set by kubectl-edit) → 15443"),
        (ISTIOD, scaled, "kubectl", "Deployment istiod in istio-system: spec.replicas: 3 (set by kubectl) → 1"),
    ],
)  # fmt: skip
def test_a_field_of_another_manager_is_a_conflict_before_it_is_overwritten(
    finished: Setting, ref: Ref, how: Callable[[Object], None], manager: str, told: str
) -> None:
    finished.machine(1).change(ref, how, manager=manager)
    assert isinstance(finished.probe("cluster1/install"), Done)  # nothing is to be installed, so nothing is overwritten
    finished.outside.istioctl.installs = 0
    needs_install(finished)
    probe = finished.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert told in probe.what
    assert f"set by {manager}" in probe.what
    assert "overlay" in probe.remedy
    assert f"edit {ref.kind.kind.lower()} {ref.name}" in probe.remedy
    outcome = finished.run()
    assert (outcome.exit_code, outcome.statuses["cluster1/install"]) == (3, Status.CONFLICT)
    assert finished.outside.istioctl.installs == 0


def test_taken_back_it_is_no_conflict_any_more(finished: Setting) -> None:
    before = finished.machine(1).found(ISTIOD)
    assert before is not None
    was = before["spec"]["template"]["spec"]["containers"][0]["image"]
    finished.machine(1).change(ISTIOD, image)
    needs_install(finished)
    assert isinstance(finished.probe("cluster1/install"), Conflict)
    finished.machine(1).change(
        ISTIOD, lambda item: item["spec"]["template"]["spec"]["containers"][0].update(image=was), manager="kubectl-edit"
    )
    assert isinstance(finished.probe("cluster1/install"), Needed)
    assert finished.run().ok


def test_a_deployment_that_somebody_scaled_to_none_is_not_waited_for(finished: Setting) -> None:
    """An autoscaler does nothing any more then, and neither would an install."""
    finished.machine(1).change(ISTIOD, lambda item: item["spec"].update(replicas=0), manager="kubectl-scale")
    probe = finished.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert "spec.replicas: 0 (set by kubectl-scale) → 1" in probe.what


def restarted(item: Object) -> None:
    annotations = item["spec"]["template"]["metadata"].setdefault("annotations", {})
    annotations["kubectl.kubernetes.io/restartedAt"] = "2026-01-01T00:00:00Z"


def added(item: Object) -> None:
    item["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}


def signed(item: Object) -> None:
    for hook in item["webhooks"]:
        hook["clientConfig"]["caBundle"] = "b3RoZXI="


@pytest.mark.parametrize(
    ("ref", "how", "manager"),
    [
        (ISTIOD, restarted, "kubectl-rollout"),
        (ISTIOD, added, "kubectl-edit"),
        (ISTIOD, scaled, "kube-controller-manager"),  # an autoscaler
        (VALIDATOR, webhook, "pilot-discovery"),
        (VALIDATOR, signed, "somebody"),
    ],
)
def test_what_an_install_leaves_alone_is_no_conflict(
    finished: Setting, ref: Ref, how: Callable[[Object], None], manager: str
) -> None:
    finished.machine(1).change(ref, how, manager=manager)
    needs_install(finished)
    assert isinstance(finished.probe("cluster1/install"), Needed)
    assert finished.run().ok


def kept_out(item: Object) -> None:
    for hook in item["webhooks"]:
        hook["namespaceSelector"] = {"matchExpressions": [{"key": "control-plane", "operator": "DoesNotExist"}]}


@pytest.mark.inputs("3")
@pytest.mark.parametrize(
    ("ref", "how", "manager"),
    [
        (INJECTOR, kept_out, "admissionsenforcer"),
        (VALIDATOR, webhook, "admissionsenforcer"),
        (ISTIOD, scaled, "k3s"),  # an autoscaler, where all of Kubernetes is one program
        (GATEWAY, scaled, "kubelite"),
    ],
)
def test_what_a_platform_writes_is_no_conflict(
    finished: Setting, ref: Ref, how: Callable[[Object], None], manager: str
) -> None:
    """Neither in a resumed install nor in one that changes something, and again each time that it is written."""
    for policy in ("Always", "IfNotPresent"):
        finished.machine(1).change(ref, how, manager=manager)
        istio = replace(finished.mesh.istio, image_pull_policy=policy)
        finished.mesh = replace(finished.mesh, istio=istio)
        needs_install(finished)
        assert isinstance(finished.probe("cluster1/install"), Needed)
        outcome = finished.run()
        assert outcome.ok, outcome.what


@pytest.mark.inputs("3")
def test_machinery_is_one_table_with_a_reason_for_each() -> None:
    assert all(reason and reason.isprintable() for reason in MACHINERY.values())
    assert MACHINERY.keys() > ISTIOCTL
    assert not {"kubectl", "kubectl-edit", "kubectl-client-side-apply", "helm", "argocd-controller"} & MACHINERY.keys()


def test_what_the_mesh_file_says_is_mended_and_shown_with_who_set_it(finished: Setting) -> None:
    """A plan shows it field by field, so nobody is surprised."""
    finished.machine(1).change(
        GATEWAY_SERVICE, lambda item: item["spec"].update(type="LoadBalancer"), manager="kubectl-patch"
    )
    probe = finished.probe("cluster1/install")
    assert isinstance(probe, Needed)
    (difference,) = probe.differences
    assert str(difference) == (
        "Service istio-eastwestgateway in istio-system: spec.type: LoadBalancer (set by kubectl-patch) → NodePort"
    )
    assert finished.run().ok


def test_what_the_wizard_itself_patched_is_no_conflict(finished: Setting) -> None:
    config = finished.machine(1).found(CONFIG)
    assert config is not None
    finished.machine(1).change(CONFIG, lambda item: item["data"].update(meshNetworks="networks: {}\n"))
    assert finished.run().ok  # mended, as meshwizard
    needs_install(finished)
    assert finished.run().ok
    finished.machine(1).change(CONFIG, lambda item: item["data"].update(meshNetworks="networks: {}\n"))
    needs_install(finished)
    assert finished.run().ok


def test_istioctl_is_asked_only_where_somebody_set_something(
    finished: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    make = finished.outside.istioctl.manifest

    def manifest(operator: str, overlays: Any) -> list[Object]:
        asked.append(operator)
        return make(operator, overlays)

    monkeypatch.setattr(finished.outside.istioctl, "manifest", manifest)
    needs_install(finished)
    assert asked == []
    finished.machine(1).change(ISTIOD, image)
    finished.probe("cluster1/install")
    assert len(asked) == 1


def test_managed_fields_are_read_as_kubernetes_writes_them() -> None:
    """Items of sets, keys of ports, the status of another manager, an update beside an apply."""
    live: Object = {
        "metadata": {"managedFields": [
            {"manager": "istio-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}, "f:b": {".": {}, "f:x": {}}}}},
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {
                "f:spec": {"f:a": {}, "f:c": {".": {}, 'k:{"port":443,"protocol":"TCP"}': {".": {}, "f:nodePort": {}},
                                              'v:"one"': {}}}}},
            {"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:y": {}}}},
        ]}
    }  # fmt: skip
    assert [(spelled(path), manager) for path, manager in set_by_others(live)] == [
        ("spec.c.443,TCP.nodePort", "kubectl"),
        ('spec.c."one"', "kubectl"),
    ]


def test_istioctls_own_manifest_is_read_without_the_definitions(tmp_path: Path) -> None:
    documents = [
        {"kind": "CustomResourceDefinition", "metadata": {"name": "x"}},
        {"kind": "Service", "metadata": {"name": "istiod"}, "spec": {"note": "a\n---\nb"}},
        None,
    ]
    text = "---\n".join(yaml.safe_dump(each) for each in documents)
    program = tmp_path / "istioctl"
    program.write_text(
        f"#!/bin/sh\n[ \"$*\" = 'manifest generate -f over.yaml -f -' ] || exit 9\ncat >/dev/null\ncat <<'EOF'\n{text}EOF\n"
    )
    program.chmod(0o755)
    (found,) = RealIstioctl(str(program)).manifest("kind: IstioOperator\n", [Path("over.yaml")])
    assert found == documents[1]
    assert re.search("a\n---\nb", found["spec"]["note"])
