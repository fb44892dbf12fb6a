"""The check `external-istiod`."""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.diagnosis import diagnose
from wizard.checks.standing.view import View
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, MUTATING_WEBHOOK, NAMESPACE, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE

ANNOTATION = "topology.istio.io/controlPlaneClusters"
ALL = {(source, target) for source in ("cluster1", "cluster2") for target in ("cluster1", "cluster2")}


def annotate(made: Setting, value: str | None) -> None:
    def edit(live: Object) -> None:
        live["metadata"]["annotations"].pop(ANNOTATION, None)
        if value is not None:
            live["metadata"]["annotations"][ANNOTATION] = value

    made.machine(2).change(Ref(NAMESPACE, SYSTEM_NAMESPACE), edit)


def unset(made: Setting) -> None:
    def edit(istiod: Object) -> None:
        (container,) = istiod["spec"]["template"]["spec"]["containers"]
        container["env"] = [each for each in container["env"] if each["name"] != "EXTERNAL_ISTIOD"]

    made.machine(1).change(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE), edit)


def unsign(made: Setting) -> None:
    def edit(hooks: Object) -> None:
        for hook in hooks["webhooks"]:
            hook["clientConfig"].pop("caBundle", None)

    for name in ("istio-sidecar-injector", "istio-revision-tag-default"):
        made.machine(2).change(Ref(MUTATING_WEBHOOK, name), edit)


def test_of_remotes_that_are_looked_after_nothing_is_said() -> None:
    assert found(finished_mesh(), "external-istiod") == []
    made = finished_remote()
    for value in ("cluster1", "*", "other,cluster1"):
        annotate(made, value)
        assert found(made, "external-istiod") == []


@pytest.mark.parametrize("value", [None, "", "other", "other, cluster1"])
def test_a_remote_that_does_not_name_its_primary_warns(value: str | None) -> None:
    made = finished_remote()
    annotate(made, value)
    (one,) = found(made, "external-istiod")
    assert (one.severity, one.cluster, one.breaks, one.step) == ("warning", "cluster2", (), "cluster2/namespace")
    assert one.object == "Namespace istio-system"
    assert one.commands == (
        f"kubectl --context=kubernetes-admin2@kubernetes annotate namespace istio-system {ANNOTATION}=cluster1 --overwrite",
        "kubectl --context=kubernetes-admin1@kubernetes -n istio-system rollout restart deployment/istiod",
    )


def test_of_a_mesh_that_others_made_it_is_only_a_guess() -> None:
    made = finished_remote()
    annotate(made, None)
    findings = diagnose(View(made.mesh, made.world.clusters, inferred=True)).findings
    told = [(each.severity, each.step) for each in findings if each.check == "external-istiod"]
    assert told == [("unsure", None)]


def test_a_remote_with_an_istiod_of_its_own_is_looked_after_by_that() -> None:
    made = finished_remote()
    annotate(made, None)
    istiod = made.machine(1).found(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)) or {}
    metadata = {"name": "istiod", "namespace": SYSTEM_NAMESPACE, "labels": {"app": "istiod"}}
    made.machine(2).apply_as(
        "helm", {key: istiod[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
    )
    findings = diagnose(View(made.mesh, made.world.clusters, inferred=True)).findings
    assert [each for each in findings if each.check == "external-istiod"] == []


def test_where_nothing_was_signed_it_is_the_cause() -> None:
    made = finished_remote()
    annotate(made, None)
    made.machine(1).change(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE), lambda live: live["spec"].update(replicas=0))
    unsign(made)
    made.machine(1).change(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE), lambda live: live["spec"].update(replicas=1))
    made.machine(1).listed(NAMESPACE)
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.cluster) == ("external-istiod", "cluster2")
    assert set(cause.breaks) == ALL - {("cluster1", "cluster1")}


def test_a_primary_that_does_not_know_of_its_remotes_is_named() -> None:
    made = finished_remote()
    unset(made)
    made.machine(1).listed(NAMESPACE)
    (one,) = found(made, "external-istiod")
    assert (one.severity, one.cluster) == ("warning", "cluster1")
    assert one.object == "Deployment istiod in istio-system"
    assert one.commands[0].endswith("set env deployment/istiod -c discovery EXTERNAL_ISTIOD=true")
    machine = made.machine(2)
    with machine.settled():
        machine.store.remove(Ref(CONFIG_MAP, "istio-ca-root-cert", SYSTEM_NAMESPACE))
    (one,) = found(made, "external-istiod")
    assert one.severity == "error"
    assert set(one.breaks) == ALL - {("cluster1", "cluster1")}
