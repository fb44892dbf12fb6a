"""The check `locality`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import clear, found_in, heard, put
from wizard.clusters.kinds import CONFIG_MAP, DESTINATION_RULE, NODE, SERVICE, Object, Ref

HOST = "helloworld.sample.svc.cluster.local"
REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
OUTLIER = {"outlierDetection": {"consecutive5xxErrors": 5}}


def mesh_in(*places: dict[str, str]) -> Setting:
    """A mesh of clusters whose nodes have these labels."""
    made = finished_mesh(len(places))
    for number, labels in enumerate(places, 1):
        node = Ref(NODE, made.machine(number).node_name)
        made.machine(number).change(node, lambda live, labels=labels: live["metadata"]["labels"].update(labels))
    return made


def rule(made: Setting, **policy: Any) -> None:
    put(made, 1, DESTINATION_RULE, {"host": HOST, "trafficPolicy": policy})


@pytest.fixture(scope="module")
def standing() -> Setting:
    return mesh_in({REGION: "north"}, {REGION: "south"})


@pytest.fixture
def apart(standing: Setting) -> Iterator[Setting]:
    """Two regions."""
    yield standing
    clear(standing, DESTINATION_RULE)


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"loadBalancer": {"simple": "RANDOM"}},
        {**OUTLIER, "loadBalancer": {"localityLbSetting": {"enabled": False}}},
        {"loadBalancer": {"localityLbSetting": {"enabled": True}}},
    ],
)
def test_of_rules_that_prefer_nobody_nothing_is_said(apart: Setting, policy: dict[str, Any]) -> None:
    rule(apart, **policy)
    assert found(apart, "locality") == []


def test_in_one_region_nobody_is_nearer() -> None:
    for labels in ({}, {REGION: "north", ZONE: "a"}):
        made = mesh_in(labels, labels)
        rule(made, **OUTLIER)
        assert found(made, "locality") == []


def test_regions_that_differ_warn_until_somebody_misses_an_answer(apart: Setting) -> None:
    rule(apart, **OUTLIER)
    (finding,) = found(apart, "locality")
    assert (finding.severity, finding.object) == ("warning", "DestinationRule theirs in sample")
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert "cluster1 north and cluster2 south" in finding.text
    (finding,) = found_in(heard(apart, {"cluster1": ["cluster2"]}), "locality")
    assert finding.severity == "error"
    assert "edit destinationrules.networking.istio.io theirs" in finding.commands[0]
    (finding,) = found_in(heard(apart, {"cluster2": ["cluster1"]}), "locality")
    assert finding.severity == "warning"  # that is not what this rule keeps near


def test_zones_count_within_a_region() -> None:
    made = mesh_in({REGION: "north", ZONE: "a"}, {REGION: "north", ZONE: "b"}, {REGION: "north", ZONE: "a"})
    rule(made, **OUTLIER)
    (finding,) = found(made, "locality")
    assert finding.breaks == (("cluster1", "cluster2"),)


def test_the_mesh_may_switch_it_off() -> None:
    apart = mesh_in({REGION: "north"}, {REGION: "south"})
    rule(apart, **OUTLIER)

    def off(live: Object) -> None:
        live["data"]["mesh"] += "\nlocalityLbSetting: {enabled: false}\n"

    apart.machine(1).change(Ref(CONFIG_MAP, "istio", "istio-system"), off)
    assert found(apart, "locality") == []


@pytest.mark.parametrize(
    ("to", "breaks"),
    [({"north/*": 100}, (("cluster1", "cluster2"),)), ({"north/*": 80, "south": 20}, ()), ({"*": 100}, ())],
)
def test_shares_are_for_the_places_that_they_name(apart: Setting, to: object, breaks: object) -> None:
    rule(apart, loadBalancer={"localityLbSetting": {"distribute": [{"from": "north/*", "to": to}]}})
    assert tuple(pair for each in found(apart, "locality") for pair in each.breaks) == breaks


@pytest.mark.parametrize(("keys", "count"), [(["topology.istio.io/cluster"], 1), (["some-label"], 0)])
def test_other_labels_may_say_what_is_near(keys: list[str], count: int) -> None:
    made = mesh_in({REGION: "north"}, {REGION: "north"})
    rule(made, **OUTLIER, loadBalancer={"localityLbSetting": {"failoverPriority": keys}})
    assert len(found(made, "locality")) == count


def test_a_service_may_prefer_what_is_close() -> None:
    made = finished_mesh()
    made.machine(1).change(
        Ref(SERVICE, "helloworld", "sample"), lambda live: live["spec"].update(trafficDistribution="PreferClose")
    )
    assert found(made, "locality") == []
    (finding,) = found_in(heard(made, {"cluster1": ["cluster2"]}), "locality")
    assert (finding.severity, finding.object) == ("error", "Service helloworld in sample")
