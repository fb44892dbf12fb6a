"""Will istiod be told of other clusters than those of the mesh?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.typed import kubectl
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.registered import strangers
from wizard.text import one_line, quoted


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, cluster = looked.mesh, looked.member, looked.cluster
    if member.role != "primary":
        return
    names = {each.name for each in mesh.clusters}
    for each in strangers(mesh, member, cluster):
        secret = msg(
            "Secret {name} in {namespace} (written by {author})",
            name=one_line(each.secret),
            namespace=SYSTEM_NAMESPACE,
            author=each.by,
        )
        told = {"secret": secret, "cluster": one_line(each.name), "server": each.server}
        delete = f"{kubectl(member)} -n {SYSTEM_NAMESPACE} delete secret {quoted(each.secret)}"
        if each.name in names:
            yield Found(
                msg(
                    "{secret} registers cluster {cluster} at {server}, a name of this mesh: istiod would use one of two",
                    **told,
                ),
                msg(
                    "Give the cluster another name in the mesh file; or, if nobody needs that secret: {command}",
                    command=delete,
                ),
                person=True,
            )
        else:
            yield Found(
                msg("{secret} has istiod read cluster {cluster} at {server}, which is none of this mesh", **told),
                msg("If that cluster is gone, istiod asks for it for ever: {command}", command=delete),
                severity="warning",
            )


CHECK = Check("remote-secrets", "cluster", "error", find)
