"""What the simulated machines are called, for those who need no more of them than that."""

from __future__ import annotations


def context_of(index: int) -> str:
    """The name of a machine's kubeconfig context, as kubeadm gives them."""
    return f"kubernetes-admin{index}@kubernetes"


def node_of(index: int) -> str:
    """The address of its node, out of the ranges for documentation."""
    return f"192.0.2.{10 + index}" if index <= 200 else f"198.51.100.{index - 200}"


def server_of(index: int) -> str:
    """The address of its API server."""
    return f"https://{node_of(index)}:6443"
