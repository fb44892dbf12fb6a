"""The check `trust-domain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard import yamltext
from wizard.checks.standing.trust.trust_domain import CHECK
from wizard.checks.standing.view import View
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref

CONFIG = Ref(CONFIG_MAP, "istio", "istio-system")
BOTH = {("cluster1", "cluster2"), ("cluster2", "cluster1")}


def says(made: Setting, number: int, **values: Any) -> None:
    """The mesh configuration there says this."""

    def change(config: Object) -> None:
        config["data"]["mesh"] = yamltext.dump({**yamltext.load(config["data"]["mesh"]), **values})

    made.machine(number).change(CONFIG, change)


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_of_one_trust_domain_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), "trust-domain") == []


def test_the_cluster_with_another_than_the_mesh_has_is_named() -> None:
    made = finished_mesh()
    says(made, 1, trustDomain="other.example")
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object) == ("trust-domain", "cluster1", "ConfigMap istio in istio-system")
    assert set(cause.breaks) == BOTH
    assert "other.example" in cause.text
    assert "trustDomain: cluster.local" in cause.remedy
    at = "kubectl --context=kubernetes-admin1@kubernetes -n istio-system"
    assert cause.commands[0] == f"{at} edit configmap istio"
    assert [each.check for each in whole(made).findings if each.severity == "error"] == ["trust-domain"]


def test_aliases_on_both_sides_are_enough_and_on_one_they_are_not() -> None:
    made = finished_mesh()
    says(made, 2, trustDomain="other.example", trustDomainAliases=["cluster.local"])
    assert [each.cluster for each in found(made, "trust-domain")] == ["cluster2"]
    says(made, 1, trustDomainAliases=["other.example"])
    assert found(made, "trust-domain") == []


def test_one_that_is_not_said_is_the_default() -> None:
    made = finished_mesh()
    says(made, 2, trustDomain=None)
    assert found(made, "trust-domain") == []


def test_in_a_mesh_of_other_hands_most_are_right() -> None:
    made = finished_mesh(3)
    for number in (2, 3):
        says(made, number, trustDomain="theirs.example")
    view = View(made.mesh, made.world.clusters, inferred=True)
    told = [(here.name, set(fault.breaks)) for here in view.all for fault in CHECK.find(here)]
    assert told == [
        (
            "cluster1",
            {("cluster1", "cluster2"), ("cluster2", "cluster1"), ("cluster1", "cluster3"), ("cluster3", "cluster1")},
        )
    ]


@pytest.mark.parametrize("text", ["", "- a list", "{", "trustDomain: [1]\ntrustDomainAliases: {}", "a: &a [*a]"])
def test_a_configuration_that_is_none_breaks_nothing(text: str) -> None:
    made = finished_mesh()
    made.machine(2).change(CONFIG, lambda config: config["data"].update(mesh=text))
    found(made, "trust-domain")
