"""The check `networkz`."""

from __future__ import annotations

import pytest

from tests.unit.standing import finished_mesh, finished_remote, found
from wizard.clusters.kinds import CONFIG_MAP, Ref
from wizard.simulated import pages

CONFIG = Ref(CONFIG_MAP, "istio", "istio-system")


def test_of_a_healthy_mesh_nothing_is_said() -> None:
    for made in (finished_mesh(3), finished_remote()):
        assert found(made, "networkz") == []


def test_an_istiod_that_did_not_take_what_is_written_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made = finished_mesh()
    monkeypatch.setattr(pages.mesh, "networks_of", lambda machine: {})
    one, other = found(made, "networkz")
    assert "knows no gateway of network network2, although one is named" in one.text
    assert (one.cluster, one.object, one.breaks) == ("cluster1", str(CONFIG), (("cluster1", "cluster2"),))
    assert other.cluster == "cluster2"


def test_what_is_not_written_is_told_elsewhere() -> None:
    made = finished_mesh()
    made.machine(1).change(CONFIG, lambda live: live["data"].update(meshNetworks="networks: {}"))
    assert found(made, "networkz") == []
    assert found(made, "mesh-networks") != []
