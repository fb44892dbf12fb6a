"""Steps between versions of Istio, and proxies of an older one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.conftest import Pages, Setting
from wizard.checks.preflight import check
from wizard.clusters.kinds import DEPLOYMENT, POD, Object, Ref
from wizard.engine.engine import Engine
from wizard.engine.step import Conflict, Done, Needed
from wizard.istio.versions import step_trouble
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.objects.eastwest import GATEWAY
from wizard.plan import RIGHTS, plan_of
from wizard.simulated.istioctl import SimulatedIstioctl

ISTIOD = Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)


def with_istioctl(made: Setting, version: str) -> Setting:
    """The same clusters, with an istioctl of that version."""
    istioctl = SimulatedIstioctl(made.outside.machine, version, "istioctl")
    mesh = replace(made.mesh, istio=replace(made.mesh.istio, version=version))
    return Setting(made.outside, mesh, replace(made.world, istioctl=istioctl))


@pytest.mark.inputs("18")
@pytest.mark.parametrize(
    ("standing", "wanted", "trouble"),
    [
        ("1.29.1", "1.29.1", ""), ("1.28.0", "1.29.1", ""), ("1.29.1", "1.29.4", ""), ("1.29.1-distroless", "1.29.1", ""),
        ("1.29.1", "1.29.0", "older"), ("1.29.1", "1.26.0", "older"), ("1.26.0", "1.28.0", "more than one minor"),
        ("", "1.29.1", ""), ("latest", "1.29.1", ""),
    ],
)  # fmt: skip
def test_steps_between_versions(standing: str, wanted: str, trouble: str) -> None:
    assert trouble in (step_trouble(standing, wanted) or "")
    assert bool(step_trouble(standing, wanted)) is bool(trouble)


@pytest.mark.inputs("18")
@pytest.mark.parametrize("version", ["1.26.0", "1.31.2"])
def test_a_step_that_istio_does_not_support_needs_consent(finished: Setting, version: str) -> None:
    other = with_istioctl(finished, version)
    probe = other.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert version in probe.what
    assert "1.29.1" in probe.what
    assert "--version-step" in probe.remedy
    outcome = other.run()
    assert outcome.exit_code == 3
    istiod = other.machine(1).found(ISTIOD)
    assert istiod is not None
    assert istiod["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":1.29.1")
    assert any("--version-step" in finding.remedy for finding in check(other.mesh, other.world, RIGHTS))
    assert Engine(consented(other), other.world, Pages(), lambda _: None, mesh="mesh1").run().ok
    assert isinstance(other.probe("cluster1/install"), Done)


def consented(made: Setting) -> Any:
    return plan_of(made.mesh, version_step=True)


def shop(made: Setting, number: int) -> None:
    """Somebody's own Deployment with a sidecar."""
    world = made.machine(number)
    labels = {"app": "shop"}
    metadata = {"name": "shop", "labels": {"istio-injection": "enabled"}}
    world.apply_as("kubectl", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "shop", "image": "shop:1"}]}}
    world.apply_as(
        "kubectl",
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    )  # fmt: skip


def pods(made: Setting, number: int, namespace: str) -> dict[str, set[str]]:
    """Pod → the tags of its proxies."""
    found = {}
    for pod in made.machine(number).listed(POD, namespace):
        spec = pod["spec"]
        everything = [*(spec.get("initContainers") or []), *spec["containers"]]
        proxies = {each["image"].rpartition(":")[2] for each in everything if each["name"] == "istio-proxy"}
        if proxies:
            found[pod["metadata"]["name"]] = proxies
    return found


@pytest.mark.inputs("18")
def test_old_proxies_of_others_are_a_difference_that_names_the_command(finished: Setting) -> None:
    shop(finished, 1)
    before = pods(finished, 1, "shop")
    assert set(map(frozenset, before.values())) == {frozenset({"1.29.1"})}
    newer = with_istioctl(finished, "1.30.0")
    outcome = newer.run()
    assert outcome.exit_code == 3, "a person is needed for what is theirs"
    assert "Deployment shop in shop" in outcome.what
    command = "-n shop rollout restart deployment/shop"
    assert command in outcome.remedy
    assert pods(newer, 1, "shop") == before, "other people's Pods are not restarted"
    probe = newer.probe("cluster1/proxies")
    assert isinstance(probe, Needed)
    (difference,) = probe.differences
    assert (difference.object, difference.found) == ("Deployment shop in shop", "1.29")
    assert command in str(difference.wanted)
    for namespace in ("sample", SYSTEM_NAMESPACE):
        tags = set().union(*pods(newer, 1, namespace).values())
        assert tags == {"1.30.0"}, "our own are"
    for name in before:
        newer.world.cluster("cluster1").delete(Ref(POD, name, "shop"))
    assert newer.run().ok
    assert isinstance(newer.probe("cluster1/proxies"), Done)


@pytest.mark.inputs("18")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, ["Pod alone in default"]),
        ({"status": {"phase": "Succeeded"}}, []),
        ({"image": "istio/proxyv2:1.29.7"}, []),
        ({"image": "istio/proxyv2:latest"}, []),
        ({"image": "istio/proxyv2:1.28.3@sha256:" + "0" * 64}, ["Pod alone in default"]),
        ({"revision": "canary"}, []),
        ({"owner": {"kind": "StatefulSet", "name": "db"}}, ["StatefulSet db in default"]),
    ],
)
def test_which_proxies_are_old(finished: Setting, change: dict[str, Any], named: list[str]) -> None:
    metadata: Object = {
        "name": "alone",
        "namespace": "default",
        "labels": {"security.istio.io/tlsMode": "istio"},
        "annotations": {"sidecar.istio.io/status": json.dumps({"revision": change.get("revision", "default")})},
    }
    if "owner" in change:
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "uid": "1", **change["owner"]}]
    spec = {"containers": [{"name": "istio-proxy", "image": change.get("image", "istio/proxyv2:1.28.3")}]}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    if "status" in change:
        pod["status"] = change["status"]
    finished.machine(1).apply_as("kubectl", pod)
    probe = finished.probe("cluster1/proxies")
    assert [each.object for each in (probe.differences if isinstance(probe, Needed) else ())] == named


@pytest.mark.inputs("18")
def test_a_gateway_with_an_old_proxy_is_made_anew_without_another_version(finished: Setting) -> None:
    """As where a run was killed between the install and the gateway's new Pods."""
    newer = with_istioctl(finished, "1.30.0")
    assert newer.run().ok
    (pod,) = [each for each in pods(newer, 1, SYSTEM_NAMESPACE) if each.startswith(GATEWAY_NAME)]

    def old(item: Object) -> None:
        item["spec"]["containers"][0]["image"] = "docker.io/istio/proxyv2:1.29.1"

    newer.machine(1).change(Ref(POD, pod, SYSTEM_NAMESPACE), old, manager="kubelet")
    newer.machine(1).change(
        GATEWAY, lambda item: item["spec"]["template"]["metadata"]["annotations"].pop("meshwizard/proxy-version")
    )
    newer.machine(1).change(
        Ref(POD, next(iter(pods(newer, 1, SYSTEM_NAMESPACE))), SYSTEM_NAMESPACE), old, manager="kubelet"
    )
    assert isinstance(newer.probe("cluster1/install"), Needed)
    assert newer.run().ok
    assert set().union(*pods(newer, 1, SYSTEM_NAMESPACE).values()) == {"1.30.0"}
