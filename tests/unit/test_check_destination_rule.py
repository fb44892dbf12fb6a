"""The check `destination-rule`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import clear, mesh_of, put
from wizard.clusters.kinds import CONFIG_MAP, DESTINATION_RULE, Ref

HOST = "helloworld.sample.svc.cluster.local"
BOTH = {("cluster1", "cluster2"), ("cluster2", "cluster1")}


@pytest.fixture(scope="module")
def standing() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(standing: Setting) -> Iterator[Setting]:
    yield standing
    clear(standing, DESTINATION_RULE)


def rule(host: str = HOST, mode: str = "DISABLE", **fields: Any) -> dict[str, Any]:
    return {"host": host, "trafficPolicy": {"tls": {"mode": mode}}, **fields}


@pytest.mark.parametrize(
    "spec",
    [
        rule(mode="ISTIO_MUTUAL"),
        rule(host="other"),
        rule(host="helloworld.sample"),
        rule(exportTo=["default"]),
        {"host": HOST, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}},
        rule(workloadSelector={"matchLabels": {"app": "other"}}, exportTo=["."]),
        {"host": HOST, "trafficPolicy": {"tls": {"mode": "DISABLE"},
                                         "portLevelSettings": [{"port": {"number": 5000}, "tls": {"mode": "ISTIO_MUTUAL"}}]}},
    ],
)  # fmt: skip
def test_of_a_rule_that_keeps_nobody_from_mutual_tls_nothing_is_said(made: Setting, spec: object) -> None:
    put(made, 1, DESTINATION_RULE, spec)
    assert found(made, "destination-rule") == []


@pytest.mark.parametrize("host", [HOST, "helloworld", "*.sample.svc.cluster.local", "*.local", "*"])
def test_one_without_breaks_what_its_istiod_tells(made: Setting, host: str) -> None:
    put(made, 1, DESTINATION_RULE, rule(host))
    (finding,) = found(made, "destination-rule")
    assert (finding.severity, finding.object) == ("error", "DestinationRule theirs in sample")
    assert set(finding.breaks) == BOTH  # what cluster1 asks, and what its gateway would pass on
    assert "TLS mode DISABLE" in finding.text
    assert finding.commands == (
        "kubectl --context=kubernetes-admin1@kubernetes -n sample edit destinationrules.networking.istio.io theirs",
    )


def test_one_that_only_its_namespace_sees_leaves_the_gateway_alone(made: Setting) -> None:
    put(made, 1, DESTINATION_RULE, rule(exportTo=["."]))
    (finding,) = found(made, "destination-rule")
    assert finding.breaks == (("cluster1", "cluster2"),)


def test_tls_that_is_not_istios_is_taken_by_nobody(made: Setting) -> None:
    put(made, 1, DESTINATION_RULE, rule(mode="SIMPLE"))
    (finding,) = found(made, "destination-rule")
    assert set(finding.breaks) == {*BOTH, ("cluster1", "cluster1")}


def test_the_most_specific_host_and_the_nearest_namespace_decide(made: Setting) -> None:
    put(made, 1, DESTINATION_RULE, rule("*.local"), namespace="istio-system")
    assert [each.object for each in found(made, "destination-rule")] == ["DestinationRule theirs in istio-system"]
    put(made, 1, DESTINATION_RULE, rule("*.sample.svc.cluster.local", "ISTIO_MUTUAL"))
    assert found(made, "destination-rule") == []
    put(made, 1, DESTINATION_RULE, rule(), name="exact")
    assert [each.object for each in found(made, "destination-rule")] == ["DestinationRule exact in sample"]


def test_who_sees_rules_by_default_is_set_for_the_mesh() -> None:
    made = finished_mesh()
    put(made, 1, DESTINATION_RULE, rule("*.local"), namespace="istio-system")

    def private(live: Any) -> None:
        live["data"]["mesh"] += "\ndefaultDestinationRuleExportTo: ['.']\n"

    made.machine(1).change(Ref(CONFIG_MAP, "istio", "istio-system"), private)
    assert found(made, "destination-rule") == []


def test_of_a_port_it_may_say_otherwise(made: Setting) -> None:
    policy = {"portLevelSettings": [{"port": {"number": 5000}, "tls": {"mode": "DISABLE"}}]}
    put(made, 1, DESTINATION_RULE, {"host": HOST, "trafficPolicy": policy})
    assert len(found(made, "destination-rule")) == 1


def test_a_primarys_rule_is_told_to_its_remotes_too() -> None:
    made = mesh_of([None, "cluster1"])
    put(made, 2, DESTINATION_RULE, rule())
    assert found(made, "destination-rule") == []
    put(made, 1, DESTINATION_RULE, rule())
    (finding,) = found(made, "destination-rule")
    assert set(finding.breaks) == BOTH


def test_on_one_network_plain_text_passes() -> None:
    made = mesh_of([None, None], ["network1", "network1"])
    put(made, 1, DESTINATION_RULE, rule())
    assert found(made, "destination-rule") == []
    put(made, 1, DESTINATION_RULE, rule(mode="MUTUAL"))
    (finding,) = found(made, "destination-rule")
    assert set(finding.breaks) == {("cluster1", "cluster2"), ("cluster1", "cluster1")}
