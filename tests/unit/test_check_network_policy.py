"""The check `network-policy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import clear, found_in, heard, put
from wizard.clusters.kinds import NETWORK_POLICY

INTO = {("cluster1", "cluster2"), ("cluster2", "cluster2")}


@pytest.fixture(scope="module")
def standing() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(standing: Setting) -> Iterator[Setting]:
    yield standing
    clear(standing, NETWORK_POLICY)


def policy(*types: str, **fields: Any) -> dict[str, Any]:
    return {"podSelector": {}, "policyTypes": list(types), **fields}


@pytest.mark.parametrize(
    "spec",
    [
        policy("Ingress", ingress=[{}]),
        policy("Ingress", ingress=[{"from": [{"namespaceSelector": {}}], "ports": [{"port": 5000}]}]),
        policy("Ingress", ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]),
        {**policy("Ingress"), "podSelector": {"matchLabels": {"app": "curl"}}},
        {**policy("Egress"), "podSelector": {"matchLabels": {"app": "helloworld"}}},
        policy("Egress", egress=[{}]),
        policy("Egress", egress="all"),
    ],
)
def test_of_policies_that_let_the_sample_be_nothing_is_said(made: Setting, spec: object) -> None:
    put(made, 2, NETWORK_POLICY, spec)
    assert found(made, "network-policy") == []


@pytest.mark.parametrize(
    ("spec", "breaks"),
    [
        ({"podSelector": {}}, INTO),
        (policy("Ingress", ingress=[]), INTO),
        (policy("Egress"), {("cluster2", "cluster1"), ("cluster2", "cluster2")}),
    ],
)
def test_one_without_rules_closes_everything(made: Setting, spec: object, breaks: object) -> None:
    put(made, 2, NETWORK_POLICY, spec)
    (finding,) = found(made, "network-policy")
    assert (finding.severity, finding.object) == ("error", "NetworkPolicy theirs in sample")
    assert set(finding.breaks) == breaks
    assert finding.commands == (
        "kubectl --context=kubernetes-admin2@kubernetes -n sample edit networkpolicies.networking.k8s.io theirs",
    )


def test_where_answers_come_all_the_same_it_warns(made: Setting) -> None:
    put(made, 2, NETWORK_POLICY, policy("Ingress"))
    (finding,) = found_in(heard(made, {}), "network-policy")
    assert (finding.severity, finding.breaks) == ("warning", ())
    # What keeps one cluster's requests out is something else, where the others' come in.
    (finding,) = found_in(heard(made, {"cluster1": ["cluster2"]}), "network-policy")
    assert (finding.severity, finding.breaks) == ("warning", ())


def test_one_with_rules_is_a_guess_while_no_answer_comes(made: Setting) -> None:
    put(
        made, 2, NETWORK_POLICY, policy("Ingress", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}])
    )
    assert [each.severity for each in found(made, "network-policy")] == ["unsure"]
    assert found_in(heard(made, {}), "network-policy") == []
    silent = {"cluster1": ["cluster2"], "cluster2": ["cluster2"]}
    assert [set(each.breaks) for each in found_in(heard(made, silent), "network-policy")] == [INTO]


def test_rules_of_several_policies_add_up(made: Setting) -> None:
    put(made, 2, NETWORK_POLICY, policy("Ingress"))
    put(made, 2, NETWORK_POLICY, policy("Ingress", ingress=[{"ports": [{"port": 5000}]}]), name="open")
    assert found(made, "network-policy") == []
