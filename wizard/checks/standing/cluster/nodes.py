"""Is there a node that runs Pods?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import cut_off
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NODE, Ref
from wizard.clusters.nodes import is_ready
from wizard.messages import counted, msg
from wizard.text import one_line


def find(here: Here) -> Iterable[Fault]:
    nodes = here.objects(NODE)
    if any(map(is_ready, nodes)):
        return
    first = one_line(nodes[0]["metadata"]["name"]) if nodes else ""
    text = msg("{cluster}: there is no node, so nothing runs there", cluster=here.name)
    if nodes:
        text = counted(
            "{cluster}: its only node {node} is not Ready, so nothing runs there that can be relied on",
            "{cluster}: none of its {count} nodes is Ready, {node} for one, so nothing runs there that can be relied on",
            len(nodes),
            cluster=here.name,
            node=first,
        )
    yield Fault(
        text,
        str(Ref(NODE, first)) if nodes else msg("nodes of {cluster}", cluster=here.name),
        evidence=(msg("the condition Ready of each node"),),
        remedy=msg("Look at why: the kubelet, its container runtime, and the way from the node to the API server."),
        commands=(f"{here.kubectl} get nodes -o wide", f"{here.kubectl} describe nodes"),
        breaks=cut_off(here.view, (here.name,)),
    )


CHECK = Check(
    "nodes",
    "cluster",
    "error",
    find,
    short=msg("no node is Ready"),
    title="A node is Ready",
    reads="The nodes and their condition `Ready`.",
    means="Nothing can be started in that cluster, and what runs there is taken out of Services after a while.",
    arises="Nodes that are off, kubelets that stopped or whose certificates ran out, a network that parts them from the API "
    "server.",
    mend="Bring a node back: `kubectl describe node NAME` tells since when the kubelet is silent, `journalctl -u kubelet` there "
    "why.",
)
