"""The check `sidecar-scope`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import clear, mesh_of, put
from wizard.clusters.kinds import CONFIG_MAP, SIDECAR, Object, Ref


@pytest.fixture(scope="module")
def standing() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(standing: Setting) -> Iterator[Setting]:
    yield standing
    clear(standing, SIDECAR)


def egress(*hosts: str, **fields: Any) -> dict[str, Any]:
    return {"egress": [{"hosts": list(hosts)}], **fields}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        egress("*/*"),
        egress("./*"),
        egress("sample/*"),
        egress("istio-system/*", "sample/helloworld.sample.svc.cluster.local"),
        egress("*/*.sample.svc.cluster.local"),
        egress("istio-system/*", workloadSelector={"labels": {"app": "helloworld"}}),
        {"egress": "none"},
    ],
)
def test_of_one_that_knows_the_service_nothing_is_said(made: Setting, spec: object) -> None:
    put(made, 1, SIDECAR, spec)
    assert found(made, "sidecar-scope") == []


@pytest.mark.parametrize(
    "spec",
    [
        egress("istio-system/*"),
        egress("~/*"),
        egress("sample/curl.sample.svc.cluster.local"),
        {"egress": [{"hosts": ["*/*"], "port": {"number": 80}}]},
        egress("istio-system/*", workloadSelector={"labels": {"app": "curl"}}),
    ],
)
def test_one_that_leaves_it_out_lets_only_the_own_cluster_answer(made: Setting, spec: dict[str, Any]) -> None:
    put(made, 1, SIDECAR, spec)
    (finding,) = found(made, "sidecar-scope")
    assert (finding.severity, finding.object) == ("error", "Sidecar theirs in sample")
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert finding.commands == (
        "kubectl --context=kubernetes-admin1@kubernetes -n sample edit sidecars.networking.istio.io theirs",
    )


def test_what_is_nearer_decides(made: Setting) -> None:
    put(made, 1, SIDECAR, egress("istio-system/*"), namespace="istio-system")
    assert len(found(made, "sidecar-scope")) == 1
    put(made, 1, SIDECAR, egress("sample/*"))
    assert found(made, "sidecar-scope") == []
    put(made, 1, SIDECAR, egress("istio-system/*", workloadSelector={"labels": {"app": "curl"}}), name="near")
    assert [each.object for each in found(made, "sidecar-scope")] == ["Sidecar near in sample"]


def test_own_answers_are_missing_too_where_nothing_unknown_is_let_out(made: Setting) -> None:
    put(made, 1, SIDECAR, egress("istio-system/*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}))
    (finding,) = found(made, "sidecar-scope")
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster1", "cluster1")}


def test_the_mesh_may_let_nothing_unknown_out() -> None:
    made = finished_mesh()
    put(made, 1, SIDECAR, egress("istio-system/*"))

    def close(live: Object) -> None:
        live["data"]["mesh"] += "\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\n"

    made.machine(1).change(Ref(CONFIG_MAP, "istio", "istio-system"), close)
    (finding,) = found(made, "sidecar-scope")
    assert ("cluster1", "cluster1") in finding.breaks


def test_a_remotes_clients_go_by_their_primary() -> None:
    made = mesh_of([None, "cluster1"])
    put(made, 2, SIDECAR, egress("istio-system/*"))
    assert found(made, "sidecar-scope") == []
    put(made, 1, SIDECAR, egress("istio-system/*"))
    (finding,) = found(made, "sidecar-scope")
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster1")}
