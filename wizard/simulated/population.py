"""What stands in a new cluster."""

from __future__ import annotations

from wizard.clusters.kinds import DAEMON_SET, NAMESPACE, NODE, POD, SERVICE_CIDR
from wizard.simulated.machine import Machine

KUBERNETES = "v1.34.4"
_DNS = {"k8s-app": "kube-dns"}  # labels


def populate(machine: Machine) -> None:
    """Put in what every cluster has: namespaces, a node, its range of Services, DNS, kube-proxy."""
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        machine.store.update({"apiVersion": "v1", "kind": NAMESPACE.kind, "metadata": {"name": name}}, "kube-apiserver")
    _node(machine)
    _network(machine)
    _dns(machine)
    for name, place, labels, ports in (
        ("kubernetes", "default", {}, [{"name": "https", "port": 443, "targetPort": 6443}]),
        ("kube-dns", "kube-system", _DNS, [{"name": "dns-tcp", "port": 53, "targetPort": 53}]),
    ):
        machine.store.update(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": place},
                "spec": {"ports": ports, **({"selector": labels} if labels else {})},
            },
            "kube-apiserver",
        )


def _node(machine: Machine) -> None:
    host = machine.node_name
    machine.store.update(
        {
            "apiVersion": "v1",
            "kind": NODE.kind,
            "metadata": {"name": host, "labels": {"kubernetes.io/hostname": host, "kubernetes.io/os": "linux"}},
            "spec": {"podCIDR": machine.pod_cidr},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": machine.node_address},
                    {"type": "Hostname", "address": host},
                ],
                "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
                "nodeInfo": {"kubeletVersion": KUBERNETES, "architecture": "amd64", "operatingSystem": "linux"},
            },
        },
        "kubelet",
    )


def _network(machine: Machine) -> None:
    labels = {"k8s-app": "kube-proxy"}
    machine.store.update(
        {
            "apiVersion": "apps/v1",
            "kind": DAEMON_SET.kind,
            "metadata": {"name": "kube-proxy", "namespace": "kube-system", "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
            "status": {"desiredNumberScheduled": 1, "numberReady": 1},
        },
        "kubeadm",
    )
    machine.store.update(
        {
            "apiVersion": SERVICE_CIDR.api_version,
            "kind": SERVICE_CIDR.kind,
            "metadata": {"name": "kubernetes"},
            "spec": {"cidrs": [machine.service_cidr]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        },
        "kube-apiserver",
    )


def _dns(machine: Machine) -> None:
    address = f"{machine.pod_cidr.rpartition('.')[0]}.2"
    machine.pod_addresses["kube-system", "coredns"] = address
    machine.store.update(
        {
            "apiVersion": "v1",
            "kind": POD.kind,
            "metadata": {"name": "coredns", "namespace": "kube-system", "labels": _DNS},
            "spec": {"containers": [{"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.12.4",
                                     "ports": [{"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"}]}]},
            "status": {
                "phase": "Running",
                "hostIP": machine.node_address,
                "podIP": address,
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "coredns", "ready": True, "state": {"running": {}}}],
            },
        },
        "kubelet",
    )  # fmt: skip
