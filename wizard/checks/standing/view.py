"""A standing mesh as its checks read it: each thing is asked for once, however many checks want it, and only looked at."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

from wizard.checks.finding import Pair
from wizard.clusters.kinds import POD, Kind, Object, Ref
from wizard.clusters.port import Cluster, ServerVersion
from wizard.clusters.shapes import Misshapen, Shape, shaped
from wizard.clusters.typed import kubectl
from wizard.errors import Failed
from wizard.istio.proxies import PROXY
from wizard.mesh import model
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.messages import msg
from wizard.objects.pods import is_going, is_ready
from wizard.probes.traffic import Heard
from wizard.probes.unready import Cause, first_cause
from wizard.text import one_line

T = TypeVar("T")
PAGE_SECONDS = 10.0


class _Once:
    """What was asked for, by key: asked once, by whoever comes first; an answer that is an error stays one. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[Hashable, Future[Any]] = {}

    def get(self, key: Hashable, ask: Callable[[], T]) -> T:
        with self._lock:
            known = self._asked.get(key)
            mine = known is None
            future = known if known is not None else self._asked.setdefault(key, Future())
        if mine:
            try:
                future.set_result(ask())
            except BaseException as error:
                future.set_exception(error)
        return cast(T, future.result())


class Here:
    """One cluster of the mesh, as its checks look at it. Everything raises from `wizard.errors` where it cannot be read."""

    def __init__(self, view: View, member: model.Cluster, cluster: Cluster) -> None:
        self.view = view
        self.member = member
        self.name = member.name
        self._cluster = cluster
        self._once = _Once()

    @property
    def mesh(self) -> Mesh:
        """The mesh as it is wanted; of one that was inferred, as it seems to be meant."""
        return self.view.mesh

    @property
    def kubectl(self) -> str:
        """`kubectl` at this cluster, as a person types it."""
        return kubectl(self.member)

    @property
    def control(self) -> Here:
        """The cluster whose istiod serves this one: itself, or its primary."""
        return self.view.at(self.mesh.control_plane(self.name).name)

    @property
    def peers(self) -> tuple[Here, ...]:
        """Every other cluster."""
        return tuple(self.view.at(peer.name) for peer in self.mesh.peers(self.name))

    @property
    def server(self) -> str:
        """The API server's address in the kubeconfig."""
        return self._cluster.server

    def version(self) -> ServerVersion:
        """Version and clock of the API server."""
        return self._once.get("version", self._cluster.version)

    def identity(self) -> str:
        """The UID of namespace kube-system."""
        return self._once.get("identity", self._cluster.identity)

    def get(self, ref: Ref) -> Object | None:
        """The object, or None; not to be changed."""
        return self._once.get(ref, lambda: self._cluster.get(ref))

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        """All objects of the kind, in one namespace or all; not to be changed."""
        return self._once.get((kind, namespace, labels), lambda: self._cluster.objects(kind, namespace, labels))

    def logs(self, pod: Ref, container: str, *, lines: int = 200) -> str:
        """The last lines that a container printed, printable."""
        return self._once.get(("logs", pod, container, lines), lambda: self._cluster.logs(pod, container, lines=lines))

    def unready(self, workload: Ref) -> Cause | None:
        """Why this Deployment has not all of its Pods ready; None where nothing tells."""
        return self._once.get(("unready", workload), lambda: first_cause(self._cluster, [workload], self.member))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once, however many checks ask for it by this key: such as what was read, in another form. Not
        to be changed.
        """
        return self._once.get(("made", key), make)

    def istiods(self) -> list[Object]:
        """The Pods of this mesh's istiod here that are Ready; those of other revisions are left out."""
        revision = self.mesh.istio.revision or "default"
        return [
            pod
            for pod in self.objects(POD, SYSTEM_NAMESPACE, "app=istiod")
            if is_ready(pod)
            and not is_going(pod)
            and (pod["metadata"].get("labels") or {}).get("istio.io/rev", revision) == revision
        ]

    def istiod_pages(self, path: str, shape: Shape) -> list[tuple[str, Any]]:
        """(Pod, what its page says) of every istiod here that is Ready, such as `/debug/clusterz`. Held against the shape. Failed
        where one cannot be asked, or does not know the page.
        """
        argv = ("pilot-discovery", "request", "GET", path)
        return [
            (str(pod["metadata"]["name"]), self._page(_ref(pod), "discovery", argv, shape)) for pod in self.istiods()
        ]

    def envoy_page(self, pod: Object, path: str, shape: Shape) -> Any:
        """What the admin page of the proxy in this Pod says, such as `clusters?format=json`. Held against the shape. Failed where
        it cannot be asked.
        """
        return self._page(_ref(pod), PROXY, ("pilot-agent", "request", "GET", path), shape)

    def executed(self, pod: Object, container: str, argv: tuple[str, ...], *, seconds: float) -> tuple[str, str, int]:
        """(stdout, stderr, exit code) of a command that only looks, run once in a container of this Pod."""
        ref = _ref(pod)

        def ask() -> tuple[str, str, int]:
            done = self._cluster.execute(ref, container, argv, seconds=seconds)
            return done.stdout, done.stderr, done.code

        return self._once.get((ref, container, argv), ask)

    def _page(self, pod: Ref, container: str, argv: tuple[str, ...], shape: Shape) -> Any:
        def ask() -> Any:
            done = self._cluster.execute(pod, container, argv, seconds=PAGE_SECONDS)
            try:
                answer = json.loads(done.stdout)
                # Go writes a list that was never filled as null.
                return shaped([] if answer is None and isinstance(shape, list) else answer, shape)
            except (ValueError, RecursionError, Misshapen) as error:
                said = str(error) if isinstance(error, Misshapen) else done.stderr.strip() or done.stdout.strip()
                raise Failed(
                    msg(
                        "{cluster}: {pod} gives no answer to {path}: {said}",
                        cluster=self.name, pod=str(pod), path=argv[-1], said=one_line(said or msg("nothing")),
                    ),
                    "",
                ) from error  # fmt: skip

        return self._once.get((pod, container, argv), ask)


