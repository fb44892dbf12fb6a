"""Keeps a run from changing what another machine's run works on: its leases, and the world as it may be changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from wizard.clusters import changing
from wizard.clusters.kinds import Kind, Object, Ref
from wizard.clusters.lease import Holder, Lease
from wizard.clusters.port import Cluster, Executed, Right, ServerVersion
from wizard.errors import Failed, Interrupted, NeedsPerson, Trouble
from wizard.fanout import of_each
from wizard.istio.port import Istioctl
from wizard.mesh import model
from wizard.messages import msg
from wizard.text import listing, quoted
from wizard.world import World


class Run(Protocol):
    """What hears of its leases: an engine's controls."""

    @property
    def draining(self) -> bool: ...

    def say(self, cluster: str, text: str) -> None: ...

    def give_up(self, trouble: Trouble) -> None: ...


class Fence:
    """The leases of one run, one in each cluster. Nothing is asked of a cluster before `take`. A context manager, which gives up
    all of them at its end.

    A cluster that does not answer is not held; before something is changed there it is tried again.
    """

    def __init__(
        self,
        clusters: Mapping[str, Cluster],
        mesh: str,
        holder: Holder,
        *,
        resume: str,
        take_over: bool,
        unverified: Collection[str] = (),
    ) -> None:
        """`resume`: the command that goes on with the mesh. `take_over`: a person consents to take over from a dead run;
        `unverified`: to send keys to these clusters, though it is not verified who answers there.
        """
        self._clusters = clusters
        self._resume = resume
        self._unverified = unverified
        self._run: Run | None = None
        self._take_over = take_over
        self._leases = {
            name: Lease(cluster, lease_name(mesh), holder, resume=resume, on_lost=self.lost)
            for name, cluster in clusters.items()
        }
        self._more: list[Lease] = []
        self._lock = threading.Lock()
        self._taken = False
        self._refused: Trouble | None = None
        self._early: Trouble | None = None  # a loss before there was a run to hear of it

    def watch(self, run: Run) -> None:
        """This run hears of the leases, and gives up where one is lost, or was already."""
        self._run = run
        if self._early is not None:
            run.give_up(self._early)

    def hold(self, lease: Lease, told: Callable[[str], None]) -> None:
        """Take one more lease, at once, to be given up with the others. Raises as `Lease.take` does."""
        self._more.append(lease)
        lease.take(take_over=self._take_over, told=told)

    def take(self) -> None:
        """Take all leases, once: before the first change anywhere. Busy, NeedsPerson, Interrupted as `Lease.take` says;
        NeedsPerson, too, for clusters that are not verified, without consent.
        """
        with self._lock:
            if self._refused is not None:
                raise self._refused
            if not self._taken:
                try:
                    self._take_all()
                except Trouble as trouble:
                    self._refused = trouble
                    raise
                self._taken = True

    def check(self, cluster: str) -> None:
        """Returns where this run may change something in that cluster now. Call it right before."""
        self._refuse_unverified([cluster])
        lease = self._leases[cluster]
        lease.take(
            take_over=self._take_over,
            told=lambda text: self._say(cluster, text),
            stopped=lambda: self._run is not None and self._run.draining,
        )

    def over(self, cluster: str) -> Trouble | None:
        """Why what works in that cluster must end now; None while it may go on. Asks nothing of the cluster."""
        return self._leases[cluster].over()

    def __enter__(self) -> Fence:
        return self

    def __exit__(self, *_: object) -> None:
        """Gives up all leases that were taken. Never raises."""
        of_each([lease for lease in self._leases.values() if lease.begun], Lease.release, name="lease")
        for lease in self._more:
            lease.release()

    def give_up(self) -> None:
        """Give up the leases in the clusters, where all work is done now, and those that a run before this one left: it was
        killed, or could not remove them. Never raises.
        """
        of_each(self._leases.values(), lambda lease: lease.release() if lease.begun else lease.sweep(), name="lease")

    def world(self, world: World) -> World:
        """The same world, in which nothing can be changed but under a lease."""
        clusters = {name: FencedCluster(cluster, self) for name, cluster in world.clusters.items()}
        return replace(world, clusters=clusters, istioctl=FencedIstioctl(world.istioctl, self))

    def _refuse_unverified(self, names: Collection[str]) -> None:
        found = [name for name in names if name not in self._unverified and not _is_verified(self._clusters[name])]
        if found:
            consent = " ".join(f"--unverified {quoted(name)}" for name in (*self._unverified, *found))
            raise NeedsPerson(
                msg(
                    "{clusters}: the API server's certificate is not verified, so whoever stands in between would get the "
                    "keys that are sent there; nothing was changed",
                    clusters=listing(found),
                ),
                msg(
                    "Put its certificate authority into the kubeconfig (certificate-authority-data in place of "
                    "insecure-skip-tls-verify), or consent: {command}",
                    command=f"{self._resume} {consent}",
                ),
            )

    def _take_all(self) -> None:
        self._refuse_unverified(self._leases)
        # Of two runs that begin together one must win: so the first cluster, the same for both, comes before all others.
        names = sorted(self._leases)
        while names and not self._held(names.pop(0)):
            pass
        of_each(names, self._held, name="lease")

    def _held(self, cluster: str) -> bool:
        try:
            self.check(cluster)
        except Failed as failure:
            self._say(cluster, msg("not held for this run yet: {problem}", problem=failure.what))
            return False
        return True

    def _say(self, cluster: str, text: str) -> None:
        if self._run is not None:
            self._run.say(cluster, text)

    def lost(self, trouble: Trouble) -> None:
        """A lease was lost."""
        self._early = trouble
        if self._run is not None:
            self._run.give_up(trouble)


