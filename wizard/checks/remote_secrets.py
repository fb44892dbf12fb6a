"""Will istiod be told of other clusters than those of the mesh?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.typed import kubectl
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.registered import strangers
from wizard.text import one_line, quoted


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, cluster = looked.mesh, looked.member, looked.cluster
    if member.role != "primary":
        return
    names = {each.name for each in mesh.clusters}
    for each in strangers(mesh, member, cluster):
        secret = f"Secret {one_line(each.secret)} in {SYSTEM_NAMESPACE} (written by {each.by})"
        place = f"{kubectl(member)} -n {SYSTEM_NAMESPACE} delete secret {quoted(each.secret)}"
        if each.name in names:
            yield Found(
                f"{secret} registers cluster {one_line(each.name)} at {each.server}, a name of this mesh: istiod would use "
                "one of two",
                f"Give the cluster another name in the mesh file; or, if nobody needs that secret: {place}",
                person=True,
            )
        else:
            yield Found(
                f"{secret} has istiod read cluster {one_line(each.name)} at {each.server}, which is none of this mesh",
                f"If that cluster is gone, istiod asks for it for ever: {place}",
                severity="warning",
            )


CHECK = Check("remote-secrets", "cluster", "error", find)
