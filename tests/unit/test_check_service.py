"""The check `service`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found, view_of
from tests.unit.standing_policies import found_in, mesh_of, put
from wizard.clusters.kinds import CONFIG_MAP, SERVICE, Ref

HELLO = Ref(SERVICE, "helloworld", "sample")
BOTH = (("cluster1", "cluster2"), ("cluster2", "cluster1"))


@pytest.fixture(scope="module")
def finished() -> Setting:
    return finished_mesh()


def spec(made: Setting, number: int, **fields: Any) -> None:
    made.machine(number).change(HELLO, lambda live: live["spec"].update(fields))


def port(made: Setting, number: int, **fields: Any) -> None:
    made.machine(number).change(HELLO, lambda live: live["spec"]["ports"][0].update(fields))


def test_of_the_same_service_everywhere_nothing_is_said(finished: Setting) -> None:
    assert found(finished, "service") == []
    assert found_in(replace(view_of(finished), inferred=True), "service") == []


def test_of_a_mesh_of_others_without_the_sample_nothing_is_said() -> None:
    made = finished_mesh()
    for number in (1, 2):
        made.machine(number).store.remove(HELLO)
    assert found_in(replace(view_of(made), inferred=True), "service") == []
    assert len(found(made, "service")) == 2


def test_the_pods_of_one_that_is_missing_are_known_to_nobody() -> None:
    made = finished_mesh()
    made.machine(2).store.remove(HELLO)
    (finding,) = found(made, "service")
    assert (finding.severity, finding.cluster, finding.object) == ("error", "cluster2", "Service helloworld in sample")
    # Our proxies answer DNS: the client there still knows the name.
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster2")}
    assert finding.step == "cluster2/sample"
    assert finding.commands == (
        "kubectl --context=kubernetes-admin2@kubernetes -n sample get service helloworld -o yaml",
    )


def test_where_proxies_answer_no_dns_its_name_is_unknown_there() -> None:
    made = finished_mesh()
    made.machine(2).store.remove(HELLO)
    config = {"data": {"mesh": "rootNamespace: istio-system"}}
    made.machine(2).change(Ref(CONFIG_MAP, "istio", "istio-system"), lambda live: live.update(config))
    (finding,) = found(made, "service")
    assert "nothing in that cluster resolves its name" in finding.text
    assert set(finding.breaks) == {*BOTH, ("cluster2", "cluster2")}


def test_a_headless_one_is_told() -> None:
    made = finished_mesh()
    service = made.machine(2).found(HELLO)
    assert service is not None
    ports, selector = service["spec"]["ports"], service["spec"]["selector"]
    made.machine(2).store.remove(HELLO)
    put(made, 2, SERVICE, {"clusterIP": "None", "ports": ports, "selector": selector}, name="helloworld")
    (finding,) = found(made, "service")
    assert "headless" in finding.text
    assert set(finding.breaks) == set(BOTH)


def test_one_that_leads_outside_is_told() -> None:
    made = finished_mesh()
    spec(made, 1, type="ExternalName", externalName="example.org")
    (finding,) = found(made, "service")
    assert "ExternalName" in finding.text
    assert set(finding.breaks) == {*BOTH, ("cluster1", "cluster1")}


def test_a_selector_that_no_pod_has_is_told() -> None:
    made = finished_mesh()
    spec(made, 2, selector={"app": "helloworld", "tier": "front"})
    (finding,) = found(made, "service")
    assert "app=helloworld and tier=front" in finding.text
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster2")}


@pytest.mark.parametrize("target", [5001, "web"])
def test_a_port_of_the_pods_where_nothing_listens_is_told(target: object) -> None:
    made = finished_mesh()
    port(made, 2, targetPort=target)
    (finding,) = found(made, "service")
    assert f"port {target} of its Pods" in finding.text
    view = replace(view_of(made), inferred=True)
    assert [each.severity for each in found_in(view, "service")] == ["unsure"]


def test_a_port_of_another_name_breaks_both_ways_between_primaries() -> None:
    made = finished_mesh()
    port(made, 2, name="tcp-other")
    (finding,) = found(made, "service")
    assert (finding.cluster, set(finding.breaks)) == ("cluster2", set(BOTH))
    assert "is named tcp-other, in other clusters http" in finding.text
    assert "5000/TCP" in finding.evidence[0]


def test_of_a_mesh_of_others_the_port_that_few_have_is_told() -> None:
    made = finished_mesh(3)
    for number in (1, 2):
        port(made, number, name="http-web")
    (finding,) = found_in(replace(view_of(made), inferred=True), "service")
    assert finding.cluster == "cluster3"
    assert "is named http, in other clusters http-web" in finding.text


def test_the_same_other_name_everywhere_breaks_nothing() -> None:
    made = finished_mesh()
    for number in (1, 2):
        port(made, number, name="http-web")
    assert found(made, "service") == []


def test_a_remotes_port_of_another_name_keeps_only_its_own_endpoints_out() -> None:
    made = mesh_of([None, "cluster1"])
    assert found(made, "service") == []
    port(made, 2, name="tcp-other")
    (finding,) = found(made, "service")
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster2")}


def test_another_port_number_is_told() -> None:
    made = finished_mesh()
    port(made, 2, port=5001)
    (finding,) = found(made, "service")
    assert "has no TCP port 5000" in finding.text
    # The endpoints are matched by the port's name, but the gateway knows no port 5000, nor do the clients.
    assert set(finding.breaks) == {*BOTH, ("cluster2", "cluster2")}
