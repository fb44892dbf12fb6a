"""The check `versions`."""

from __future__ import annotations

from tests.unit.byhand import made_by_hand
from tests.unit.standing import Setting, finished_mesh, finished_remote, found
from wizard.checks.standing.diagnosis import diagnose
from wizard.checks.standing.view import View
from wizard.clusters.kinds import DEPLOYMENT, POD, Object, Ref
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE


def istiod_of(made: Setting, number: int, version: str) -> None:
    """Only its image: the proxies that it injects are of the version that the configuration says."""

    def edit(istiod: Object) -> None:
        istiod["spec"]["template"]["spec"]["containers"][0]["image"] = f"docker.io/istio/pilot:{version}"

    made.machine(number).change(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE), edit)


def proxy_of(made: Setting, number: int, namespace: str, stem: str, version: str) -> None:
    machine = made.machine(number)

    def edit(pod: Object) -> None:
        for each in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]:
            if each["name"] == "istio-proxy":
                each["image"] = f"docker.io/istio/proxyv2:{version}"

    for pod in machine.listed(POD, namespace):
        if pod["metadata"]["name"].startswith(stem):
            machine.change(Ref(POD, pod["metadata"]["name"], namespace), edit)


def test_of_one_version_nothing_is_said() -> None:
    for made in (finished_mesh(), finished_remote()):
        assert found(made, "versions") == []
    made = made_by_hand()
    findings = diagnose(View(made.mesh, made.world.clusters, inferred=True)).findings
    assert [each for each in findings if each.check == "versions"] == []


def test_patches_of_one_minor_go_together() -> None:
    made = finished_mesh()
    proxy_of(made, 1, "sample", "curl", "1.29.0")
    istiod_of(made, 2, "1.29.7")
    assert found(made, "versions") == []


def test_a_proxy_of_another_minor_is_named_with_the_step_that_renews_it() -> None:
    made = finished_remote()
    proxy_of(made, 2, "sample", "curl", "1.28.0")
    proxy_of(made, 1, SYSTEM_NAMESPACE, GATEWAY_NAME, "1.28.0")
    gateway, client = found(made, "versions")
    assert (gateway.severity, gateway.cluster, gateway.step) == ("warning", "cluster1", "cluster1/install")
    assert gateway.object.startswith(f"Pod {GATEWAY_NAME}-")
    assert (client.severity, client.cluster, client.step) == ("warning", "cluster2", "cluster2/sample")
    assert client.object.startswith("Pod curl-")
    assert "is of Istio 1.28, its istiod of 1.29.1" in client.text
    assert client.breaks == ()
    assert client.commands[0].startswith("kubectl --context=kubernetes-admin2@kubernetes -n sample delete pod curl-")


def test_several_are_told_at_once() -> None:
    made = finished_mesh()
    proxy_of(made, 1, "sample", "", "1.28.0")
    (one,) = found(made, "versions")
    assert "the proxies of 2 Pods in sample" in one.text


def test_control_planes_two_minors_apart_are_told_at_the_older() -> None:
    made = finished_mesh()
    istiod_of(made, 2, "1.27.4")
    told = [each for each in found(made, "versions") if each.object.startswith("Deployment")]
    assert [(each.severity, each.cluster, each.object) for each in told] == [
        ("warning", "cluster2", "Deployment istiod in istio-system")
    ]
    assert "is of Istio 1.27, and cluster1 is on 1.29" in told[0].text


def test_control_planes_one_minor_apart_are_told_by_nobody() -> None:
    made = finished_mesh()
    istiod_of(made, 2, "1.28.4")
    assert [each for each in found(made, "versions") if each.object.startswith("Deployment")] == []


def test_of_a_primary_that_does_not_answer_its_own_finding_tells() -> None:
    made = finished_remote()
    made.machine(1).unreachable = True
    told = diagnose(View(made.mesh, made.world.clusters)).findings
    control_plane = ("versions", "injector", "external-istiod", "istiod-service")
    assert [each for each in told if each.check in control_plane] == []
