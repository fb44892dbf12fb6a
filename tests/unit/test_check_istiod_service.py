"""The check `istiod-service`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, view_of, whole
from wizard.checks.finding import Finding
from wizard.checks.standing.diagnosis import diagnose
from wizard.checks.standing.view import View
from wizard.clusters.kinds import DEPLOYMENT, ENDPOINT_SLICE, ENDPOINTS, SERVICE, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE, Istio

ISTIOD = Ref(SERVICE, "istiod", SYSTEM_NAMESPACE)
SLICE = Ref(ENDPOINT_SLICE, "istiod", SYSTEM_NAMESPACE)
ALL = {(source, target) for source in ("cluster1", "cluster2") for target in ("cluster1", "cluster2")}


def inferred(made: Setting) -> list[Finding]:
    found = diagnose(View(made.mesh, made.world.clusters, inferred=True)).findings
    return [each for each in found if each.check == "istiod-service"]


def test_of_services_that_lead_to_istiod_nothing_is_said() -> None:
    for made in (finished_mesh(), finished_remote(), finished_remote(Istio(revision="canary"))):
        assert found(made, "istiod-service") == []
        assert inferred(made) == []


# -- where istiod runs


def remove(made: Setting, number: int, ref: Ref) -> None:
    machine = made.machine(number)
    with machine.settled():
        machine.store.remove(ref)


def test_one_that_is_gone_cuts_off_all_that_istiod_serves() -> None:
    made = finished_remote()
    remove(made, 1, ISTIOD)
    (one,) = found(made, "istiod-service")
    assert (one.severity, one.cluster, one.step) == ("error", "cluster1", "cluster1/install")
    assert one.object == "Service istiod in istio-system"
    assert set(one.breaks) == ALL
    assert one.commands == ("kubectl --context=kubernetes-admin1@kubernetes -n istio-system get services",)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (lambda live: live["spec"].update(selector={"app": "other"}), "selects none of the Pods of istiod"),
        (lambda live: live["spec"]["ports"].pop(1), "has no port 15012"),
    ],
)
def test_one_that_leads_nowhere_is_an_error(how: Callable[[Object], None], told: str) -> None:
    made = finished_mesh()
    made.machine(2).change(ISTIOD, how)
    (one,) = found(made, "istiod-service")
    assert (one.severity, one.cluster, one.step) == ("error", "cluster2", None)
    assert told in one.text
    assert set(one.breaks) == ALL - {("cluster1", "cluster1")}


def test_where_istiod_does_not_run_its_own_check_tells() -> None:
    made = finished_mesh()
    made.machine(2).change(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE), lambda live: live["spec"].update(replicas=0))
    assert found(made, "istiod-service") == []


# -- in a remote


def test_a_remote_without_it_finds_nobody() -> None:
    made = finished_remote()
    remove(made, 2, ISTIOD)
    (one,) = found(made, "istiod-service")
    assert (one.severity, one.cluster, one.step) == ("error", "cluster2", "cluster2/install")
    assert "finds istiod of cluster1" in one.text
    assert set(one.breaks) == ALL - {("cluster1", "cluster1")}


def test_a_remote_that_looks_elsewhere_names_what_says_so() -> None:
    made = finished_remote()
    made.machine(2).change(SLICE, lambda live: live["endpoints"][0].update(addresses=["192.0.2.99"]))
    (one,) = found(made, "istiod-service")
    assert one.object == "EndpointSlice istiod in istio-system"
    assert "leads to 192.0.2.99, but istiod of cluster1 is reached at 192.0.2.11" in one.text
    tool = "kubectl --context=kubernetes-admin2@kubernetes -n istio-system"
    assert one.commands[1] == f"{tool} edit endpointslice istiod"
    assert inferred(made) == []  # nobody knows where it should


def test_a_remote_of_an_older_istio_has_endpoints() -> None:
    made = finished_remote()
    remove(made, 2, SLICE)
    endpoints = {
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "istiod", "namespace": SYSTEM_NAMESPACE},
        "subsets": [{"addresses": [{"ip": "192.0.2.11"}], "ports": [{"port": 15012}]}],
    }  # fmt: skip
    made.machine(2).apply_as("istio-operator", endpoints)
    assert found(made, "istiod-service") == []
    made.machine(2).change(
        Ref(ENDPOINTS, "istiod", SYSTEM_NAMESPACE),
        lambda live: live["subsets"][0]["addresses"][0].update(ip="192.0.2.99"),
    )
    (one,) = found(made, "istiod-service")
    assert one.object == "Endpoints istiod in istio-system"


@pytest.mark.parametrize("how", [lambda live: live.update(endpoints=[]), lambda live: live["endpoints"][0].update(
    conditions={"ready": False})])  # fmt: skip
def test_a_remote_that_leads_to_no_address_is_an_error(how: Callable[[Object], None]) -> None:
    made = finished_remote()
    made.machine(2).change(SLICE, how)
    for one in (*found(made, "istiod-service"), *inferred(made)):
        assert one.object == "Service istiod in istio-system"
        assert "leads to no address" in one.text
    assert len(inferred(made)) == 1


def test_a_host_name_is_right_where_it_is_wanted() -> None:
    made = finished_remote()
    made.machine(2).change(
        ISTIOD, lambda live: live["spec"].update(type="ExternalName", externalName="istiod.example.com")
    )
    (one,) = found(made, "istiod-service")
    assert "leads to istiod.example.com, but" in one.text
    remote = replace(made.mesh.clusters[1], discovery="istiod.example.com")
    wanted = Setting(made.outside, made.mesh.with_cluster(remote), made.world)
    assert found(wanted, "istiod-service") == []
    (unsure,) = inferred(made)
    assert (unsure.severity, unsure.breaks) == ("unsure", ())


def test_it_is_the_cause_of_what_its_remote_does_not_hear() -> None:
    made = finished_remote()
    remove(made, 2, SLICE)
    assert [each.check for each in diagnose(view_of(made)).findings if each.severity == "error"] == ["istiod-service"]
    cause = whole(made).cause
    assert cause is not None
    assert cause.check == "istiod-service"
