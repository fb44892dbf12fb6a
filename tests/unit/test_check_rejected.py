"""The check `rejected`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh
from tests.unit.standing_policies import found_in, heard, paged
from wizard.checks.finding import Finding

PAGE = "stats?filter=update_rejected&format=json"
MISSING = {"cluster1": ["cluster2"]}


@pytest.fixture(scope="module")
def made() -> Setting:
    return finished_mesh()


def looked(made: Setting, counts: dict[str, Any], missing: dict[str, list[str]] | None = None) -> list[Finding]:
    stats = [{"name": name, "value": value} for name, value in counts.items()] + [{"histograms": {}}]
    view = paged(heard(made, MISSING if missing is None else missing), {PAGE: {"stats": stats}})
    return found_in(paged(view, {PAGE: {"stats": []}}, "cluster2"), "rejected")


def test_of_proxies_that_took_all_nothing_is_said(made: Setting) -> None:
    counts = {"cluster_manager.cds.update_rejected": 0, "listener_manager.lds.update_rejected": 0, "other": 4}
    assert looked(made, counts) == []


def test_while_answers_come_no_proxy_is_asked(made: Setting) -> None:
    assert looked(made, {"listener_manager.lds.update_rejected": 3}, {}) == []


def test_what_was_rejected_warns_with_the_pod(made: Setting) -> None:
    counts = {
        "listener_manager.lds.update_rejected": 3,
        "cluster_manager.cds.update_rejected": 0,
        "http.outbound_0.0.0.0_5000;.rds.5000.update_rejected": 1,
        "cluster.outbound|5000||helloworld.sample.svc.cluster.local.update_rejected": "none",
    }
    (finding,) = looked(made, counts)
    assert (finding.severity, finding.breaks) == ("warning", ())
    assert finding.object.startswith("Pod curl-")
    assert "(lds 3 and rds 1)" in finding.text
    assert finding.commands[0].endswith("-c istio-proxy")


def test_the_gateway_that_is_in_the_way_is_asked_too(made: Setting) -> None:
    found = looked(made, {"listener_manager.lds.update_rejected": 1}, {"cluster2": ["cluster1"]})
    assert [each.object.split("-")[0] for each in found] == ["Pod helloworld", "Pod istio"]
