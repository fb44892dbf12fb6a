"""The sample's Pods get their sidecars whatever istioctl does to the injection webhook meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.conftest import Setting
from wizard.clusters.kinds import DEPLOYMENT, POD, Kind, Object, Ref
from wizard.engine.step import Difference, Needed
from wizard.errors import Failed
from wizard.istio.proxies import has_sidecar
from wizard.objects.defaulttag import INJECTOR
from wizard.probes.traffic import client_pod
from wizard.simulated import charts
from wizard.steps import sample

CURL = Ref(DEPLOYMENT, "curl", "sample")


def inject(setting: Setting, *, on: bool) -> None:
    """Whether Pods of cluster1 get a sidecar."""

    def change(webhook: Object) -> None:
        hooks = [{**hook, "namespaceSelector": {}, "objectSelector": {}} for hook in webhook["webhooks"]]
        webhook["webhooks"] = hooks if on else charts.switched_off(hooks)

    setting.machine(1).change(INJECTOR, change, manager="istioctl")


def pods(setting: Setting) -> list[Object]:
    return setting.machine(1).listed(POD, "sample")


def on_delete(setting: Setting, monkeypatch: pytest.MonkeyPatch, then: Callable[[int], None]) -> list[Ref]:
    """Calls `then` with their number before Pods of cluster1 are deleted; gives those that were."""
    cluster = setting.world.clusters["cluster1"]
    real, deleted = cluster.delete, list[Ref]()

    def delete(ref: Ref, **rest: Any) -> bool:
        if ref.kind is POD:
            deleted.append(ref)
            then(len(deleted))
        return real(ref, **rest)

    monkeypatch.setattr(cluster, "delete", delete)
    return deleted


def test_pods_made_while_nothing_injects_are_replaced_until_one_is_injected(
    finished: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(number: int) -> None:
        if number == 3:
            inject(finished, on=True)

    monkeypatch.setattr(sample, "REPLACING_PAUSE_SECONDS", 0.02)
    deleted = on_delete(finished, monkeypatch, again)
    inject(finished, on=False)
    finished.machine(1).store.remove(CURL)
    outcome = finished.run()
    assert outcome.ok, outcome.what
    assert len(set(deleted)) == 3
    assert all(has_sidecar(pod) for pod in pods(finished))


def test_where_nothing_ever_injects_it_says_so_and_replaces_ever_more_seldom(
    finished: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "READY_SECONDS", 0.5)
    deleted = on_delete(finished, monkeypatch, lambda number: None)
    inject(finished, on=False)
    finished.machine(1).store.remove(CURL)
    outcome = finished.run()
    assert outcome.exit_code == 1
    assert "last seen: without a sidecar: curl-" in outcome.what
    assert len(set(deleted)) == 1


def test_a_deployment_that_still_counts_a_pod_that_is_gone_is_not_ready(
    finished: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = finished.world.clusters["cluster1"]
    real = cluster.objects

    def objects(kind: Kind, *args: Any, **rest: Any) -> list[Object]:
        found = real(kind, *args, **rest)
        return [each for each in found if kind is not POD or not each["metadata"]["name"].startswith("curl-")]

    monkeypatch.setattr(cluster, "objects", objects)
    probe = finished.probe("cluster1/sample")
    assert isinstance(probe, Needed)
    assert probe.differences == (Difference(str(CURL), "status.availableReplicas", "0", "at least 1", transient=True),)


def test_a_deployment_that_still_counts_the_pod_before_is_not_ready_before_that_in_its_place(
    finished: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = finished.world.clusters["cluster1"]
    real = cluster.objects

    def objects(kind: Kind, *args: Any, **rest: Any) -> list[Object]:
        found = real(kind, *args, **rest)
        for each in found if kind is POD else ():
            if each["metadata"]["name"].startswith("curl-"):
                each["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        return found

    monkeypatch.setattr(cluster, "objects", objects)
    probe = finished.probe("cluster1/sample")
    assert isinstance(probe, Needed)
    assert probe.differences == (Difference(str(CURL), "status.availableReplicas", "0", "at least 1", transient=True),)


def test_a_pod_of_somebody_else_is_neither_replaced_nor_asked(finished: Setting) -> None:
    mine: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a-pod-of-mine", "namespace": "sample", "labels": {"app": "curl"}},
        "spec": {"containers": [{"name": "mine", "image": "registry.example/mine"}]},
    }
    finished.machine(1).apply_as("kubectl", mine)
    finished.machine(1).store.remove(CURL)
    outcome = finished.run()
    assert outcome.ok, outcome.what
    assert "a-pod-of-mine" in [pod["metadata"]["name"] for pod in pods(finished)]
    assert client_pod(finished.world.clusters["cluster1"], "sample").name.startswith("curl-")
    finished.machine(1).store.remove(CURL)
    with pytest.raises(Failed, match="no curl pod with a sidecar"):
        client_pod(finished.world.clusters["cluster1"], "sample")
