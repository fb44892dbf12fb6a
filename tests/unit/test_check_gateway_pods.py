"""The check `gateway-pods`."""

from __future__ import annotations

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.gateway_meshes import GATEWAY, HEALTHY, judged, pod_of
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.clusters.kinds import DEPLOYMENT, Object, Ref

DEPLOYED = Ref(DEPLOYMENT, "istio-eastwestgateway", "istio-system")
ISTIOD = Ref(DEPLOYMENT, "istiod", "istio-system")


def view_of_networks(value: str) -> object:
    def edit(live: Object) -> None:
        for variable in live["spec"]["containers"][0]["env"]:
            if variable["name"] == "ISTIO_META_REQUESTED_NETWORK_VIEW":
                variable["value"] = value

    return edit


@pytest.mark.parametrize("kind", HEALTHY)
def test_of_gateways_that_run_nothing_is_said(kind: str) -> None:
    assert found(HEALTHY[kind](), "gateway-pods") == []


def test_of_gateways_that_others_made_nothing_is_said() -> None:
    assert judged(made_by_hand(), "gateway-pods") == []


def test_one_that_is_scaled_to_0_is_the_cause() -> None:
    made = finished_mesh()
    made.machine(2).change(DEPLOYED, lambda live: live["spec"].update(replicas=0))
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.cluster) == ("gateway-pods", "cluster2")
    assert cause.object == "Deployment istio-eastwestgateway in istio-system"
    assert (cause.breaks, cause.step) == ((("cluster1", "cluster2"),), "cluster2/install")
    assert cause.commands == (
        "kubectl --context=kubernetes-admin2@kubernetes -n istio-system scale deployment/istio-eastwestgateway --replicas=1",
    )


def test_one_that_is_missing_is_told() -> None:
    made = finished_mesh()
    made.machine(2).store.remove(DEPLOYED)
    (finding,) = found(made, "gateway-pods")
    assert "is missing" in finding.text


def test_a_pod_that_was_never_injected_is_to_be_deleted() -> None:
    made = finished_mesh()
    pod = pod_of(made, 2, "istio-eastwestgateway")

    def raw(live: Object) -> None:
        live["spec"]["containers"][0]["image"] = "auto"
        live["status"] = {"phase": "Pending", "conditions": []}

    made.machine(2).change(pod, raw)
    (finding,) = found(made, "gateway-pods")
    assert "made while nothing injected" in finding.text
    assert finding.commands[0].endswith(f"delete pod {pod.name}")


def unready(made: Setting) -> None:
    """The gateway's image cannot be pulled any more, and its Pod is made anew."""
    made.machine(2).missing_images.add("docker.io/istio/proxyv2")
    made.machine(2).store.remove(pod_of(made, 2, "istio-eastwestgateway"))


def test_one_without_a_ready_pod_says_why() -> None:
    made = finished_mesh()
    unready(made)
    (finding,) = found(made, "gateway-pods")
    assert "has no Ready Pod" in finding.text
    assert any("cannot be pulled" in each for each in finding.evidence)


def test_one_that_waits_for_its_istiod_is_not_told_of() -> None:
    made = finished_mesh()
    made.machine(2).change(ISTIOD, lambda live: live["spec"].update(replicas=0))
    made.machine(2).store.remove(pod_of(made, 2, "istio-eastwestgateway"))
    assert found(made, "gateway-pods") == []


def test_one_that_shows_another_network_passes_nothing_on() -> None:
    made = finished_mesh()
    made.machine(2).change(pod_of(made, 2, "istio-eastwestgateway"), view_of_networks("other"))
    (finding,) = found(made, "gateway-pods")
    assert "passes on to Pods on network other only" in finding.text
    assert (finding.severity, finding.breaks) == ("warning", ())


def test_that_of_a_remote_breaks_what_comes_to_it() -> None:
    made = finished_remote()
    made.machine(2).change(DEPLOYED, lambda live: live["spec"].update(replicas=0))
    assert [each.breaks for each in found(made, "gateway-pods")] == [(("cluster1", "cluster2"),)]


def test_of_one_that_others_made_the_deployment_behind_its_service_is_named() -> None:
    made = made_by_hand()
    made.machine(2).change(DEPLOYED, lambda live: live["spec"].update(replicas=0))
    (finding,) = judged(made, "gateway-pods")
    assert (finding.object, finding.step) == ("Deployment istio-eastwestgateway in istio-system", None)


def test_where_others_have_no_gateway_at_all_its_service_is_for_another_check() -> None:
    made = made_by_hand()
    made.machine(2).store.remove(DEPLOYED)
    made.machine(2).store.remove(GATEWAY)
    assert judged(made, "gateway-pods") == []
