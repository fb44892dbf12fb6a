"""The check `endpoints`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh
from tests.unit.standing_policies import found_in, heard, hosts, mesh_of, paged
from wizard.checks.finding import Finding
from wizard.clusters.kinds import POD, Kind, Object

MISSING = {"cluster1": ["cluster2"]}


@pytest.fixture(scope="module")
def made() -> Setting:
    """Two networks, with Pods at different addresses."""
    return mesh_of([None, None], ["network1", "network2"])


def pod_address(made: Setting, number: int) -> str:
    (pod,) = made.machine(number).listed(POD, "sample", "app=helloworld")
    return str(pod["status"]["podIP"])


def own(made: Setting) -> dict[str, Any]:
    return {"at": f"{pod_address(made, 1)}:5000"}


def theirs(made: Setting) -> dict[str, Any]:
    return {"at": f"{pod_address(made, 2)}:5000"}


def gateway(made: Setting) -> dict[str, Any]:
    gateway = made.mesh.cluster("cluster2").gateway
    return {"at": f"{gateway.address}:{gateway.tls_port}"}


def looked(made: Setting, pages: dict[str, Any], missing: dict[str, list[str]] | None = None) -> list[Finding]:
    return found_in(paged(heard(made, MISSING if missing is None else missing), pages), "endpoints")


def test_of_a_proxy_that_knows_the_gateway_nothing_is_said(made: Setting) -> None:
    assert looked(made, hosts(own(made), gateway(made))) == []


def test_while_answers_come_no_proxy_is_asked(made: Setting) -> None:
    assert looked(made, {"clusters?format=json": "no page"}, {}) == []


def test_a_proxy_that_is_told_nothing_of_the_service(made: Setting) -> None:
    (finding,) = looked(made, hosts(name="outbound|80||other.sample.svc.cluster.local"))
    assert (finding.severity, finding.breaks) == ("unsure", (("cluster1", "cluster2"),))
    assert finding.object.startswith("Pod curl-")
    assert "knows no port 5000 of Service helloworld" in finding.text
    assert "-c istio-proxy -- pilot-agent request GET 'clusters?format=json'" in finding.commands[0]


@pytest.mark.parametrize("more", [[], [{"at": "192.0.2.250:15443"}]])
def test_one_that_has_no_endpoint_of_the_other_cluster(made: Setting, more: list[dict[str, Any]]) -> None:
    (finding,) = looked(made, hosts(own(made), *more))
    assert (finding.severity, finding.breaks) == ("unsure", (("cluster1", "cluster2"),))
    assert "has no endpoint of cluster2" in finding.text
    assert own(made)["at"] in finding.evidence[0]


def test_of_a_mesh_of_others_any_address_outside_may_be_its_gateway(made: Setting) -> None:
    view = replace(heard(made, MISSING), inferred=True)
    assert found_in(paged(view, hosts(own(made), {"at": "192.0.2.250:15443"})), "endpoints") == []
    assert len(found_in(paged(view, hosts(own(made))), "endpoints")) == 1


def test_addresses_of_pods_on_another_network_name_that_network(made: Setting) -> None:
    (finding,) = looked(made, hosts(own(made), theirs(made)))
    assert (finding.severity, finding.object) == ("error", "network network2")
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert "the istiod of cluster1 knows no gateway of network network2" in finding.text
    assert pod_address(made, 2) in finding.text


def test_an_address_that_a_pod_here_has_too_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = finished_mesh()
    shared = {"at": f"{pod_address(made, 2)}:5000"}
    cluster = made.world.clusters["cluster1"]
    real = cluster.objects

    def objects(kind: Kind, *args: Any, **rest: Any) -> list[Object]:
        found = real(kind, *args, **rest)
        for each in found if kind is POD else ():
            if each["metadata"]["name"].startswith("helloworld-"):
                each["status"]["podIP"] = pod_address(made, 2)
                each["status"].pop("podIPs", None)
        return found

    monkeypatch.setattr(cluster, "objects", objects)
    assert [each.severity for each in looked(made, hosts(shared))] == ["unsure"]


def test_on_one_network_it_has_the_pods_themselves() -> None:
    made = mesh_of([None, None], ["network1", "network1"])
    assert looked(made, hosts(own(made), theirs(made))) == []
    (finding,) = looked(made, hosts(own(made)))
    assert finding.breaks == (("cluster1", "cluster2"),)
