"""Does the API server answer?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.view import Here
from wizard.errors import NotAllowed, Trouble
from wizard.messages import msg
from wizard.text import one_line


def find(here: Here) -> Iterable[Fault]:
    try:
        here.version()
        here.identity()
    except NotAllowed:
        raise  # it answers; what may not be read is told where it is wanted
    except Trouble as trouble:
        yield Fault(
            trouble.what,
            msg("API server {server}", server=one_line(here.server)),
            evidence=(msg("asked for its version through context {context}", context=one_line(here.member.context)),),
            remedy=trouble.remedy,
            commands=(f"{here.kubectl} get --raw /readyz",),
            # Proxies keep what they know; but istiods that read this cluster learn nothing new, and its own gives out nothing.
            breaks=(*here.view.into(here.name), *here.view.out_of(here.name)),
        )


CHECK = Check(
    "api-server",
    "cluster",
    "error",
    find,
    short=msg("API server away"),
    title="The API server answers",
    reads="The API server's `/version`, and namespace `kube-system`, through the context of the kubeconfig.",
    means="Nobody can tell what stands in that cluster. Proxies keep the configuration that they have; what changes does not "
    "reach them, and whoever restarts gets nothing.",
    arises="The cluster is down, its address changed, a VPN or proxy is missing, or credentials ran out.",
    mend="Make the API server answer first, and ask again: the other checks of this cluster could not be made.",
)
