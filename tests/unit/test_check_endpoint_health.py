"""The check `endpoint-health`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh
from tests.unit.standing_policies import found_in, heard, hosts, paged
from wizard.checks.finding import Finding

MISSING = {"cluster1": ["cluster2", "cluster3"]}
FINE = {"stats": {"cx_connect_fail": 0, "rq_success": 7}, "health_status": {"eds_health_status": "HEALTHY"}}


@pytest.fixture(scope="module")
def made() -> Setting:
    return finished_mesh(3)


def gateway(made: Setting, number: int) -> str:
    gateway = made.mesh.cluster(f"cluster{number}").gateway
    return f"{gateway.address}:{gateway.tls_port}"


def looked(made: Setting, *told: dict[str, Any], missing: dict[str, list[str]] | None = None) -> list[Finding]:
    return found_in(paged(heard(made, MISSING if missing is None else missing), hosts(*told)), "endpoint-health")


def test_of_endpoints_that_answer_nothing_is_said(made: Setting) -> None:
    assert looked(made, {"at": gateway(made, 2), **FINE}, {"at": gateway(made, 3)}) == []


def test_one_that_failed_and_answers_since_is_well(made: Setting) -> None:
    assert looked(made, {"at": gateway(made, 2), "stats": {"cx_connect_fail": 3, "rq_success": 1}}) == []


def test_while_answers_come_no_proxy_is_asked(made: Setting) -> None:
    assert looked(made, {"at": gateway(made, 2), "stats": {"cx_connect_fail": 3}}, missing={}) == []


def test_one_to_which_connections_fail_is_named(made: Setting) -> None:
    (finding,) = looked(
        made, {"at": gateway(made, 2), "stats": {"cx_connect_fail": 3}}, {"at": gateway(made, 3), **FINE}
    )
    assert (finding.severity, finding.object) == ("unsure", gateway(made, 2))
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert "never answered, and 3 connections failed" in finding.text
    assert "cx_connect_fail 3, rq_success 0" in finding.evidence[0]


def test_of_an_address_that_nobody_knows_all_traffic_may_be_meant(made: Setting) -> None:
    (finding,) = looked(made, {"at": "192.0.2.250:15443", "stats": {"cx_connect_fail": 1}})
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster1", "cluster3")}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"eds_health_status": "UNHEALTHY"}, "is told to be unhealthy"),
        ({"eds_health_status": "HEALTHY", "failed_outlier_check": True}, "it failed too often"),
    ],
)
def test_one_that_is_left_out_is_named(made: Setting, status: dict[str, Any], says: str) -> None:
    (finding,) = looked(made, {"at": gateway(made, 2), "health_status": status})
    assert says in finding.text


def test_what_waits_for_the_nearer_ones_to_fail_warns(made: Setting) -> None:
    (finding,) = looked(made, {"at": "10.244.0.9:5000", **FINE}, {"at": gateway(made, 2), "priority": 1})
    assert (finding.severity, finding.breaks) == ("warning", ())
    assert gateway(made, 2) in finding.text
    assert looked(made, {"at": gateway(made, 2), "priority": 1}) == []


def test_counts_may_be_anything(made: Setting) -> None:
    for value in ("9" * 5000, "-1", "", "many"):
        assert looked(made, {"at": gateway(made, 2), "stats": {"cx_connect_fail": value}}) == []
