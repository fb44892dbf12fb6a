"""Is this cluster fit for the mesh? Looked at before anything is touched; nothing is made. What only the API server's
admission can tell is asked in a dry run, and only where no gateway of ours stands yet.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import get_args

from wizard import checks
from wizard.checks import reachable
from wizard.checks.check import Check, Layer, Looked
from wizard.checks.finding import Finding, Found
from wizard.clusters.port import Right
from wizard.errors import Trouble
from wizard.mesh import model
from wizard.mesh.model import Mesh
from wizard.world import World


def _declared() -> list[Check]:
    """The CHECK of every module of this package that has one, by layer and id: a new check is a new file and no more."""
    modules = [import_module(f"{checks.__name__}.{found.name}") for found in pkgutil.iter_modules(checks.__path__)]
    found = [module.CHECK for module in modules if isinstance(getattr(module, "CHECK", None), Check)]
    return sorted(found, key=lambda check: (get_args(Layer).index(check.layer), check.id))


# That it answers, and where, is the first that is said of a cluster.
CHECKS: tuple[Check, ...] = (reachable.CHECK, *(each for each in _declared() if each is not reachable.CHECK))


def check(mesh: Mesh, world: World, rights: tuple[Right, ...]) -> list[Finding]:
    """Every finding of every cluster, in the mesh's order. `rights`: those that the work needs."""
    return [finding for cluster in mesh.clusters for finding in check_cluster(mesh, cluster, world, rights)]


def check_cluster(mesh: Mesh, member: model.Cluster, world: World, rights: tuple[Right, ...]) -> list[Finding]:
    """Every finding of one cluster. A cluster that does not answer gives one finding that says so."""
    cluster = world.cluster(member.name)
    try:
        looked = Looked(mesh, member, world, cluster, cluster.version(), cluster.identity(), rights)
        return [finding for each in CHECKS for finding in each.findings(looked)]
    except Trouble as trouble:
        return [reachable.CHECK.finding(Found(trouble.what, trouble.remedy), member.name)]
