"""Network policies that may keep a Pod from reaching others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wizard.clusters.kinds import NETWORK_POLICY, Kind, Object
from wizard.clusters.port import Cluster
from wizard.clusters.selectors import selects
from wizard.errors import Failed
from wizard.messages import counted, joined, msg
from wizard.text import listing, one_line

_SHOWN = 4
# Kinds of network plugins, in languages of their own: that there are some is all that is read.
_OTHERS = (
    Kind("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy", "adminnetworkpolicies", namespaced=False),
    Kind("cilium.io/v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies"),
    Kind("cilium.io/v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", namespaced=False),
    Kind("crd.projectcalico.org/v1", "NetworkPolicy", "networkpolicies"),
    Kind("crd.projectcalico.org/v1", "GlobalNetworkPolicy", "globalnetworkpolicies", namespaced=False),
)


def limiting(cluster: Cluster, namespace: str, labels: Mapping[str, str]) -> str:
    """A sentence that names the policies which limit what leaves a Pod with these labels; empty where none is known to."""
    named = [
        msg(
            "NetworkPolicy {name} in {namespace}",
            name=one_line(item["metadata"]["name"]),
            namespace=one_line(namespace),
        )
        for item in _read(cluster, NETWORK_POLICY, namespace)
        if limits_egress(item) and selects((item.get("spec") or {}).get("podSelector"), labels)
    ]
    told: list[str] = []
    if named:
        told.append(
            msg(
                "{policies} selects the probe's Pod and limits what leaves it: allow it there to reach what istiod and "
                "the gateway will need as well",
                policies=_some(named),
            )
        )
    others = [
        f"{kind.kind}.{kind.group} {one_line(item['metadata']['name'])}"
        for kind in _OTHERS
        for item in _read(cluster, kind, namespace)
    ]
    if others:
        told.append(msg("policies of the network plugin may close it, too, such as {policies}", policies=_some(others)))
    return msg("In {cluster}, {policies}.", cluster=cluster.name, policies=joined(told, "; ")) if told else ""


def limits_egress(policy: Object) -> bool:
    """Whether it isolates the Pods that it selects for what leaves them."""
    spec = policy.get("spec") or {}
    types = spec.get("policyTypes")
    return bool(spec.get("egress")) if types is None else "Egress" in types


def _some(names: Sequence[str]) -> str:
    shown, more = listing(names[:_SHOWN]), len(names) - _SHOWN
    return counted("{names} ({count} more)", "{names} ({count} more)", more, names=shown) if more > 0 else shown


def _read(cluster: Cluster, kind: Kind, namespace: str) -> list[Object]:
    try:
        return cluster.objects(kind, namespace if kind.namespaced else "")
    except Failed:
        return []  # a hint is not worth a failure
