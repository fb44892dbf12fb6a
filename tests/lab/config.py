"""The configuration files and command lines of one cluster's processes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.lab import versions
from tests.lab.build import Programs
from tests.lab.settings import ClusterSpec

# Paths inside the machine; /run is a tmpfs there, so what must not survive the machine lies there.
CONTAINERD = "/run/containerd/containerd.sock"
IMAGE_STORE = "containerd"  # below the machine's /var/lib
ETCD_DATA = "/run/etcd"
BALANCER = "load-balancer"
_ETCD = "http://127.0.0.1:2379"

MANIFEST = Path(__file__).with_name("coredns.yaml")


@dataclass(frozen=True)
class Daemon:
    """A process to start: its name is also that of its log file and cgroup."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)


def write(spec: ClusterSpec) -> None:
    """Write every configuration file of the cluster."""
    spec.conf.mkdir(parents=True, exist_ok=True)
    (spec.conf / "certs.d/_default").mkdir(parents=True, exist_ok=True)
    (spec.conf / "cni").mkdir(exist_ok=True)
    # A missing image must fail at once, not after a search for a registry that is not there.
    (spec.conf / "certs.d/_default/hosts.toml").write_text('server = "http://127.0.0.1:1"\n')
    (spec.conf / "cni/10-lab.conflist").write_text(json.dumps(_cni(spec), indent=1))
    (spec.conf / "containerd.toml").write_text(_containerd(spec))
    documents = {"audit": _audit(), "kubelet": _kubelet(spec), "kube-proxy": _kube_proxy(spec)}
    for name, document in documents.items():
        (spec.conf / f"{name}.yaml").write_text(yaml.safe_dump(document))
    manifest = MANIFEST.read_text().replace("COREDNS_IMAGE", versions.COREDNS_IMAGE)
    (spec.conf / "coredns.yaml").write_text(manifest.replace("DNS_ADDRESS", spec.dns_address))


def _cni(spec: ClusterSpec) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni",
            "ranges": [[{"subnet": spec.pod_cidr}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {
        "cniVersion": "0.4.0",
        "name": "lab",
        "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}],
    }


def _containerd(spec: ClusterSpec) -> str:
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc dies when it is asked for a negative score.
    return f"""
version = 2
root = "/var/lib/{IMAGE_STORE}"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{versions.PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{spec.conf}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{spec.conf}/certs.d"
"""


def _audit() -> dict[str, Any]:
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata"}],
    }


def _kubelet(spec: ClusterSpec) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(spec.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [spec.dns_address],
        "clusterDomain": "cluster.local",
        "resolvConf": "/run/resolv.conf",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        # Only with cgroupsPerQOS do pods go below cgroupRoot; without it they land in a group that all labs share,
        # where nobody could tell whose a leftover is.
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "cgroupRoot": f"/{spec.pods_cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        # A full disk of the developer's machine is no reason to evict a mesh or to forget its images.
        "evictionHard": dict.fromkeys(("memory.available", "nodefs.available", "imagefs.available"), "0%"),
        "imageGCHighThresholdPercent": 100,
        "podLogsDir": "/var/log/pods",
        "volumePluginDir": "/run/flexvolume",
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
    }


def _kube_proxy(spec: ClusterSpec) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": spec.pod_cidr,
        "hostnameOverride": spec.node,
        "clientConnection": {"kubeconfig": str(spec.pki / "kube-proxy.kubeconfig")},
        "oomScoreAdj": 0,
        # The connection table belongs to the whole machine: its size is not ours to set.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
    }


def etcd() -> Daemon:
    """The database; in memory, because a lab outlives no reboot and a disk would only be waited for."""
    flags = {
        "name": "default",
        "data-dir": ETCD_DATA,
        "listen-client-urls": _ETCD,
        "advertise-client-urls": _ETCD,
        "listen-peer-urls": "http://127.0.0.1:2380",
    }
    return Daemon("etcd", _argv("etcd", flags))


def containerd(spec: ClusterSpec) -> Daemon:
    """The container runtime."""
    return Daemon("containerd", ("containerd", "--config", f"{spec.conf}/containerd.toml"))


