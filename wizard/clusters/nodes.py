"""A cluster's nodes: which of them to rely on, and the addresses that they have. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wizard.clusters.kinds import NODE, Object
from wizard.clusters.port import Cluster
from wizard.mesh.addresses import canonical, is_ip

# Where a node is no machine: kube-proxy does not run there, so nothing answers at its address. (label, value)
_VIRTUAL_LABELS = (
    ("eks.amazonaws.com/compute-type", "fargate"),
    ("type", "virtual-kubelet"),
    ("node.kubernetes.io/instance-type", "eklet"),
)
_VIRTUAL_TAINTS = ("virtual-kubelet.io/provider", "eks.amazonaws.com/compute-type", "eks.tke.cloud.tencent.com/eklet")
# On nodes that are about to go, by autoscalers, clouds and people.
_GOING = (
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "node.kubernetes.io/out-of-service",
    "node.cloudprovider.kubernetes.io/shutdown",
    "cloud.google.com/impending-node-termination",
    "aws-node-termination-handler/spot-itn",
)


def is_ready(node: Object) -> bool:
    """Whether the node's Ready condition is True."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def node_addresses(cluster: Cluster) -> list[str]:
    """The InternalIPs of the ready nodes, those to rely on first: Linux and to stay, then cordoned ones and those about to go,
    then Windows; in the API server's order among equals. Virtual nodes have none that answers.
    """
    return addresses_to_rely_on(cluster.objects(NODE))


def addresses_to_rely_on(nodes: Iterable[Object]) -> list[str]:
    """As `node_addresses`, of nodes that were read already."""
    usable = [node for node in nodes if is_ready(node) and not _is_virtual(node)]
    usable.sort(key=_rank)
    return [address for node in usable for address in _of_type(node, "InternalIP")]


def all_addresses(nodes: Iterable[Object], kind: str = "") -> set[str]:
    """Every IP address (of that type, such as InternalIP) that any of these nodes has, ready or not, as `canonical` writes it."""
    return {canonical(text) for node in nodes for text in _of_type(node, kind) if is_ip(text)}


def _of_type(node: Object, kind: str) -> list[str]:
    """The node's addresses of that type, empty: of all."""
    listed = (node.get("status") or {}).get("addresses") or []
    return [str(each.get("address") or "") for each in listed if not kind or each.get("type") == kind]


def _rank(node: Object) -> int:
    return 2 * (not _is_linux(node)) + _is_leaving(node)


def _is_linux(node: Object) -> bool:
    told = _labels(node).get("kubernetes.io/os")
    told = told or ((node.get("status") or {}).get("nodeInfo") or {}).get("operatingSystem")
    return told in (None, "", "linux")


def _is_leaving(node: Object) -> bool:
    spec = node.get("spec") or {}
    return bool(
        spec.get("unschedulable")
        or (node.get("metadata") or {}).get("deletionTimestamp")
        or _taints(node).intersection(_GOING)
    )


def _is_virtual(node: Object) -> bool:
    labels = _labels(node)
    return any(labels.get(key) == value for key, value in _VIRTUAL_LABELS) or bool(
        _taints(node).intersection(_VIRTUAL_TAINTS)
    )


def _taints(node: Object) -> set[str]:
    return {str(taint.get("key")) for taint in (node.get("spec") or {}).get("taints") or []}


def _labels(node: Object) -> dict[str, Any]:
    return (node.get("metadata") or {}).get("labels") or {}
