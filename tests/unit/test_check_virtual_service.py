"""The check `virtual-service`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import clear, found_in, heard, mesh_of, put
from wizard.clusters.kinds import DESTINATION_RULE, VIRTUAL_SERVICE

HOST = "helloworld.sample.svc.cluster.local"
OWN = {"destination": {"host": HOST}}
ABORT = {"abort": {"percentage": {"value": 100}, "httpStatus": 555}}
ALL = {("cluster1", "cluster1"), ("cluster1", "cluster2")}


@pytest.fixture(scope="module")
def standing() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(standing: Setting) -> Iterator[Setting]:
    yield standing
    clear(standing, VIRTUAL_SERVICE, DESTINATION_RULE)


def rules(*http: dict[str, Any], host: str = HOST, **fields: Any) -> dict[str, Any]:
    return {"hosts": [host], "http": list(http), **fields}


@pytest.mark.parametrize(
    "spec",
    [
        rules({"route": [OWN]}),
        rules({"route": [{"destination": {"host": "helloworld", "port": {"number": 5000}}}], "timeout": "9s"}),
        rules({"route": [OWN], "fault": {"abort": {"httpStatus": 500}}}),  # without a share it is for none
        rules({"route": [OWN], "fault": {"delay": {"percentage": {"value": 100}, "fixedDelay": "1.5s"}}}),
        rules({"route": [OWN], "fault": ABORT}, gateways=["istio-system/some"]),
        rules({"route": [OWN], "fault": ABORT}, exportTo=["default"]),
        rules({"route": [OWN], "fault": ABORT}, host="other"),
        rules({"match": [{"uri": {"prefix": "/other"}}], "fault": ABORT}, {"route": [OWN]}),
        rules({"match": [{"headers": {"end-user": {"exact": "jason"}}}], "fault": ABORT}, {"route": [OWN]}),
        rules({"match": [{"sourceLabels": {"app": "other"}}], "fault": ABORT}, {"route": [OWN]}),
        rules({"route": [OWN, {"destination": {"host": "other"}, "weight": 0}]}),
        {"hosts": [HOST], "tcp": [{"route": [{"destination": {"host": "other"}}]}]},
        {"hosts": HOST, "http": "no"},
    ],
)
def test_of_rules_that_let_requests_pass_nothing_is_said(made: Setting, spec: object) -> None:
    put(made, 1, VIRTUAL_SERVICE, spec)
    assert found(made, "virtual-service") == []


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"route": [OWN], "fault": ABORT}, "100 % of them are aborted"),
        ({"route": [OWN], "fault": {"delay": {"percent": 100, "fixedDelay": "1m"}}}, "delayed for longer"),
        ({"redirect": {"uri": "/other"}}, "answered without asking it"),
        ({"route": [{"destination": {"host": "other"}}]}, "they go to other.sample.svc.cluster.local only"),
        ({"route": [{"destination": {"host": HOST, "subset": "v9"}}]}, "subset v9, which no DestinationRule defines"),
        ({"route": [{"destination": {"host": HOST, "port": {"number": 80}}}]}, "port 80"),
        ({"match": [{"uri": {"prefix": "/other"}}], "route": [OWN]}, "answered with 404"),
        ({"match": [{"uri": {"prefix": "/HEL"}, "ignoreUriCase": True}], "fault": ABORT}, "aborted"),
        ({"match": [{"uri": {"exact": "/hello"}, "method": {"exact": "GET"}}], "fault": ABORT}, "aborted"),
    ],
)
def test_rules_that_turn_requests_away_break_all_of_a_client(made: Setting, rule: dict[str, Any], says: str) -> None:
    put(made, 1, VIRTUAL_SERVICE, rules(rule))
    (finding,) = found(made, "virtual-service")
    assert (finding.severity, finding.object) == ("error", "VirtualService theirs in sample")
    assert says in finding.text
    assert set(finding.breaks) == ALL
    assert finding.commands == (
        "kubectl --context=kubernetes-admin1@kubernetes -n sample edit virtualservices.networking.istio.io theirs",
    )


def test_a_subset_leaves_out_the_clusters_that_have_none_of_it(made: Setting) -> None:
    put(made, 1, VIRTUAL_SERVICE, rules({"route": [{"destination": {"host": HOST, "subset": "v1"}}]}))
    put(made, 1, DESTINATION_RULE, {"host": HOST, "subsets": [{"name": "v1", "labels": {"version": "v1"}}]})
    (finding,) = found(made, "virtual-service")
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert "they go to subset v1 only" in finding.text


def test_what_only_some_requests_meet_warns(made: Setting) -> None:
    put(made, 1, VIRTUAL_SERVICE, rules({"route": [OWN], "fault": {"abort": {"percentage": {"value": 12.5}}}}))
    (finding,) = found(made, "virtual-service")
    assert (finding.severity, finding.breaks) == ("warning", ())
    assert "12.5 % of them are aborted" in finding.text


def test_half_of_the_requests_to_nobody_warns(made: Setting) -> None:
    half = [{**OWN, "weight": 50}, {"destination": {"host": "other"}, "weight": 50}]
    put(made, 1, VIRTUAL_SERVICE, rules({"route": half}))
    assert [each.severity for each in found(made, "virtual-service")] == ["warning"]


def test_behind_a_rule_that_may_be_met_before_it_is_a_guess(made: Setting) -> None:
    maybe = {"match": [{"headers": {"user-agent": {"regex": "curl.*"}}}], "route": [OWN]}
    put(made, 1, VIRTUAL_SERVICE, rules(maybe, {"route": [OWN], "fault": ABORT}))
    assert [each.severity for each in found(made, "virtual-service")] == ["unsure"]
    assert found_in(heard(made, {}), "virtual-service") == []
    assert found_in(heard(made, {"cluster1": ["cluster2"]}), "virtual-service") != []


def test_the_more_specific_host_decides_and_namespaces_do_not(made: Setting) -> None:
    put(made, 1, VIRTUAL_SERVICE, rules({"route": [OWN], "fault": ABORT}, host="*.local"), namespace="default")
    assert [each.object for each in found(made, "virtual-service")] == ["VirtualService theirs in default"]
    put(made, 1, VIRTUAL_SERVICE, rules({"route": [OWN]}), name="own")
    assert found(made, "virtual-service") == []


def test_a_primarys_rule_is_its_remotes_too() -> None:
    made = mesh_of([None, "cluster1"])
    put(made, 2, VIRTUAL_SERVICE, rules({"route": [OWN], "fault": ABORT}))
    assert found(made, "virtual-service") == []
    put(made, 1, VIRTUAL_SERVICE, rules({"route": [OWN], "fault": ABORT}))
    (finding,) = found(made, "virtual-service")
    assert len(finding.breaks) == 4
