"""Does this release know the Istio that is wanted, and is it near what stands?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.istio.proxies import control_plane_version
from wizard.istio.versions import NEWEST, is_newer, proven, step_trouble
from wizard.messages import msg


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, cluster = looked.mesh, looked.member, looked.cluster
    # Of the mesh, not of a cluster: told once.
    if member.name == mesh.clusters[0].name and not proven(str(mesh.istio.version)):
        version = str(mesh.istio.version)
        what = msg(
            "Istio {version} was not run on real clusters by this release's tests, only rendered", version=version
        )
        if is_newer(version):
            what = msg(
                "Istio {version} is newer than what this release of meshwizard knows, Istio {known}",
                version=version,
                known=f"{NEWEST[0]}.{NEWEST[1]}",
            )
        yield Found(what, msg("Try it on clusters that may break first."))
    trouble = step_trouble(control_plane_version(cluster, mesh), str(mesh.istio.version))
    if trouble:
        remedy = msg("Give another istioctl with --istioctl, or consent to it: meshwizard apply with --version-step.")
        yield Found(trouble, remedy)


CHECK = Check("istio", "versions", "warning", find)
