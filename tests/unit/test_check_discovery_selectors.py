"""The check `discovery-selectors`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard import yamltext
from wizard.clusters.kinds import CONFIG_MAP, NAMESPACE, SERVICE, Object, Ref
from wizard.mesh.model import GATEWAY_NAME, NETWORK_LABEL, SYSTEM_NAMESPACE

NAME = "kubernetes.io/metadata.name"


def select(made: Setting, number: int, selectors: Any) -> None:
    def edit(config: Object) -> None:
        mesh = yamltext.load(config["data"]["mesh"])
        mesh["discoverySelectors"] = selectors
        config["data"]["mesh"] = yamltext.dump(mesh)

    made.machine(number).change(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE), edit)


def only(*names: str) -> list[Object]:
    return [{"matchLabels": {NAME: name}} for name in names]


@pytest.mark.parametrize("selectors", [None, [], "nonsense", [{}], only(SYSTEM_NAMESPACE, "sample"), [
    {"matchExpressions": [{"key": NAME, "operator": "NotIn", "values": ["kube-system"]}]}]])  # fmt: skip
def test_of_selectors_that_leave_nothing_out_nothing_is_said(selectors: Any) -> None:
    for made in (finished_mesh(), finished_remote()):
        select(made, 1, selectors)
        assert found(made, "discovery-selectors") == []


def test_a_sample_that_is_left_out_is_not_heard() -> None:
    made = finished_mesh()
    select(made, 1, [*only(SYSTEM_NAMESPACE), {"matchLabels": {"team": "shop"}}])
    made.machine(2).change(Ref(NAMESPACE, "sample"), lambda live: live["metadata"]["labels"].update(team="shop"))
    (one,) = found(made, "discovery-selectors")
    assert (one.severity, one.cluster) == ("error", "cluster1")
    assert one.object == "ConfigMap istio in istio-system"
    assert "leave out namespace sample of cluster1" in one.text
    assert one.breaks == (("cluster2", "cluster1"), ("cluster1", "cluster1"))
    assert one.commands[1] == "kubectl --context=kubernetes-admin1@kubernetes get namespace sample --show-labels"


def test_a_sample_beyond_is_not_heard_by_those_whom_this_istiod_serves() -> None:
    made = finished_mesh(3)
    select(made, 1, [*only(SYSTEM_NAMESPACE), {"matchLabels": {"team": "shop"}}])
    for number in (1, 3):
        made.machine(number).change(
            Ref(NAMESPACE, "sample"), lambda live: live["metadata"]["labels"].update(team="shop")
        )
    (one,) = found(made, "discovery-selectors")
    assert "namespace sample of cluster2" in one.text
    assert one.breaks == (("cluster1", "cluster2"),)


def test_without_its_own_namespace_all_gateways_that_it_serves_close() -> None:
    made = finished_remote()
    select(made, 1, only("sample"))
    one, *rest = found(made, "discovery-selectors")
    assert not rest  # in the remote nothing is needed of it: meshNetworks tells the address
    assert "namespace istio-system of cluster1" in one.text
    assert set(one.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster1")}


def test_a_gateway_that_only_its_label_names_is_not_found() -> None:
    made = finished_mesh()
    made.machine(2).change(
        Ref(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE),
        lambda live: live["metadata"]["labels"].update({NETWORK_LABEL: "network2"}),
    )
    select(made, 1, [*only("sample"), {"matchLabels": {NETWORK_LABEL: "network1"}}])
    (one,) = found(made, "discovery-selectors")
    assert "namespace istio-system of cluster2" in one.text
    assert one.breaks == (("cluster1", "cluster2"),)


def test_of_a_cluster_that_does_not_answer_its_own_finding_tells() -> None:
    made = finished_mesh()
    select(made, 1, only("sample", SYSTEM_NAMESPACE))
    made.machine(2).unreachable = True
    assert [each.check for each in whole(made).findings if each.check == "discovery-selectors"] == []
