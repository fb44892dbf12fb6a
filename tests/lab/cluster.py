"""One cluster: a machine, the Kubernetes processes on it, and what tests do to them."""

from __future__ import annotations

import shutil
import time
import urllib.error
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.lab import api, audit, certs, config, firewall, images
from tests.lab.build import Programs
from tests.lab.machine import Machine
from tests.lab.proc import LabError, run, say, wait_for
from tests.lab.settings import ClusterSpec, Settings
from tests.lab.shape import Shape

_CONTROLLERS = ("kube-controller-manager", "kube-scheduler")
_ETCDCTL = ("env", "ETCDCTL_API=3", "etcdctl")
_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")


class Cluster:
    """A real single-node cluster. `spec` says where it is; it may be off."""

    def __init__(self, settings: Settings, spec: ClusterSpec, programs: Programs, store: Path) -> None:
        self.spec = spec
        self.machine = Machine(settings, spec)
        self._host_address = settings.host_address
        self.api = api.Api(spec.server, spec.pki) if (spec.pki / "lab.crt").exists() else None
        self._programs = programs
        self._store = store
        self._settled = 0  # where the audit log ended when the cluster was ready

    @property
    def name(self) -> str:
        """The cluster's name, which is also its context in the lab's kubeconfigs."""
        return self.spec.name

    @property
    def address(self) -> str:
        """The node's address: NodePorts and external IPs of this cluster answer here."""
        return self.spec.address

    @property
    def _baseline(self) -> Path:
        return self.spec.dir / "baseline.etcd"

    def _daemons(self) -> list[config.Daemon]:
        spec, programs = self.spec, self._programs
        return [
            config.etcd(),
            config.containerd(spec),
            config.apiserver(spec, programs),
            config.controller_manager(spec, programs),
            config.scheduler(spec, programs),
            config.kubelet(spec, programs),
            config.kube_proxy(spec, programs),
        ]

    def _spawn(self, *names: str, more: Sequence[str] = ()) -> None:
        for daemon in self._daemons():
            if daemon.name in names:
                self.machine.spawn(daemon.name, [*daemon.argv, *more], daemon.env)

    def alive(self) -> bool:
        """Whether all processes run and the API server calls itself ready."""
        running = all(self.machine.alive(daemon.name) for daemon in self._daemons())
        return running and self._api().ready()

    def _api(self) -> api.Api:
        if self.api is None:
            self.api = api.Api(self.spec.server, self.spec.pki)
        return self.api

    # -- life ---------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make keys and configuration; nothing runs yet."""
        self.spec.dir.mkdir(parents=True, exist_ok=True)
        certs.create(self.spec)
        config.write(self.spec)

    def start(self) -> None:
        """Bring the cluster to its baseline and wait until pods can run on it.

        The baseline is taken before the node joins: what the control plane and the lab put into an empty cluster.
        The node then registers anew after every start, so no state of an older node can be in it.
        """
        began = time.monotonic()
        spec = self.spec
        self.machine.boot()
        with ThreadPoolExecutor(1) as beside:
            runtime = beside.submit(self._start_runtime)
            self._start_control_plane()
            runtime.result()
        self._spawn("kube-proxy")
        wait_for(f"{self.name}: containerd (see {spec.logs})", self._runtime_answers, timeout=30, every=0.05)
        self._spawn("kubelet")
        wait_for(f"{self.name}: node and DNS (see {spec.logs})", self._workable, timeout=90)
        self._settled = self.audit_mark()
        self.machine.touched = False
        say(f"{self.name}: ready after {time.monotonic() - began:.1f} s")

    def _start_control_plane(self) -> None:
        known = self._baseline.exists()
        if known:
            self.machine.run([*_ETCDCTL, "snapshot", "restore", self._baseline, "--data-dir", config.ETCD_DATA])
        self._spawn("etcd")
        self.start_apiserver()
        self._spawn(*_CONTROLLERS)
        if not known:
            self.kubectl("create", "-f", str(self.spec.conf / "coredns.yaml"))
            self._take_baseline()

    def _start_runtime(self) -> None:
        """Give the node its disk and start containerd, while the control plane starts; then forget older disks."""
        target = self.spec.disk / "lib" / config.IMAGE_STORE
        images.link_store(self._store, target, lambda argv: self.machine.run(argv, timeout=300))
        self._spawn("containerd")
        for old in self.spec.dir.glob("old-disk-*"):
            shutil.rmtree(old, ignore_errors=True)

    def _runtime_answers(self) -> bool:
        return bool(self.ctr("version", check=False))

    def _take_baseline(self) -> None:
        wait_for(f"{self.name}: controllers (see {self.spec.logs})", self._populated, timeout=60)
        temporary = self._baseline.with_suffix(".new")
        self.machine.run([*_ETCDCTL, "snapshot", "save", temporary])
        temporary.rename(self._baseline)

    def _populated(self) -> bool:
        """Whether the controllers have filled the empty cluster: only then is it a baseline."""
        try:
            for namespace in _NAMESPACES:
                base = f"/api/v1/namespaces/{namespace}"
                self._api().get(f"{base}/serviceaccounts/default")
                self._api().get(f"{base}/configmaps/kube-root-ca.crt")
            pods = self._api().get("/api/v1/namespaces/kube-system/pods")["items"]
        except urllib.error.HTTPError:
            return False
        return len(pods) == 1

    def _workable(self) -> bool:
        try:
            node = self._api().get(f"/api/v1/nodes/{self.spec.node}")
            pods = self._api().get("/api/v1/namespaces/kube-system/pods")["items"]
        except (OSError, urllib.error.HTTPError):
            return False
        return not node["spec"].get("taints") and bool(pods) and all(_is_ready(x) for x in [node, *pods])

    def off(self) -> None:
        """Kill everything of the cluster; files stay."""
        self.machine.off()

    def reset(self) -> None:
        """Bring the cluster back to its baseline: see the README for why this is a restart and no clean-up."""
        self.machine.off()
        if self.spec.disk.exists():
            self.spec.disk.rename(self.spec.dir / f"old-disk-{time.time_ns()}")
        self.spec.audit_log.unlink(missing_ok=True)
        self.start()

    def is_untouched(self) -> bool:
        """Whether it is as it came up: nothing was done on its node since, and nobody meant to change an object."""
        entries = self.audit_since(self._settled)
        return not self.machine.touched and not any(any(audit.mutations(entries, user)) for user in certs.USERS)

    # -- faults -------------------------------------------------------------------------------------------------

    def stop_apiserver(self) -> None:
        """Kill the API server, as a crash would; everything else goes on."""
        self.machine.stop("kube-apiserver")

    def start_apiserver(self, *more: str, timeout: float = 60) -> None:
        """Start the API server with the same arguments as ever, and these, and wait until it is ready.

        Controllers and scheduler that went without it are started anew. Where there are several of each, that is what becomes of
        those that lose their lease; here they would stay, and ask again for each kind only after up to a minute.
        """
        stranded = []
        if not self.machine.alive("kube-apiserver"):
            stranded = [name for name in _CONTROLLERS if self.machine.alive(name)]
            self._spawn("kube-apiserver", more=more)
        log = self.spec.logs / "kube-apiserver.log"

        def ready() -> bool:
            if not self.machine.alive("kube-apiserver"):
                raise LabError(f"{self.name}: the API server died, see {log}")
            return self._api().ready()

        wait_for(f"{self.name}: API server (see {log})", ready, timeout=timeout, every=0.05)
        for name in stranded:
            self.machine.stop(name)
        self._spawn(*stranded)

    # -- what stands around a cluster -----------------------------------------------------------------------------

    def start_load_balancer(self, *, delay: float = 0, hostname: bool = False) -> None:
        """Give Services of type LoadBalancer an address of the lab's wire, `delay` seconds after they are there.

        `hostname`: a name instead, which this cluster and the others resolve, but not this machine. Called again it changes
        both for Services to come. Without it EXTERNAL-IP stays `<pending>`, and so it is after every `up` and reset.
        """
        self.machine.stop(config.BALANCER)
        daemon = config.balancer(self.spec, delay=delay, hostname=hostname)
        self.machine.spawn(daemon.name, daemon.argv, daemon.env)

    def firewall_close(self, port: int, source: Cluster | None = None, *, reject: bool = False) -> None:
        """Keep other clusters, or only `source`, from a TCP port of this node, until `firewall_open` or a reset.

        Whoever answers at that port: a process of the node, a NodePort, an external IP, a load balancer's or a Service's address.
        Open connections stop, too. Nothing is heard, or a TCP reset where `reject`. This machine is never kept out.
        """
        others = f"! -s {self._host_address}"
        who = f"-s {source.address},{source.spec.pod_cidr}" if source else others
        firewall.close(self.machine, port, who, reject=reject)

    def firewall_open(self) -> None:
        """Undo every `firewall_close` of this cluster."""
        firewall.open_all(self.machine)

    # -- looking ------------------------------------------------------------------------------------------------

    def kubectl(self, *args: str, stdin: str | None = None, timeout: float = 120, check: bool = True) -> str:
        """kubectl as the lab's own user, who does not count as the test's."""
        kubeconfig = self.spec.pki / "lab.kubeconfig"
        # kubectl caches discovery per home folder: a reset cluster must not be seen through an old one.
        cached = {"KUBECACHEDIR": str(self.spec.dir / "kubectl-cache")}
        argv = [str(self._programs.kubectl), "--kubeconfig", str(kubeconfig), *args]
        return run(argv, stdin=stdin, timeout=timeout, check=check, env=cached)

    def ctr(self, *args: str, check: bool = True) -> str:
        """containerd's own client on this node, for its Kubernetes images and containers."""
        ctr = ["ctr", "--address", config.CONTAINERD, "--namespace", "k8s.io"]
        return self.machine.run([*ctr, *args], check=check)

    def snapshot_objects(self) -> dict[str, str]:
        """Every object of the cluster, see `api.snapshot_objects`."""
        return api.snapshot_objects(self.spec)

    def audit_mark(self) -> int:
        """A marker for `audit_since`: from here on. A reset makes older markers meaningless."""
        return audit.mark(self.spec.audit_log)

    def audit_since(self, marker: int = 0) -> list[dict[str, Any]]:
        """What the API server was asked since the marker, oldest first."""
        return audit.since(self.spec.audit_log, marker)

    def mutations(self, marker: int = 0, user: str = certs.ADMIN) -> list[dict[str, Any]]:
        """The requests of `user` since the marker that were meant to change something."""
        return list(audit.mutations(self.audit_since(marker), user))

    def work(self, marker: int = 0) -> list[dict[str, Any]]:
        """The `mutations` without the Lease that a run holds while it has something to do."""
        return [entry for entry in self.mutations(marker) if entry["objectRef"]["resource"] != "leases"]


def _is_ready(thing: dict[str, Any]) -> bool:
    conditions: Iterable[dict[str, Any]] = thing.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def clusters(settings: Settings, shape: Shape, programs: Programs, store: Path) -> Iterator[Cluster]:
    """The clusters of a lab of that shape."""
    for index in range(1, shape.clusters + 1):
        yield Cluster(settings, settings.cluster(index, shape), programs, store)
