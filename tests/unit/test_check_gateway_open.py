"""The checks `gateway-open`, `gateway-conflict` and `discovery-open`: what Istio's Gateways open on the east-west gateways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.standing import finished_mesh, finished_remote, found
from wizard.clusters.kinds import ISTIO_GATEWAY, VIRTUAL_SERVICE, Object, Ref
from wizard.objects.eastwest import GATEWAY_SERVICE

CROSS = Ref(ISTIO_GATEWAY, "cross-network-gateway", "istio-system")
ISTIOD = Ref(ISTIO_GATEWAY, "istiod-gateway", "istio-system")
ROUTE = Ref(VIRTUAL_SERVICE, "istiod-vs", "istio-system")
CHECKS = ("gateway-open", "gateway-conflict", "discovery-open")


@pytest.mark.parametrize("check", CHECKS)
def test_of_a_healthy_mesh_nothing_is_said(check: str) -> None:
    for made in (finished_mesh(), finished_remote()):
        assert found(made, check) == []


def selector(live: Object) -> None:
    live["spec"]["selector"] = {"istio": "other"}


def mode(live: Object) -> None:
    live["spec"]["servers"][0]["tls"]["mode"] = "PASSTHROUGH"


def hosts(live: Object) -> None:
    live["spec"]["servers"][0]["hosts"] = ["*.example.com"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (selector, "selects istio=other, which the gateway's Pods of cluster2 are not"),
        (mode, "does not open port 15443 with TLS mode AUTO_PASSTHROUGH"),
        (hosts, "leave out helloworld.sample.svc.cluster.local"),
    ],
)
def test_a_gateway_that_does_not_open_it_is_named(change: Callable[[Object], Any], told: str) -> None:
    made = finished_mesh()
    made.machine(2).change(CROSS, change)
    (one,) = found(made, "gateway-open")
    assert told in one.text
    assert (one.object, one.breaks, one.step) == (str(CROSS), (("cluster1", "cluster2"),), "cluster2/expose-services")


def test_one_that_is_missing_closes_the_gateways_of_its_remotes_too() -> None:
    made = finished_remote()
    made.machine(1).store.remove(CROSS)
    (one,) = found(made, "gateway-open")
    assert (
        "Gateway cross-network-gateway in istio-system is missing, so the gateway of cluster1 and cluster2" in one.text
    )
    assert set(one.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster1")}


def test_what_is_no_gateway_at_all_is_read_as_one_that_opens_nothing() -> None:
    made = finished_mesh()
    made.machine(2).change(
        CROSS, lambda live: live.update(spec={"servers": ["x", {"hosts": 1, "port": "y"}], "selector": 3})
    )
    (one,) = found(made, "gateway-open")
    assert one.object == str(CROSS)


def test_two_gateways_for_one_port_are_a_warning() -> None:
    made = finished_mesh()
    live = made.machine(2).found(CROSS)
    assert live is not None
    again = {"apiVersion": live["apiVersion"], "kind": "Gateway", "spec": live["spec"],
             "metadata": {"name": "again", "namespace": "istio-system"}}  # fmt: skip
    made.machine(2).apply_as("kubectl", again)
    (one,) = found(made, "gateway-conflict")
    assert (one.severity, one.breaks) == ("warning", ())
    assert found(made, "gateway-open") == []


@pytest.mark.parametrize(
    ("ref", "told"), [(ISTIOD, "does not open port 15012 and 15017"), (ROUTE, "does not lead port")]
)
def test_an_istiod_that_is_not_exposed_to_its_remotes_is_named(ref: Ref, told: str) -> None:
    made = finished_remote()
    made.machine(1).store.remove(ref)
    (one,) = found(made, "discovery-open")
    assert told in one.text
    assert (one.object, one.cluster, one.step) == (str(ref), "cluster1", "cluster1/expose-istiod")


def test_so_is_a_service_that_lost_its_ports() -> None:
    made = finished_remote()
    made.machine(1).change(
        GATEWAY_SERVICE,
        lambda live: live["spec"].update(ports=[each for each in live["spec"]["ports"] if each["port"] == 15443]),
    )
    (one,) = found(made, "discovery-open")
    assert "has lost port 15012 and 15017" in one.text