def lease_name(mesh: str) -> str:
    """The name of a mesh's Lease in each of its clusters."""
    return f"meshwizard-{mesh}"


def _is_verified(cluster: Cluster) -> bool:
    try:
        return cluster.verified
    except Trouble:
        return True  # nothing can be sent there; its own steps tell why


class FencedCluster:
    """A cluster in which this run changes something only while it holds the lease. Implements `wizard.clusters.port.Cluster`."""

    def __init__(self, cluster: Cluster, fence: Fence) -> None:
        self.name = cluster.name
        self._cluster = cluster
        self._fence = fence

    @property
    def server(self) -> str:
        return self._cluster.server

    @property
    def verified(self) -> bool:
        return self._cluster.verified

    def version(self) -> ServerVersion:
        return self._cluster.version()

    def identity(self) -> str:
        return self._cluster.identity()

    def get(self, ref: Ref) -> Object | None:
        return self._cluster.get(ref)

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        return self._cluster.objects(kind, namespace, labels)

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        if dry_run:
            return self._cluster.apply(manifest, force=force, dry_run=True)
        with self._held():
            return self._cluster.apply(manifest, force=force)

    def create(self, manifest: Object) -> Object:
        with self._held():
            return self._cluster.create(manifest)

    def replace(self, manifest: Object) -> Object:
        with self._held():
            return self._cluster.replace(manifest)

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        with self._held():
            return self._cluster.delete(ref, uid=uid, version=version)

    def denied(self, rights: Sequence[Right]) -> list[Right]:
        return self._cluster.denied(rights)

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        return self._cluster.execute(pod, container, argv, seconds=seconds, stdin=stdin)

    def logs(self, pod: Ref, container: str, *, lines: int = 20, previous: bool = False) -> str:
        return self._cluster.logs(pod, container, lines=lines, previous=previous)

    def close(self) -> None:
        self._cluster.close()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """A change made inside is sent, and sent again, only while the lease is held."""
        with changing.under(lambda: self._fence.check(self.name)):
            changing.check()
            yield


class FencedIstioctl:
    """An istioctl that works only while the lease is held, and is ended when it is not."""

    def __init__(self, istioctl: Istioctl, fence: Fence) -> None:
        self.path = istioctl.path
        self._istioctl = istioctl
        self._fence = fence

    def version(self) -> str:
        return self._istioctl.version()

    def install(
        self,
        cluster: model.Cluster,
        operator: str,
        overlays: Sequence[Path],
        *,
        say: Callable[[str], None],
        cancelled: Callable[[], bool],
        seconds: float,
    ) -> None:
        self._fence.check(cluster.name)
        lost: list[Trouble] = []

        def ended() -> bool:
            if cancelled():
                return True
            trouble = self._fence.over(cluster.name)
            if trouble is not None:
                lost.append(trouble)
            return trouble is not None

        try:
            self._istioctl.install(cluster, operator, overlays, say=say, cancelled=ended, seconds=seconds)
        except Interrupted:
            if lost:
                raise lost[0] from None
            raise

    def manifest(self, operator: str, overlays: Sequence[Path]) -> list[Object]:
        return self._istioctl.manifest(operator, overlays)

    def remote_secret(self, cluster: model.Cluster, *, server: str) -> Object:
        self._fence.check(cluster.name)
        return self._istioctl.remote_secret(cluster, server=server)