@dataclass(frozen=True)
class Traffic:
    """What a cluster's client heard, or why it could not ask. `heard`: None where no request could be sent."""

    heard: Heard | None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class View:
    """A mesh and its clusters, to be looked at. `inferred`: nobody recorded this mesh, and `mesh` is what it seems to be meant to
    be: then its values are no wishes to hold objects against. `traffic`: what each cluster's client heard, where it was asked.
    """

    mesh: Mesh
    clusters: Mapping[str, Cluster]
    inferred: bool = False
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    _here: dict[str, Here] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._here.update({each.name: Here(self, each, self.clusters[each.name]) for each in self.mesh.clusters})

    def at(self, name: str) -> Here:
        """The cluster of that name; KeyError if there is none."""
        return self._here[name]

    @property
    def all(self) -> tuple[Here, ...]:
        """The clusters, in the mesh's order."""
        return tuple(self._here.values())

    @cached_property
    def broken(self) -> frozenset[Pair]:
        """The traffic that did not pass, as far as it was tried."""
        versions = [(each.name, self.mesh.sample_version(each.name)) for each in self.mesh.clusters]
        return frozenset(
            (name, target)
            for name, told in self.traffic.items()
            if told.heard is not None
            for target, version in versions
            if not told.heard.answers[version]
        )

    def into(self, target: str, sources: Iterable[str] | None = None) -> tuple[Pair, ...]:
        """The traffic to a cluster, from all others or from these."""
        names = [each.name for each in self.mesh.clusters] if sources is None else sources
        return tuple((name, target) for name in names if name != target)

    def out_of(self, source: str) -> tuple[Pair, ...]:
        """The traffic from a cluster to all others."""
        return tuple((source, peer.name) for peer in self.mesh.peers(source))

    def served_by(self, control: str) -> tuple[str, ...]:
        """The clusters whose proxies this cluster's istiod serves, itself among them."""
        return tuple(each.name for each in self.mesh.clusters if self.mesh.control_plane(each.name).name == control)

    def beyond_into(self, target: str) -> tuple[Pair, ...]:
        """The traffic to a cluster from those on other networks: through its gateway."""
        return tuple((each.name, target) for each in self.mesh.beyond(target))


def _ref(pod: Object) -> Ref:
    return Ref(POD, str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"]))
