"""A finished mesh over simulated clusters, as the checks of a standing mesh look at it."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.conftest import Setting, setting
from tests.unit.test_simulated_topologies import members, mesh
from wizard.checks.finding import Finding
from wizard.checks.standing.diagnosis import Diagnosis, checks, diagnose
from wizard.checks.standing.view import Traffic, View
from wizard.errors import Trouble
from wizard.mesh.model import Istio
from wizard.probes.traffic import ask
from wizard.resolve import check_istioctl, resolve
from wizard.simulated.outside import SimulatedOutside

__all__ = ["Setting", "finished_mesh", "finished_remote", "found", "setting", "view_of", "whole"]


def finished_mesh(count: int = 2) -> Setting:
    """A mesh that stands and answers."""
    made = setting(count)
    outcome = made.run()
    assert outcome.ok, outcome.what
    return made


def finished_remote(istio: Istio | None = None, exposure: str = "external-ips") -> Setting:
    """A primary and its remote, which stand and answer."""
    outside = SimulatedOutside(2, 0)
    wanted = mesh(members(outside, exposure, [None, "cluster1"]), istio)
    world = outside.world(wanted)
    wanted = replace(wanted, istio=replace(wanted.istio, version=check_istioctl(wanted, world)))
    made = Setting(outside, resolve(wanted, world), world)
    outcome = made.run()
    assert outcome.ok, outcome.what
    return made


def view_of(made: Setting, *, traffic: bool = False) -> View:
    """The mesh, freshly looked at. `traffic`: with what each cluster's client hears now."""
    heard = {each.name: _heard(made, each.name) for each in made.mesh.clusters} if traffic else {}
    return View(made.mesh, made.world.clusters, traffic=heard)


def found(made: Setting, check: str, *, traffic: bool = False) -> list[Finding]:
    """What the check of that id finds in the clusters of this mesh, in their order."""
    view = view_of(made, traffic=traffic)
    one = next(each for each in checks() if each.id == check)
    return [one.finding(fault, here.name) for here in view.all for fault in one.find(here)]


def whole(made: Setting) -> Diagnosis:
    """The diagnosis of this mesh, with its traffic."""
    return diagnose(view_of(made, traffic=True))


def _heard(made: Setting, name: str) -> Traffic:
    try:
        return Traffic(ask(made.world.cluster(name), made.mesh.verify.namespace, 4 * len(made.mesh.clusters)))
    except Trouble as trouble:
        return Traffic(None, trouble.what)