def apiserver(spec: ClusterSpec, programs: Programs) -> Daemon:
    """The API server, with its audit log."""
    pki = spec.pki
    flags = {
        "advertise-address": spec.address,
        "allow-privileged": "true",
        "audit-log-path": spec.audit_log,
        "audit-log-maxsize": "4096",
        "audit-policy-file": spec.conf / "audit.yaml",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": pki / "ca.crt",
        "enable-admission-plugins": "NodeRestriction",
        "etcd-servers": _ETCD,
        "kubelet-client-certificate": pki / "apiserver-client.crt",
        "kubelet-client-key": pki / "apiserver-client.key",
        "kubelet-preferred-address-types": "InternalIP",
        "profiling": "false",
        "secure-port": "6443",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": pki / "service-accounts.key",
        "service-account-signing-key-file": pki / "service-accounts.key",
        "service-cluster-ip-range": spec.service_cidr,
        "tls-cert-file": pki / "apiserver.crt",
        "tls-private-key-file": pki / "apiserver.key",
    }
    return Daemon("kube-apiserver", _argv(programs.kubernetes / "kube-apiserver", flags))


def controller_manager(spec: ClusterSpec, programs: Programs) -> Daemon:
    """The controllers."""
    flags = {
        "allocate-node-cidrs": "true",
        "bind-address": "127.0.0.1",
        "cluster-cidr": spec.pod_cidr,
        "cluster-signing-cert-file": spec.pki / "ca.crt",
        "cluster-signing-key-file": spec.pki / "ca.key",
        "flex-volume-plugin-dir": "/run/flexvolume",
        "kubeconfig": spec.pki / "kube-controller-manager.kubeconfig",
        "leader-elect": "false",
        "root-ca-file": spec.pki / "ca.crt",
        "service-account-private-key-file": spec.pki / "service-accounts.key",
        "service-cluster-ip-range": spec.service_cidr,
        "use-service-account-credentials": "true",
    }
    return Daemon("kube-controller-manager", _argv(programs.kubernetes / "kube-controller-manager", flags))


def scheduler(spec: ClusterSpec, programs: Programs) -> Daemon:
    """The scheduler."""
    kubeconfig = spec.pki / "kube-scheduler.kubeconfig"
    flags = {"bind-address": "127.0.0.1", "kubeconfig": kubeconfig, "leader-elect": "false"}
    return Daemon("kube-scheduler", _argv(programs.kubernetes / "kube-scheduler", flags))


def kubelet(spec: ClusterSpec, programs: Programs) -> Daemon:
    """The node's agent."""
    flags = {
        "config": spec.conf / "kubelet.yaml",
        "kubeconfig": spec.pki / "kubelet.kubeconfig",
        "hostname-override": spec.node,
        "node-ip": spec.address,
        "root-dir": "/var/lib/kubelet",
        "cert-dir": "/var/lib/kubelet/pki",
    }
    return Daemon("kubelet", _argv(programs.kubernetes / "kubelet", flags))


def kube_proxy(spec: ClusterSpec, programs: Programs) -> Daemon:
    """What makes Service addresses and NodePorts work."""
    return Daemon("kube-proxy", _argv(programs.kubernetes / "kube-proxy", {"config": spec.conf / "kube-proxy.yaml"}))


def balancer(spec: ClusterSpec, *, delay: float, hostname: bool) -> Daemon:
    """What gives Services of type LoadBalancer an address; runs only where a test starts it."""
    argv = [sys.executable, "-m", "tests.lab.balancer", "--server", spec.server, "--pki", str(spec.pki)]
    argv += ["--node", spec.address, "--addresses", ",".join(spec.balanced_addresses), "--delay", str(delay)]
    argv += ["--hostname"] if hostname else []
    return Daemon(BALANCER, tuple(argv), {"PYTHONPATH": str(Path(__file__).parents[2])})


def _argv(program: str | Path, flags: dict[str, Any]) -> tuple[str, ...]:
    return (str(program), *(f"--{key}={value}" for key, value in flags.items()))
