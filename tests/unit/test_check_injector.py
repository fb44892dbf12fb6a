"""The check `injector`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.certificates.authority import make_root
from wizard.checks.finding import Finding
from wizard.checks.standing.diagnosis import diagnose
from wizard.checks.standing.view import View
from wizard.clusters.kinds import DEPLOYMENT, EVENT, MUTATING_WEBHOOK, NAMESPACE, POD, SERVICE, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE, Istio

INJECTOR = Ref(MUTATING_WEBHOOK, "istio-sidecar-injector")
TAG = Ref(MUTATING_WEBHOOK, "istio-revision-tag-default")
ISTIOD = Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)
NEVER = {"matchLabels": {"istio.io/deactivated": "never-match"}}


def inferred(made: Setting) -> list[Finding]:
    findings = diagnose(View(replace(made.mesh, istio=Istio()), made.world.clusters, inferred=True)).findings
    return [each for each in findings if each.check == "injector"]


def remove(made: Setting, number: int, *refs: Ref) -> None:
    machine = made.machine(number)
    with machine.settled():
        for ref in refs:
            machine.store.remove(ref)


def edit(made: Setting, number: int, ref: Ref, how: Callable[[Object], Any]) -> None:
    """A change of each webhook of a configuration, which istiod does not mend: it does not run meanwhile."""

    def change(live: Object) -> None:
        for hook in live["webhooks"]:
            how(hook)

    made.machine(number).change(ref, change)


def restart(made: Setting, number: int, stem: str) -> None:
    machine = made.machine(number)
    with machine.settled():
        for pod in machine.listed(POD, "sample"):
            if pod["metadata"]["name"].startswith(stem):
                machine.store.remove(Ref(POD, pod["metadata"]["name"], "sample"))


def test_of_what_injects_nothing_is_said() -> None:
    for made in (finished_mesh(), finished_remote(), made_by_hand()):
        assert found(made, "injector") == []
        assert inferred(made) == []
    assert found(finished_remote(Istio(revision="canary")), "injector") == []


def test_labels_of_the_samples_namespace_are_another_matter() -> None:
    made = finished_mesh()
    made.machine(1).change(
        Ref(NAMESPACE, "sample"), lambda live: live["metadata"]["labels"].update({"istio-injection": "disabled"})
    )
    remove(made, 2, Ref(NAMESPACE, "sample"))
    assert found(made, "injector") == []
    assert inferred(made) == []


def test_a_tag_of_others_is_followed() -> None:
    made = finished_remote(Istio(revision="canary"))
    machine = made.machine(1)
    hooks = machine.found(Ref(MUTATING_WEBHOOK, "istio-sidecar-injector-canary")) or {}
    labels = {**hooks["metadata"]["labels"], "istio.io/tag": "prod"}
    machine.apply_as("istioctl", {
        "apiVersion": MUTATING_WEBHOOK.api_version, "kind": MUTATING_WEBHOOK.kind,
        "metadata": {"name": "istio-revision-tag-prod", "labels": labels}, "webhooks": hooks["webhooks"],
    })  # fmt: skip
    machine.change(Ref(NAMESPACE, "sample"), lambda live: live["metadata"]["labels"].update({"istio.io/rev": "prod"}))
    view = View(made.mesh, made.world.clusters, inferred=True)
    assert [each for each in diagnose(view).findings if each.check == "injector"] == []
    edit(made, 1, Ref(MUTATING_WEBHOOK, "istio-revision-tag-prod"), lambda hook: hook["clientConfig"].update(
        service={"name": "istiod-gone", "namespace": SYSTEM_NAMESPACE}))  # fmt: skip
    view = View(made.mesh, made.world.clusters, inferred=True)
    told = [each.object for each in diagnose(view).findings if each.check == "injector"]
    assert told == ["MutatingWebhookConfiguration istio-revision-tag-prod"]


# -- none that asks for sidecars


def test_one_that_is_gone_while_its_tags_injects_is_a_warning() -> None:
    made = finished_mesh()
    remove(made, 1, INJECTOR)
    (one,) = found(made, "injector")
    assert (one.severity, one.cluster, one.breaks, one.step) == ("warning", "cluster1", (), "cluster1/install")
    assert one.object == "MutatingWebhookConfiguration istio-sidecar-injector"
    assert one.commands[0] == (
        "kubectl --context=kubernetes-admin1@kubernetes get mutatingwebhookconfigurations -l app=sidecar-injector"
    )
    assert inferred(made) == []


def test_without_its_tags_the_one_that_was_switched_off_injects_nobody() -> None:
    made = finished_mesh()
    remove(made, 1, TAG)
    (one,) = found(made, "injector")
    assert (one.severity, one.object, one.step) == ("warning", str(TAG), "cluster1/install")
    assert "switched off in its favour" in one.text


def test_with_both_gone_the_own_one_is_named() -> None:
    made = finished_mesh()
    remove(made, 1, INJECTOR, TAG)
    (one,) = found(made, "injector")
    assert (one.severity, one.object) == ("warning", str(INJECTOR))
    assert "gets no sidecar" in one.text


def test_a_revisions_own_is_needed() -> None:
    made = finished_remote(Istio(revision="canary"))
    remove(made, 2, Ref(MUTATING_WEBHOOK, "istio-sidecar-injector-canary"))
    (one,) = found(made, "injector")
    assert one.object == "MutatingWebhookConfiguration istio-sidecar-injector-canary"
    assert "gets no sidecar" in one.text


def test_one_that_selects_nothing_is_named() -> None:
    made = finished_mesh()
    selector = {"matchLabels": {"team": "shop"}}
    edit(made, 1, TAG, lambda hook: hook.update(namespaceSelector=selector))
    (one,) = found(made, "injector")
    assert (one.severity, one.object, one.step) == ("warning", str(TAG), None)
    assert "selects no Pod" in one.text


def test_pods_that_were_made_without_a_sidecar_make_it_the_cause() -> None:
    made = finished_mesh()
    remove(made, 2, INJECTOR, TAG)
    restart(made, 2, "helloworld")
    (one,) = found(made, "injector")
    assert (one.severity, one.breaks) == ("error", (("cluster1", "cluster2"), ("cluster2", "cluster2")))
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.object) == ("injector", str(INJECTOR))


# -- one that is called in vain


def down(made: Setting) -> None:
    """Without istiod nobody mends what it wrote."""
    made.machine(1).change(ISTIOD, lambda live: live["spec"].update(replicas=0))


def test_a_service_that_is_not_there_refuses_the_next_pod() -> None:
    made = finished_mesh()
    edit(made, 1, TAG, lambda hook: hook["clientConfig"]["service"].update(name="gone"))
    (one,) = found(made, "injector")
    assert (one.severity, one.object, one.step) == ("warning", str(TAG), None)
    assert "calls Service gone in istio-system, which is not there" in one.text


def test_of_istiods_own_service_another_check_tells() -> None:
    made = finished_mesh()
    remove(made, 1, Ref(SERVICE, "istiod", SYSTEM_NAMESPACE))
    assert found(made, "injector") == []


def test_a_bundle_of_another_root_is_told_by_its_fingerprint() -> None:
    for made, number in ((finished_mesh(), 1), (finished_remote(), 2)):
        down(made)
        root = make_root("other")
        bundle = base64.b64encode(root.certificate).decode()
        edit(made, number, TAG, lambda hook, bundle=bundle: hook["clientConfig"].update(caBundle=bundle))
        (one,) = found(made, "injector")
        assert (one.severity, one.cluster, one.object) == ("warning", f"cluster{number}", str(TAG))
        assert "is not the root of istiod in cluster1" in one.text


def test_one_of_several_roots_is_enough() -> None:
    made = finished_mesh()
    down(made)
    other = make_root("other").certificate

    def add(hook: Object) -> None:
        both = other + base64.b64decode(hook["clientConfig"]["caBundle"])
        hook["clientConfig"]["caBundle"] = base64.b64encode(both).decode()

    edit(made, 1, TAG, add)
    assert found(made, "injector") == []


@pytest.mark.parametrize("bundle", ["!", "bm90aGluZw==", base64.b64encode(b"\xff\xfe").decode()])
def test_a_bundle_without_a_certificate_is_told(bundle: str) -> None:
    made = finished_mesh()
    down(made)
    edit(made, 1, TAG, lambda hook: hook["clientConfig"].update(caBundle=bundle))
    (one,) = found(made, "injector")
    assert "(no certificate) is not the root" in one.text


def test_one_that_was_never_signed_is_told() -> None:
    made = finished_remote()
    down(made)
    edit(made, 2, TAG, lambda hook: hook["clientConfig"].pop("caBundle"))
    (one,) = found(made, "injector")
    assert "has no caBundle" in one.text


@pytest.mark.parametrize(
    ("path", "found_there"), [("/inject", "no cluster"), ("/inject/cluster/cluster1/net/network1", "cluster1")]
)
def test_a_remote_asks_for_sidecars_of_its_own(path: str, found_there: str) -> None:
    made = finished_remote()
    edit(made, 2, TAG, lambda hook: hook["clientConfig"]["service"].update(path=path))
    (one,) = found(made, "injector")
    assert (one.severity, one.cluster, one.object) == ("warning", "cluster2", str(TAG))
    assert f"asks for sidecars of {found_there}, not of cluster2" in one.text


def test_what_others_call_a_cluster_nobody_knows() -> None:
    made = finished_remote()
    path = "/inject/cluster/theirs/net/network2"
    edit(made, 2, TAG, lambda hook: hook["clientConfig"]["service"].update(path=path))
    assert inferred(made) == []
    edit(made, 2, TAG, lambda hook: hook["clientConfig"]["service"].update(path="/inject"))
    assert [each.object for each in inferred(made)] == [str(TAG)]


def test_the_other_form_of_a_path_is_read() -> None:
    made = finished_remote()
    path = "/inject:ENV:cluster=cluster2:ENV:net=network2"
    edit(made, 2, TAG, lambda hook: hook["clientConfig"]["service"].update(path=path))
    assert found(made, "injector") == []


def test_a_url_needs_no_service_and_no_bundle() -> None:
    made = finished_remote()
    down(made)
    url = "https://istiod.example.com:15017/inject/cluster/cluster2/net/network2"
    edit(made, 2, TAG, lambda hook: hook.update(clientConfig={"url": url}))
    assert found(made, "injector") == []


# -- an API server that gets no answer


def refused(made: Setting, why: str) -> None:
    """No Pod of the server comes, and the API server says why."""
    machine = made.machine(2)
    (server,) = (each for each in machine.listed(POD, "sample") if "helloworld" in each["metadata"]["name"])
    machine.quotas["sample"] = "limits.cpu"  # keeps a new one from being made
    restart(made, 2, "helloworld")
    machine.apply_as(
        "kube-controller-manager",
        {
            "apiVersion": "v1", "kind": EVENT.kind, "metadata": {"name": "refused", "namespace": "sample"},
            "involvedObject": {"kind": "ReplicaSet", "name": str(server["metadata"]["name"]).rpartition("-")[0]},
            "type": "Warning", "reason": "FailedCreate", "message": f"Error creating: {why}",
            "lastTimestamp": "2999-01-01T00:00:00Z",
        },
    )  # fmt: skip


TIMEOUT = (
    'Internal error occurred: failed calling webhook "namespace.sidecar-injector.istio.io": failed to call webhook: Post '
    '"https://istiod.istio-system.svc:443/inject?timeout=10s": context deadline exceeded'
)


def test_a_closed_port_between_api_server_and_istiod_is_the_cause() -> None:
    made = finished_mesh()
    refused(made, TIMEOUT)
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object) == ("injector", "cluster2", str(INJECTOR))
    assert "15017" in cause.remedy
    assert cause.breaks == (("cluster1", "cluster2"), ("cluster2", "cluster2"))


def test_it_is_not_where_istiod_does_not_run_or_is_not_found() -> None:
    made = finished_mesh()
    refused(made, TIMEOUT)
    made.machine(2).change(
        Ref(SERVICE, "istiod", SYSTEM_NAMESPACE), lambda live: live["spec"].update(selector={"a": "b"})
    )
    assert found(made, "injector") == []
    made.machine(2).change(ISTIOD, lambda live: live["spec"].update(replicas=0))
    assert found(made, "injector") == []


def test_nor_is_it_in_a_remote_whose_way_to_istiod_others_look_at() -> None:
    made = finished_remote()
    refused(made, TIMEOUT)
    assert found(made, "injector") == []
