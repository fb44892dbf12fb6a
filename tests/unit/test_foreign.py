"""What others set on what istioctl installed is seen before an install overwrites it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cluster_fakes import Holding, thing
from tests.unit.conftest import Setting
from wizard.clusters.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINTS,
    MUTATING_WEBHOOK,
    ROLE_BINDING,
    SERVICE,
    VALIDATING_WEBHOOK,
    Kind,
    Object,
    Ref,
)
from wizard.engine.events import Status
from wizard.engine.step import Conflict, Done, Needed
from wizard.istio.istioctl import RealIstioctl
from wizard.istio.operator import OPERATOR_NAME
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.objects.foreign import installed, overwritten, set_by_others, spelled
from wizard.objects.installed import RECORD
from wizard.objects.managers import ISTIOCTL, MACHINERY
from wizard.objects.ownership import ISTIO_OWNER

pytestmark = pytest.mark.promise(24)

ISTIOD = Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)
GATEWAY = Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)
GATEWAY_SERVICE = Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE)
CONFIG = Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)
INJECTOR = Ref(MUTATING_WEBHOOK, "istio-sidecar-injector")
VALIDATOR = Ref(VALIDATING_WEBHOOK, "istio-validator-istio-system")


# -- what managed fields say


def test_managed_fields_are_read_as_kubernetes_writes_them() -> None:
    """Items of sets, keys of ports, the status of another manager, an update beside an apply."""
    live: Object = {
        "metadata": {"managedFields": [
            {"manager": "istio-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}, "f:b": {".": {}, "f:x": {}}}}},
            {"manager": "kubectl", "operation": "Update", "fieldsV1": {
                "f:spec": {"f:a": {}, "f:c": {".": {}, 'k:{"port":443,"protocol":"TCP"}': {".": {}, "f:nodePort": {}},
                                              'v:"one"': {}}}}},
            {"manager": "kubectl", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:y": {}}}},
            {"manager": "vendor", "operation": "Update", "fieldsV1": {}},
            {"manager": "vendor", "operation": "Update"},
        ]}
    }  # fmt: skip
    assert [(spelled(path), manager) for path, manager in set_by_others(live)] == [
        ("spec.c.443,TCP.nodePort", "kubectl"),
        ('spec.c."one"', "kubectl"),
    ]
    assert set_by_others({"metadata": {}}) == []


OURS = {ISTIO_OWNER: OPERATOR_NAME}


def fields(manager: str, *paths: tuple[str, ...]) -> Object:
    """An entry of the managed fields."""
    told: Object = {}
    for path in paths:
        here = told
        for step in path:
            here = here.setdefault(step, {".": {}} if step[0] == "k" else {})
    return {"manager": manager, "operation": "Update", "fieldsV1": told}


def installed_by_us(kind: Kind, spec: Object, *entries: Object) -> Object:
    live = thing(kind, "one", SYSTEM_NAMESPACE, labels=OURS, spec=spec)
    live["metadata"]["managedFields"] = list(entries)
    return live


def lost(live: Object, *rendered: Object, looked_after: str = "") -> list[str]:
    """What an install of these would overwrite on that one."""
    cluster: Any = Holding(live)
    told = overwritten(cluster, lambda: rendered, lambda item, field: (item, field) == (live, looked_after))
    return [str(each).removeprefix(f"{live['kind']} one in istio-system: ") for each in told]


def container(name: str, cpu: str) -> Object:
    return {"name": name, "resources": {"cpu": cpu}}


CPU = ("f:spec", "f:containers", 'k:{"name":"proxy"}', "f:resources", "f:cpu")
PORT = ("f:spec", "f:ports", 'k:{"port":53,"protocol":"TCP"}', "f:name")
REPLICAS = ("f:spec", "f:replicas")


@pytest.mark.parametrize(
    ("path", "now", "then", "told"),
    [
        (REPLICAS, {"replicas": 3}, {"replicas": 2}, "spec.replicas: 3 (set by kubectl) → 2"),
        (REPLICAS, {"replicas": 3}, {}, "spec.replicas: 3 (set by kubectl) → 1"),  # left to an autoscaler
        (REPLICAS, {"replicas": 1}, {}, ""),
        (REPLICAS, {}, {"replicas": 2}, ""),  # taken back, whatever the managed fields still say
        (("f:spec", "f:paused"), {"paused": True}, {}, ""),  # an install leaves that alone
        (("f:spec", "f:a", "f:b"), {"a": {"b": 1}}, {"a": "text"}, ""),
        (
            CPU,
            {"containers": [container("other", "1"), container("proxy", "2")]},
            {"containers": ["odd", container("other", "2"), container("proxy", "100m")]},
            "spec.containers.proxy.resources.cpu: 2 (set by kubectl) → 100m",
        ),
        (CPU, {"containers": [container("proxy", "1")]}, {"containers": [container("proxy", "1000m")]}, ""),
        (CPU, {"containers": [container("proxy", "1")]}, {"containers": [container("other", "2")]}, ""),
        (CPU, {"containers": [container("proxy", "1")]}, {"containers": {"name": "proxy"}}, ""),
        (
            PORT,
            {"ports": [{"port": 53, "protocol": "TCP", "name": "theirs"}]},
            {"ports": [{"port": 53, "protocol": "UDP", "name": "udp"}, {"port": 54, "name": "a"}, {"port": 53, "name": "b"}]},
            "spec.ports.53,TCP.name: theirs (set by kubectl) → b",  # TCP where nobody says otherwise
        ),
        (("f:spec", "f:ranges", 'v:"a"'), {"ranges": ["a"]}, {"ranges": ["b"]}, ""),
    ],
)  # fmt: skip
def test_what_an_install_would_set_to_another_value_is_lost(
    path: tuple[str, ...], now: Object, then: Object, told: str
) -> None:
    live = installed_by_us(DEPLOYMENT, now, fields("kubectl", path))
    wanted = thing(DEPLOYMENT, "one", SYSTEM_NAMESPACE, spec=then)
    elsewhere = thing(DEPLOYMENT, "one", "elsewhere", spec={"replicas": 7})
    assert lost(live, wanted, elsewhere) == [told][: bool(told)]
    assert lost(live, elsewhere) == []


def test_what_is_looked_after_elsewhere_is_not_told_again() -> None:
    live = installed_by_us(DEPLOYMENT, {"replicas": 3}, fields("kubectl", REPLICAS))
    assert lost(live, thing(DEPLOYMENT, "one", SYSTEM_NAMESPACE, spec={}), looked_after="spec.replicas") == []


def test_labels_and_certificates_of_webhooks_are_others_business() -> None:
    live = installed_by_us(
        DEPLOYMENT, {"caBundle": "theirs"}, fields("kubectl", ("f:metadata", "f:labels", "f:spec")),
        fields("kubectl", ("f:spec", "f:caBundle")),
    )  # fmt: skip
    live["metadata"]["labels"]["spec"] = "theirs"
    assert lost(live, thing(DEPLOYMENT, "one", SYSTEM_NAMESPACE, labels={"spec": "x"}, spec={"caBundle": "ours"})) == []


def test_of_a_binding_the_list_of_whom_it_is_given_to_is_one_value() -> None:
    live = {**installed_by_us(ROLE_BINDING, {}, fields("kubectl", ("f:subjects",))), "subjects": []}
    assert lost(live, thing(ROLE_BINDING, "one", SYSTEM_NAMESPACE, subjects=["reader"])) == [
        "subjects: [] (set by kubectl) → ['reader']"
    ]


def test_what_kubernetes_derives_from_our_objects_is_not_installed() -> None:
    """It copies the labels of a Service to the Endpoints that it makes for it."""
    ours = thing(ENDPOINTS, "ours", labels=OURS, managers=("kube-controller-manager", "istio-operator"))
    derived = thing(ENDPOINTS, "derived", labels=OURS, managers=("kube-controller-manager",))
    nobodys = thing(ENDPOINTS, "nobodys", labels=OURS)
    plain = thing(SERVICE, "plain", labels=OURS, managers=("kubectl",))
    others = thing(SERVICE, "others", labels={ISTIO_OWNER: "elsewhere"})
    cluster: Any = Holding(ours, derived, nobodys, plain, others)
    assert {live["metadata"]["name"] for live in installed(cluster)} == {"ours", "plain"}


# -- what others set in a finished mesh


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
