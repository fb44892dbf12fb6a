"""The check `config-differs`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import mesh_of, put
from wizard.clusters.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Kind

HOST = "helloworld.sample.svc.cluster.local"
RULE = {"host": HOST, "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}
ROUTES = {"hosts": [HOST], "http": [{"route": [{"destination": {"host": HOST}}]}]}


@pytest.mark.parametrize(("kind", "spec"), [(DESTINATION_RULE, RULE), (VIRTUAL_SERVICE, ROUTES)])
def test_of_the_same_rules_everywhere_nothing_is_said(kind: Kind, spec: Any) -> None:
    made = finished_mesh()
    for number in (1, 2):
        put(made, number, kind, spec)
    assert found(made, "config-differs") == []


@pytest.mark.parametrize(("kind", "spec"), [(DESTINATION_RULE, RULE), (VIRTUAL_SERVICE, ROUTES)])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_rule_that_one_primary_alone_has_warns(kind: Kind, spec: Any, number: int) -> None:
    made = finished_mesh(3)
    put(made, number, kind, spec)
    (finding,) = found(made, "config-differs")
    assert (finding.severity, finding.breaks) == ("warning", ())
    assert (finding.cluster, finding.object) == (f"cluster{number}", f"{kind.kind} theirs in sample")
    assert f"get {kind.resource} theirs -o yaml" in finding.commands[0]


def test_one_that_says_something_else_warns_once() -> None:
    made = finished_mesh()
    put(made, 1, DESTINATION_RULE, RULE)
    put(made, 2, DESTINATION_RULE, {"host": HOST})
    (finding,) = found(made, "config-differs")
    assert "says something else in cluster2" in finding.text
    assert len(finding.commands) == 2


def test_rules_for_others_are_none_of_ours() -> None:
    made = finished_mesh()
    put(made, 1, DESTINATION_RULE, {"host": "other"})
    put(made, 1, VIRTUAL_SERVICE, {**ROUTES, "gateways": ["some"]})
    assert found(made, "config-differs") == []


def test_a_remote_has_none_of_its_own() -> None:
    made = mesh_of([None, "cluster1"])
    put(made, 1, DESTINATION_RULE, RULE)
    assert found(made, "config-differs") == []


def test_of_a_primary_that_does_not_answer_nothing_is_said() -> None:
    made: Setting = finished_mesh()
    put(made, 1, DESTINATION_RULE, RULE)
    made.machine(2).unreachable = True
    assert found(made, "config-differs") == []
