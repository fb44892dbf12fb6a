"""As much of a cluster as a probe asks: Jobs whose Pods run at once, and a curl in them that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from wizard.clusters.kinds import JOB, NODE, POD, Kind, Object, Ref, ref_of
from wizard.clusters.port import Executed
from wizard.engine.events import Event
from wizard.engine.step import Job, Shared, Step
from wizard.errors import Failed
from wizard.mesh.model import Cluster, Gateway, Istio, Mesh
from wizard.world import World

# What curl 7.88 was seen to say: exit code, seconds to connect, message, and on stderr.
OPEN = (0, "0.0015", "", "* Connected to {host} ({host}) port {port} (#0)")
SPEAKS = (35, "0.000000", "OpenSSL SSL_connect: SSL_ERROR_SYSCALL", "* Connected to {host} ({host}) port {port} (#5)")
HANGS = (28, "0.000000", "SSL connection timeout", "* Connected to {host} ({host}) port {port} (#5)")
TIMEOUT = (28, "0.000000", "Failed to connect to {host} port {port} after 4000 ms: Timeout was reached", "")
REFUSED = (
    7, "0.000000", "Failed to connect to {host} port {port} after 0 ms: Couldn't connect to server",
    "--  --      0     0     8     8 * connect to {host} port {port} failed: Connection refused",
)  # fmt: skip
NO_ROUTE = (
    7, "0.000000", "Failed to connect to {host} port {port} after 3075 ms: Couldn't connect to server",
    "* connect to {host} port {port} from 10.244.0.5 port 33262 failed: No route to host",
)  # fmt: skip
UNRESOLVED = (6, "0.000000", "Could not resolve host: {host}", "")

Said = tuple[int, str, str, str]


@dataclass
class FakeCluster:
    """`says`: what curl says of `host:port`, OPEN where nothing is given; a list is used up, its last one stays."""

    name: str
    says: dict[str, Said | list[Said]] = field(default_factory=dict)
    items: dict[Ref, Object] = field(default_factory=dict)
    tried: list[str] = field(default_factory=list)
    jobs: list[Object] = field(default_factory=list)
    waiting: Object | None = None  # the state of containers that do not start
    nodes: Sequence[str] = ("node1",)
    refused: Failed | None = None
    exec_trouble: list[Failed] = field(default_factory=list)
    undeletable: Failed | None = None
    during: Callable[[], None] = lambda: None

    def get(self, ref: Ref) -> Object | None:
        return self.items.get(ref)

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        name, _, value = labels.partition("=")
        return [
            item
            for ref, item in self.items.items()
            if ref.kind == kind
            and (not namespace or ref.namespace == namespace)
            and (not labels or (item["metadata"].get("labels") or {}).get(name) == value)
        ]

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        if self.refused:
            raise self.refused
        self.items[ref_of(manifest)] = manifest
        if manifest["kind"] == "Job":
            self.jobs.append(manifest)
            for index in range(manifest["spec"]["parallelism"]):
                self._pod(manifest, index)
        return manifest

    def _pod(self, job: Object, index: int) -> None:
        name = f"{job['metadata']['name']}-{index}"
        labels = job["spec"]["template"]["metadata"]["labels"]
        state = {"waiting": self.waiting} if self.waiting else {"running": {}}
        container = {"name": "curl", "image": "curl:1", "state": state}
        self.items[Ref(POD, name, "istio-system")] = {
            "metadata": {
                "name": name,
                "namespace": "istio-system",
                "labels": labels,
                "ownerReferences": [{"kind": "Job", "name": job["metadata"]["name"]}],
            },
            "spec": {"nodeName": self.nodes[index % len(self.nodes)]},
            "status": {"phase": "Pending" if self.waiting else "Running", "containerStatuses": [container]},
        }

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        if self.undeletable:
            raise self.undeletable
        return self.items.pop(ref, None) is not None

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        self.during()
        if self.exec_trouble:
            raise self.exec_trouble.pop(0)
        out, err = [], []
        for url in [argv[index + 2] for index, word in enumerate(argv) if word == "-o"]:
            self.tried.append(url)
            place = url.removeprefix("https://")
            host, _, port = place.rpartition(":")
            said = self.says.get(place, OPEN)
            if isinstance(said, list):
                said = said.pop(0) if len(said) > 1 else said[0]
            code, connected, message, told = said
            out.append(f"{url} {code} {connected} {message.format(host=host, port=port)}")
            err.append(told.format(host=host.strip("[]"), port=port))
        return Executed("\n".join(out), "\n".join(err), 28)

    def probes(self) -> list[Ref]:
        return [ref for ref in self.items if ref.kind == JOB or (ref.kind == POD and ref.namespace == "istio-system")]

    def node(self, name: str, address: str = "", **spec: Any) -> None:
        self.items[Ref(NODE, name)] = {
            "metadata": {"name": name},
            "spec": spec,
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": address}],
            },
        }


class Clock:
    """Time that passes only in sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Hands:
    """A job for one step over fake clusters."""

    def __init__(self, clock: Clock, step: Step, *, attended: bool = False) -> None:
        self.events: list[Event] = []
        self.reason: str | None = None
        self.job = Job(step, self.events.append, lambda: self.reason, Shared(), clock.sleep, attended=attended)


def mesh_of(*clusters: Cluster, **istio: Any) -> Mesh:
    return Mesh("mesh1", clusters, istio=Istio(version="1.29.1", **istio))


def member(number: int, gateway: Gateway | None = None, **fields: Any) -> Cluster:
    address = f"10.0.0.{number}"
    return Cluster(
        name=f"cluster{number}",
        context=f"context{number}",
        gateway=gateway or Gateway("node-port", address, 31443),
        **{"network": f"network{number}", "api_server": f"https://{address}:6443", **fields},
    )


def world_of(mesh: Mesh) -> tuple[World, dict[str, FakeCluster]]:
    clusters = {cluster.name: FakeCluster(cluster.name) for cluster in mesh.clusters}
    for index, fake in enumerate(clusters.values(), 1):
        fake.node(f"node-of-{fake.name}", f"10.0.0.{index}")
    made: Any = clusters
    missing: Any = None
    return World(clusters=made, istioctl=missing, roots=missing), clusters
