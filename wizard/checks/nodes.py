"""Is there a node that our Pods can run on?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.nodes import is_ready
from wizard.clusters.typed import kubectl
from wizard.mesh.tolerations import Toleration, untolerated
from wizard.messages import msg
from wizard.text import listing, one_line


def find(looked: Looked) -> Iterable[Found]:
    mesh, member = looked.mesh, looked.member
    ready = [node for node in looked.nodes if is_ready(node)]
    if not ready:
        yield Found(
            msg("no node is Ready"),
            msg("Look at them: {command}", command=f"{kubectl(member)} get nodes"),
        )
        return
    # A Ready node loses these by itself, as soon as the node controller looks at it.
    passing = tuple(
        Toleration(key=f"node.kubernetes.io/{key}", operator="Exists") for key in ("not-ready", "unreachable")
    )
    keeping = [untolerated(node, (*mesh.tolerations, *passing)) for node in ready]
    if all(keeping):
        taints = listing(dict.fromkeys(one_line(taint, 200) for taints in keeping for taint in taints))
        yield Found(
            msg("no Pod can run: every Ready node has a taint that nothing tolerates: {taints}", taints=taints),
            msg(
                "Say in tolerations of the mesh file what our Pods tolerate, or take a taint away: {command}",
                command=f"{kubectl(member)} taint nodes NODE KEY-",
            ),
        )


CHECK = Check("nodes", "cluster", "error", find)
