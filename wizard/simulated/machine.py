"""One simulated cluster as a machine: its objects, what happens in it by itself, and the knobs that break it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from wizard.clusters.kinds import Kind, Object, Ref
from wizard.errors import Trouble
from wizard.simulated.names import context_of, node_of, server_of
from wizard.simulated.pace import Pace, suffix
from wizard.simulated.store import Store


@dataclass
class Universe:
    """The machines that can hear of each other. `person`: after how many seconds somebody lays a route that was missed, None:
    nobody does.
    """

    person: float | None = None
    machines: list[Machine] = field(default_factory=list)
    nodes: dict[str, Machine] = field(default_factory=dict)  # a node's address → its machine
    fronts: dict[str, Front] = field(default_factory=dict)  # an address → the proxy there, before an API server


@dataclass(frozen=True)
class Front:
    """A proxy that answers TLS itself: whose certificate it shows (PEM), and the HTTP status that it answers, 0: it passes on.
    `resets`: it breaks every connection off.
    """

    authority: str = ""
    status: int = 0
    resets: bool = False


@dataclass
class Registration:
    """A cluster that istiod reads by a remote secret. `version`: which secret it is, and which istiod took it up; `content`: what
    it said then. `leads`: whether istiod looks after that cluster as its control plane, which it asks the cluster once, None:
    it could not ask yet. `read`: the cluster, once it has read it. `closed`: it reads it no more.
    """

    name: str
    secret: str
    version: str
    content: str
    born: float
    server: str
    token: str
    authority: str
    leads: bool | None = None
    read: Machine | None = None
    closed: bool = False


class Knobs:
    """What breaks a machine, to be turned at any time, from any thread:
    `unreachable` (no answer at all), `verified` (whether its API server's certificate is), `slow` (seconds more for every
    call), `clock_skew` (seconds ahead), `missing_rights` (`verb resource`, such as `create namespaces`), `missing_images`
    (beginnings of images that cannot be pulled),
    `blocked_ports` (ports that its firewall drops when they come from another cluster), `load_balancer` (whether Services
    of that type get an address), `no_external_ips` (whether admission refuses them), `node_ports` (the range that the API server
    gives), `routes` (`ip route add` on its node: a range of addresses → the address that leads there), `quotas` (namespace →
    what a ResourceQuota in it limits, such as `limits.cpu,limits.memory`), `openshift` (whether SecurityContextConstraints
    are served, and held to), `crashing` (name of a container → what it prints each time before it dies), `stuck` (namespace →
    type and message of the condition that keeps it from going once it is deleted), `signs_for` (the root that istiod signs for,
    as one does that was started before its Secrets changed; None: that of the Secrets).
    """

    def __init__(self) -> None:
        self.unreachable = False
        self.verified = True
        self.slow = 0.0
        self.clock_skew = 0.0
        self.missing_rights: set[str] = set()
        self.missing_images: set[str] = set()
        self.blocked_ports: set[int] = set()
        self.load_balancer = False
        self.routes: dict[str, str] = {}
        self.openshift = False
        self.quotas: dict[str, str] = {}
        self.crashing: dict[str, str] = {}
        self.stuck: dict[str, tuple[str, str]] = {}
        self.signs_for: bytes | None = None


class Machine(Knobs):
    """A single-node cluster. Whoever changes `store`, or reads more than one thing of it, is in the block of `settled`.

    What is stored is replaced, never changed in place: so one thing may be looked at from another machine without a lock,
    and nobody who holds one takes a second.
    """

    def __init__(
        self, index: int, pace: Pace, seed: int, controllers: Callable[[Machine], float | None], universe: Universe, *,
        pod_network: Hashable = None, pod_cidr: str = "10.244.0.0/24", service_cidr: str = "10.96.0.0/16",
    ) -> None:  # fmt: skip
        """`controllers`: one round of what happens by itself; gives the moment when the next thing is due, None where
        nothing is. `pod_network`: pods reach each other directly among the machines that name the same.
        """
        super().__init__()
        self.index = index
        self.pace = pace
        self.seed = seed
        self.universe = universe
        self.lock = threading.RLock()
        self.pod_network = pod_network
        self.pod_cidr = pod_cidr
        self.service_cidr = service_cidr
        self.context = context_of(index)
        self.node_address = node_of(index)
        self.node_name = f"node-{suffix(5, seed, index)}"
        self.server = server_of(index)
        universe.machines.append(self)
        universe.nodes[self.node_address] = self
        # uid of a Deployment or Job → why no Pod of it could be made lately, and the event that tells
        self.refusals: dict[str, tuple[str, Ref]] = {}
        self.lives: dict[
            tuple[str, str], tuple[int, float]
        ] = {}  # (namespace, pod) → how often restarted, and when next
        self.missed_routes: dict[str, float] = {}  # range → the moment when a connection into it first led nowhere
        self.ready_at: dict[tuple[str, str], float] = {}  # (namespace, pod) → the moment when it becomes ready
        self.asked: dict[str, int] = {}  # calls by name: `apply`, `get`, ...
        self.made_pods = 0
        self.ended_at: dict[str, float] = {}  # uid of a Job → the moment when it ended
        self.given_addresses = 0  # how many the load balancer gave
        self.pod_addresses: dict[tuple[str, str], str] = {}  # (namespace, pod) → its own
        # (namespace, pod) → the machine whose istiod serves its proxy: a proxy keeps what it was told at its start.
        self.served: dict[tuple[str, str], Machine] = {}
        self.registered: dict[tuple[str, str], Registration] = {}  # (secret, its key) → what istiod here made of it
        self.registered_at: Hashable = None
        self.leading: frozenset[str] = frozenset()  # API servers of the clusters that it looks after, or may
        self.external = False  # whether an istiod runs here that looks after remote clusters
        self.template_hashes: dict[tuple[str, int], str] = {}  # (uid of a Deployment, its generation) → of its template
        self.turn = 0  # whose turn it is to answer, see wizard.simulated.mesh
        self.finished: dict[
            str, tuple[int, ...]
        ] = {}  # controller → changes of what it looks at, when all was as it wants
        self._failures: list[tuple[str, Trouble]] = []
        self._controllers = controllers
        self._settled: Hashable = None
        self._due: float | None = None
        self.store = Store(self.context, seed, self.clock, pace.now, service_cidr)

    def clock(self) -> datetime:
        """This cluster's time of day."""
        return datetime.now(UTC) + timedelta(seconds=self.clock_skew)

    @property
    def no_external_ips(self) -> bool:
        """Whether admission refuses externalIPs on Services."""
        return self.store.no_external_ips

    @no_external_ips.setter
    def no_external_ips(self, refused: bool) -> None:
        self.store.no_external_ips = refused

    @property
    def node_ports(self) -> range:
        """The NodePorts that the API server gives."""
        return self.store.admission.node_ports

    @node_ports.setter
    def node_ports(self, ports: range) -> None:
        self.store.admission.node_ports = ports

    def due(self, seconds: float) -> float:
        """The moment when work of so many seconds is done here: no two machines are equally fast."""
        return self.pace.due(seconds * (1 + 0.13 * ((self.index - 1) % 4)))

    def fail_next(self, call: str, trouble: Trouble, *, times: int = 1) -> None:
        """The next `times` calls of that name (`apply`, or `apply Secret` for one kind) raise this instead of working."""
        with self.lock:
            self._failures += [(call, trouble)] * times

    def failure(self, *calls: str) -> Trouble | None:
        """The failure that waits for one of these calls, taken off the list."""
        if not self._failures:
            return None
        with self.lock:
            for index, (call, trouble) in enumerate(self._failures):
                if call in calls:
                    del self._failures[index]
                    return trouble
        return None

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Holds the lock, with everything done that happens by itself until now. Not to be entered with the lock of another
        machine held.
        """
        for other in self._led_by():
            if not other.is_settled():  # many clusters may ask for this one's lock
                with other.lock:
                    other.settle()
        with self.lock:
            self.settle()
            yield

    def settle(self) -> None:
        """Let everything happen that happens by itself until now. The lock is held."""
        if self.is_settled():
            return
        for _ in range(8):
            before = self.store.revision
            self._due = self._controllers(self)
            if self.store.revision == before:
                break
        self._settled = self._stamp()

    def is_settled(self) -> bool:
        """Whether nothing happened since `settle`, and nothing is due."""
        due = self._due  # read once: whoever holds the lock may settle meanwhile
        return self._settled == self._stamp() and (due is None or self.pace.now() < due)

    def _led_by(self) -> list[Machine]:
        """The other machines whose istiod may look after this cluster."""
        if self.external:
            return []
        return [
            other
            for other in self.universe.machines
            if other.external and other is not self and self.server in other.leading
        ]

    def _stamp(self) -> Hashable:
        """Changes with everything that something here may follow from."""
        own = self.store.revision, self.load_balancer, self.openshift, self.signs_for
        if self.external:
            return *own, self.store.secrets
        return *own, tuple((other.store.revision, other.store.secrets, other.signs_for) for other in self._led_by())

    def found(self, ref: Ref) -> Object | None:
        """The live object itself, settled; not to be changed."""
        with self.settled():
            record = self.store.find(ref)
            return record.manifest if record else None

    def listed(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        """The live objects themselves, settled; not to be changed."""
        with self.settled():
            return [record.manifest for record in self.store.all(kind, namespace, labels)]

    def apply_as(self, manager: str, manifest: Object) -> None:
        """Server-side apply as another manager, taking over what others own."""
        with self.settled():
            self.store.apply(manifest, manager, force=True)

    def change(self, ref: Ref, how: Callable[[Object], Any], *, manager: str = "kubectl-edit") -> None:
        """Edit an object as a person does, in place of `how`. KeyError where it does not exist."""
        with self.settled():
            record = self.store.find(ref)
            if record is None:
                raise KeyError(str(ref))
            edited = record.show()
            how(edited)
            self.store.update(edited, manager)
