"""The checks of the layers `trust` and `discovery` in meshes of every shape in which nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.standing import Setting, finished_mesh, finished_remote, view_of
from tests.unit.test_simulated_topologies import members, mesh
from wizard.checks.standing.diagnosis import checks, diagnose
from wizard.checks.standing.view import View
from wizard.mesh.model import Istio
from wizard.resolve import resolve
from wizard.simulated.outside import SimulatedOutside

LAYERS = {"trust", "discovery"}


def one_network_and_a_remote_of_each() -> Setting:
    """Two primaries, each with a remote, all on one network."""
    outside = SimulatedOutside(4, 0)
    wanted = mesh(members(outside, "external-ips", [None, None, "cluster1", "cluster2"]), Istio(version="1.29.1"))
    world = outside.world(wanted)
    made = Setting(outside, resolve(wanted, world), world)
    outcome = made.run()
    assert outcome.ok, outcome.what
    return made


MESHES: dict[str, Callable[[], Setting]] = {
    "three": lambda: finished_mesh(3),
    "revision": lambda: finished_remote(Istio(revision="canary")),
    "remotes": one_network_and_a_remote_of_each,
}


@pytest.mark.parametrize("make", MESHES.values(), ids=MESHES)
def test_in_meshes_of_ours_they_say_nothing(make: Callable[[], Setting]) -> None:
    assert_silent(view_of(make()))


def test_in_meshes_of_others_they_say_nothing() -> None:
    made = made_by_hand(3)
    assert_silent(View(made.mesh, made.world.clusters, inferred=True))


def assert_silent(view: View) -> None:
    told = [each for each in diagnose(view).findings if each.layer in LAYERS]
    # What a simulated proxy holds may not be known.
    assert [each for each in told if (each.check, each.severity) != ("proxy-certificates", "unsure")] == []


def test_there_are_checks_of_both() -> None:
    assert {check.layer for check in checks()} >= LAYERS
