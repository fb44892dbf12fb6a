"""The NodePorts of a cluster: those that Services have, and those that its API server gives, as its own Pod tells, else as it
says itself.

A dry run does not tell: in one, Kubernetes looks whether a NodePort is taken, and not whether it is in the range
(`PortAllocationOperation.Allocate`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard.clusters.kinds import POD, SERVICE, Object, Ref
from wizard.clusters.port import Cluster
from wizard.clusters.services import is_gateway, name_of
from wizard.errors import Failed, NotAllowed, Unreachable
from wizard.mesh.model import DEFAULT_NODE_PORT, NODE_PORTS

_FLAG = re.compile(r"--service-node-port-range[= ](\d{1,5})-(\d{1,5})")
# The API server's words where a Service asks for a NodePort outside the range.
_RANGE = re.compile(r"range of valid ports is (\d{1,5})-(\d{1,5})")
_NO_PORT = 65536  # in no range
_ASKING = Ref(SERVICE, "meshwizard-range", "default")


def told_node_ports(cluster: Cluster) -> range | None:
    """The range, where the API server runs as a Pod whose command tells it (kubeadm and most others), None elsewhere: also where
    that is the default. Only reads.
    """
    try:
        pods = cluster.objects(POD, "kube-system", "component=kube-apiserver")
    except NotAllowed:
        return None
    for pod in pods:
        for container in (pod.get("spec") or {}).get("containers") or []:
            words = " ".join(map(str, [*(container.get("command") or []), *(container.get("args") or [])]))
            found = _range_in(_FLAG, words)
            if found:
                return found
            if "kube-apiserver" in words:
                return NODE_PORTS
    return None


def asked_node_ports(cluster: Cluster) -> range | None:
    """The range, asked for by a Service that cannot be made, since its NodePort is none: the refusal tells. None where it does
    not. Changes nothing, but is a request for a change: only for a run that holds the cluster.
    """
    manifest: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": _ASKING.name, "namespace": _ASKING.namespace},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": _NO_PORT}]},
    }
    try:
        made = cluster.apply(manifest)
    except Unreachable:
        raise
    except Failed as refusal:
        return _range_in(_RANGE, refusal.what)
    # Admission gave it another port.
    cluster.delete(_ASKING, uid=str(made["metadata"]["uid"]))
    return None


def preferred(ports: range) -> list[int]:
    """These NodePorts in the order in which they are proposed: from 31443 on, or what is at its place in another range."""
    first = DEFAULT_NODE_PORT if DEFAULT_NODE_PORT in ports else ports.start + DEFAULT_NODE_PORT - NODE_PORTS.start
    start = first if first in ports else ports.start
    return [*range(start, ports.stop), *range(ports.start, start)]


def spelled(ports: range) -> str:
    """As Kubernetes writes a range: both ends belong to it."""
    return f"{ports.start}-{ports.stop - 1}"


def _range_in(pattern: re.Pattern[str], text: str) -> range | None:
    found = pattern.search(text)
    if not found:
        return None
    first, last = int(found[1]), int(found[2])
    return range(first, last + 1) if 1 <= first <= last <= 65535 else None


def used_node_ports(cluster: Cluster) -> dict[int, str]:
    """NodePort → the Service that has it, without our own gateway's."""
    return node_ports(cluster.objects(SERVICE))


def node_ports(services: Iterable[Object]) -> dict[int, str]:
    """The same of these Services."""
    return {
        int(port["nodePort"]): name_of(service)
        for service in services
        if not is_gateway(service)
        for port in (service.get("spec") or {}).get("ports") or []
        if port.get("nodePort")
    }
