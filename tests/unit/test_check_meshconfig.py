"""The check `meshconfig`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.clusters.kinds import CONFIG_MAP, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE, Istio

CONFIG = Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)


def remove(made: Setting, number: int) -> None:
    machine = made.machine(number)
    with machine.settled():
        machine.store.remove(CONFIG)


def test_of_what_istiod_can_read_nothing_is_said() -> None:
    for made in (finished_mesh(), finished_remote(), finished_remote(Istio(revision="canary"))):
        assert found(made, "meshconfig") == []


def test_without_it_no_other_network_is_known() -> None:
    made = finished_mesh()
    remove(made, 1)
    (one,) = found(made, "meshconfig")
    assert (one.severity, one.cluster, one.step) == ("error", "cluster1", "cluster1/install")
    assert one.object == "ConfigMap istio in istio-system"
    assert one.breaks == (("cluster1", "cluster2"),)
    cause = whole(made).cause
    assert cause is not None
    assert cause.check == "meshconfig"


def test_without_it_another_trust_domain_is_not_known_either() -> None:
    made = finished_mesh()
    remove(made, 1)
    elsewhere = Setting(made.outside, replace(made.mesh, trust_domain="example.org"), made.world)
    (one,) = found(elsewhere, "meshconfig")
    assert set(one.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster1")}


@pytest.mark.parametrize("text", ["{", "[]", "a: &a [*a", "just words", "[" * 5000, "\x00"])
@pytest.mark.parametrize(("key", "step"), [("mesh", None), ("meshNetworks", "cluster2/mesh-networks")])
def test_what_is_no_yaml_is_told(text: str, key: str, step: str | None) -> None:
    made = finished_mesh()
    made.machine(2).change(CONFIG, lambda live: live["data"].update({key: text}))
    (one,) = found(made, "meshconfig")
    assert (one.cluster, one.object, one.step) == ("cluster2", str(CONFIG), step)
    assert f"`{key}`" in one.text
    assert one.commands[1] == "kubectl --context=kubernetes-admin2@kubernetes -n istio-system edit configmap istio"


def test_without_its_key_it_is_as_if_it_were_not_there() -> None:
    made = finished_mesh()
    made.machine(2).change(CONFIG, lambda live: live["data"].pop("mesh"))
    (one,) = found(made, "meshconfig")
    assert "no mesh configuration" in one.text
