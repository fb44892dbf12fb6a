"""Why does it not answer? Causes are injected one at a time into a verified mesh on real clusters: their object is named first,
and of the mesh that stands again nothing is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.lab.causes import Break, of
from tests.lab.shape import Shape
from tests.lab.standing import LabOf
from tests.lab.test_topologies import multi_primary, primary_remote
from tests.lab.wizard import Ran, Wizard, assert_untouched

pytestmark = pytest.mark.in_order("topology")
MeshOf = Callable[[str], Wizard]
SHOWN_SECONDS = 60  # until a break, or its mending, has reached every proxy
TOPOLOGIES = {"multi-primary": multi_primary, "primary-remote": primary_remote}
CASES = [pytest.param(topology, each, id=f"{topology}-{each.name}") for topology in TOPOLOGIES for each in of(topology)]


@pytest.fixture(scope="module")
def mesh_of(lab_of: LabOf, tmp_path_factory: pytest.TempPathFactory) -> MeshOf:
    """A verified mesh of that topology; made anew where another stands."""
    made: dict[str, Wizard] = {}

    def mesh(topology: str) -> Wizard:
        if topology not in made:
            made.clear()
            wizard = Wizard(lab_of(Shape()), tmp_path_factory.mktemp("home"), changes=TOPOLOGIES[topology])
            ran = wizard.apply()
            assert ran.code == 0, ran.text
            made[topology] = wizard
        return made[topology]

    return mesh


def diagnosed(wizard: Wizard) -> Ran:
    """`diagnose`, which asks for no change."""
    marks = [cluster.audit_mark() for cluster in wizard.lab.clusters]
    ran = wizard.run("diagnose", "--json")
    assert_untouched(wizard.lab, marks)
    return ran


def until(wizard: Wizard, shown: Callable[[Ran], bool]) -> Ran:
    """The first diagnosis that shows it, or the last."""
    deadline = time.monotonic() + SHOWN_SECONDS
    while True:
        ran = diagnosed(wizard)
        if shown(ran) or time.monotonic() > deadline:
            return ran
        time.sleep(1)


def is_silent(ran: Ran) -> bool:
    return ran.code == 0 and ran.json["findings"] == []


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_of_a_mesh_that_answers_nothing_is_said(topology: str, mesh_of: MeshOf) -> None:
    mesh = mesh_of(topology)
    ran = until(mesh, is_silent)
    assert is_silent(ran), ran.text
    assert ran.json["proven"] is True


@pytest.mark.parametrize(("topology", "cause"), CASES)
def test_the_cause_is_named_first(topology: str, cause: Break, mesh_of: MeshOf) -> None:
    mesh = mesh_of(topology)
    with cause.make(mesh.lab):
        ran = until(mesh, lambda ran: bool(ran.json["findings"]) and (not cause.traffic or not ran.json["proven"]))
        findings = ran.json["findings"]
        assert findings, ran.text
        first = ran.json["cause"] or findings[0]
        assert first["check"] in cause.checks, ran.text
        assert cause.object in first["object"], ran.text
        if cause.traffic:
            assert ran.code == 4, ran.text
            assert ran.json["cause"], ran.text
    if cause.name == "token-revoked":
        mended = mesh.run("resume", mesh.name)
        assert mended.code == 0, mended.text
    ran = until(mesh, is_silent)
    assert is_silent(ran), ran.text
