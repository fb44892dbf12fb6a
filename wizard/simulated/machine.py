"""One simulated cluster as a machine: its objects, what happens in it by itself, and the knobs that break it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from wizard.clusters.kinds import DAEMON_SET, NAMESPACE, NODE, Kind, Object, Ref
from wizard.errors import Trouble
from wizard.simulated.pace import Pace, suffix
from wizard.simulated.store import Store

KUBERNETES = "v1.34.4"


class Machine:
    """A single-node cluster. Whoever reads or changes `store` holds `lock` and calls `settle` before reading.

    The knobs may be turned at any time, from any thread:
    `unreachable` (no answer at all), `slow` (seconds more for every call), `clock_skew` (seconds ahead), `missing_rights`
    (`verb resource`, such as `create namespaces`), `missing_images` (beginnings of images that cannot be pulled),
    `blocked_ports` (ports that its firewall drops when they come from another cluster).
    """

    def __init__(self, index: int, pace: Pace, seed: int, controllers: Callable[[Machine], float | None]) -> None:
        """`controllers`: one round of what happens by itself; gives the moment when the next thing is due, None where
        nothing is.
        """
        self.index = index
        self.pace = pace
        self.seed = seed
        self.lock = threading.RLock()
        self.context = f"kubernetes-admin{index}@kubernetes"
        self.node_address = f"192.0.2.{10 + index}" if index <= 200 else f"198.51.100.{index - 200}"
        self.server = f"https://{self.node_address}:6443"
        self.unreachable = False
        self.slow = 0.0
        self.clock_skew = 0.0
        self.missing_rights: set[str] = set()
        self.missing_images: set[str] = set()
        self.blocked_ports: set[int] = set()
        self.ready_at: dict[tuple[str, str], float] = {}  # (namespace, pod) → the moment when it becomes ready
        self.asked: dict[str, int] = {}  # calls by name: `apply`, `get`, ...
        self.made_pods = 0
        self.template_hashes: dict[tuple[str, int], str] = {}  # (uid of a Deployment, its generation) → of its template
        self.turn = 0  # whose turn it is to answer, see wizard.simulated.mesh
        self._failures: list[tuple[str, Trouble]] = []
        self._controllers = controllers
        self._settled = -1
        self._due: float | None = None
        self.store = Store(self.context, seed, self.clock, pace.now)
        self._furnish()

    def clock(self) -> datetime:
        """This cluster's time of day."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_skew)

    def due(self, seconds: float) -> float:
        """The moment when work of so many seconds is done here: no two machines are equally fast."""
        return self.pace.due(seconds * (1 + 0.13 * ((self.index - 1) % 4)))

    def fail_next(self, call: str, trouble: Trouble, *, times: int = 1) -> None:
        """The next `times` calls of that name (`apply`, or `apply Secret` for one kind) raise this instead of working."""
        with self.lock:
            self._failures += [(call, trouble)] * times

    def failure(self, *calls: str) -> Trouble | None:
        """The failure that waits for one of these calls, taken off the list."""
        with self.lock:
            for index, (call, trouble) in enumerate(self._failures):
                if call in calls:
                    del self._failures[index]
                    return trouble
        return None

    def settle(self) -> None:
        """Let everything happen that happens by itself until now."""
        with self.lock:
            if self._settled == self.store.revision and (self._due is None or self.pace.now() < self._due):
                return
            for _ in range(8):
                before = self.store.revision
                self._due = self._controllers(self)
                if self.store.revision == before:
                    break
            self._settled = self.store.revision

    def found(self, ref: Ref) -> Object | None:
        """The live object itself, settled; not to be changed."""
        with self.lock:
            self.settle()
            record = self.store.find(ref)
            return record.manifest if record else None

    def listed(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        """The live objects themselves, settled; not to be changed."""
        with self.lock:
            self.settle()
            return [record.manifest for record in self.store.all(kind, namespace, labels)]

    def apply_as(self, manager: str, manifest: Object) -> None:
        """Server-side apply as another manager, taking over what others own."""
        with self.lock:
            self.settle()
            self.store.apply(manifest, manager, force=True)

    def change(self, ref: Ref, how: Callable[[Object], Any], *, manager: str = "kubectl-edit") -> None:
        """Edit an object as a person does, in place of `how`. KeyError where it does not exist."""
        with self.lock:
            self.settle()
            record = self.store.find(ref)
            if record is None:
                raise KeyError(str(ref))
            edited = record.show()
            how(edited)
            self.store.update(edited, manager)

    def _furnish(self) -> None:
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.store.update(
                {"apiVersion": "v1", "kind": NAMESPACE.kind, "metadata": {"name": name}}, "kube-apiserver"
            )
        host = f"node-{suffix(5, self.seed, self.index)}"
        self.store.update(
            {
                "apiVersion": "v1",
                "kind": NODE.kind,
                "metadata": {"name": host, "labels": {"kubernetes.io/hostname": host, "kubernetes.io/os": "linux"}},
                "spec": {"podCIDR": "10.244.0.0/24"},
                "status": {
                    "addresses": [
                        {"type": "InternalIP", "address": self.node_address},
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
        labels = {"k8s-app": "kube-proxy"}
        self.store.update(
            {
                "apiVersion": "apps/v1",
                "kind": DAEMON_SET.kind,
                "metadata": {"name": "kube-proxy", "namespace": "kube-system", "labels": labels},
                "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}},
                "status": {"desiredNumberScheduled": 1, "numberReady": 1},
            },
            "kubeadm",
        )
        self.store.update(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "kubernetes", "namespace": "default"},
                "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
            },
            "kube-apiserver",
        )
