"""The check `host-names`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.gateway_meshes import GATEWAY, HEALTHY, finished
from tests.unit.standing import Setting, finished_mesh, found
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref

CONFIG = Ref(CONFIG_MAP, "istio", "istio-system")


def at(made: Setting, version: str) -> Setting:
    """The same, with that Istio."""
    return Setting(made.outside, replace(made.mesh, istio=replace(made.mesh.istio, version=version)), made.world)


def named(made: Setting) -> Setting:
    """The load balancer of the second cluster gives a name."""

    def change(live: Object) -> None:
        live["status"] = {"loadBalancer": {"ingress": [{"hostname": "elb.example"}]}}

    made.machine(2).change(GATEWAY, change)
    return made


@pytest.mark.parametrize("kind", HEALTHY)
@pytest.mark.parametrize("version", ["1.12.9", "1.29.1"])
def test_of_gateways_with_addresses_nothing_is_said(kind: str, version: str) -> None:
    assert found(at(HEALTHY[kind](), version), "host-names") == []


def test_a_name_of_a_load_balancer_is_no_gateway_to_an_old_istio() -> None:
    made = named(finished("load-balancer"))
    (finding,) = found(at(made, "1.12.9"), "host-names")
    assert (finding.severity, finding.cluster, finding.breaks) == ("error", "cluster2", (("cluster1", "cluster2"),))
    assert finding.object == "Service istio-eastwestgateway in istio-system"
    assert "elb.example" in finding.text


def test_a_newer_istio_resolves_it() -> None:
    assert found(at(named(finished("load-balancer")), "1.13.0"), "host-names") == []


def test_a_name_in_mesh_networks_spoils_all_of_them() -> None:
    made = finished_mesh()
    address = made.machine(2).node_address
    made.machine(1).change(
        CONFIG,
        lambda live: live["data"].update(meshNetworks=live["data"]["meshNetworks"].replace(address, "two.example")),
    )
    (finding,) = found(at(made, "1.12.9"), "host-names")
    assert (finding.object, finding.breaks) == ("ConfigMap istio in istio-system", (("cluster1", "cluster2"),))
    assert "two.example" in finding.text
