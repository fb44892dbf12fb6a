"""A Lease in a cluster: of all machines, one run at a time works on a mesh there, and whoever lost the Lease stops.

The kernel's lock beside the state keeps out other runs of this machine; this one keeps out other machines. It is written with
optimistic concurrency only: created, or replaced as it was last seen. The rules are those of client-go's leader election:

- Clocks of two machines are never compared. Another's Lease has expired when *we* saw it unchanged for its whole duration.
- A holder trusts its Lease from the moment *before* it sent the renewal that went well, by a clock that also counts while the
  machine sleeps. After that it must renew before it changes anything.
- A Lease that was taken over, or is gone, is never taken back: what was known of the cluster may not be true any more.

It stands in namespace kube-system, which is there before the mesh's own and outlives an uninstall; there, whoever may administer
the cluster may write it, and nothing looks after it: kube-node-lease belongs to the nodes.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from wizard.clusters import leasetexts
from wizard.clusters.kinds import LEASE, Object, Ref
from wizard.clusters.patience import at_most
from wizard.clusters.port import MANAGER, Cluster, Outdated
from wizard.errors import Failed, Interrupted, NotAllowed, NotKnown, Trouble
from wizard.messages import msg
from wizard.text import duration

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
LOCK = "meshwizard/lock"  # annotation: the kernel lock that the holder has
# Linux' monotonic clock stands still while the machine sleeps, macOS' does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True)
class Times:
    """In seconds. `duration` is what others wait before they may take over; a holder stops `margin` before that. A renewal is
    due after `renew`, has `attempt` to be made, and is tried again after `retry`. `late`: how long one may try that could not
    begin in time, because the machine slept.
    """

    duration: int = 30
    renew: float = 10.0
    attempt: float = 6.0
    retry: float = 2.0
    margin: float = 5.0
    late: float = 5.0
    look: float = 1.0


TIMES = Times()


@dataclass(frozen=True)
class Holder:
    """Who holds: `identity` names person, machine and run; `lock` the kernel lock that the run has."""

    identity: str
    lock: str


def this_run(lock: str) -> Holder:
    """The holder that this run is, under a name no other run has."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        user = f"uid{os.getuid()}"
    return Holder(f"{user}@{socket.gethostname()}/{os.urandom(8).hex()}", lock)


class Lease:
    """One Lease, held from `take` to `release`. Thread-safe."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        holder: Holder,
        *,
        namespace: str = NAMESPACE,
        resume: str = "",
        on_lost: Callable[[Trouble], None] = lambda _: None,
        clock: Callable[[], float] = lambda: time.clock_gettime(_CLOCK),
    ) -> None:
        """`resume`: the command that goes on with the work. `on_lost` is called once, from any thread, when it is found that
        the Lease was lost.
        """
        self.cluster = cluster
        self.ref = Ref(LEASE, name, namespace)
        self._holder = holder
        self._resume = resume
        self._on_lost = on_lost
        self._clock = clock
        self._times = TIMES
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._live: Object | None = None  # as we wrote it last
        self._renewed = 0.0  # on our clock: when the last renewal that went well was sent
        self._deadline = 0.0  # on our clock: until then nobody can have taken it over
        self._trying: float | None = None  # on our clock: since when renewals are tried without success
        self._hurry = threading.Event()  # a renewal is due now
        self._lost: Trouble | None = None
        self._free = False  # leases are none of our business here

    def take(
        self,
        *,
        take_over: bool = False,
        told: Callable[[str], None] = lambda _: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Hold it; returns at once where we do. One of a dead run of this very lock is ours at once. One of another holder is
        watched for as long as it lasts, which `told` hears, until `stopped`.

        Busy where that one is renewed meanwhile. NeedsPerson where it is not, unless `take_over` consents to take it. Failed
        where the cluster cannot be asked. Where this user may not use leases, `told` hears it, and all goes on without.
        """
        if not self.begun:
            with self._lock:
                self._begin(take_over, told, stopped)
        self.check()  # not behind a renewal that hangs, as long as there is time for it

    def _begin(self, take_over: bool, told: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        if not self.begun:
            try:
                self._take(take_over, told, stopped)
            except NotKnown:
                raise  # nobody may anything with credentials that have expired
            except NotAllowed as refused:
                log.info("no lease: %s", refused.what)
                self._free = True
                told(msg("leases may not be used here: no run on another machine is kept out while this one works"))
                return
            self._thread = threading.Thread(target=self._keep, name=f"lease of {self.cluster.name}", daemon=True)
            self._thread.start()

    def check(self) -> None:
        """Returns where nobody else can have taken it over; call it right before a change. Raises what `_lost` says, or what
        kept a renewal that was due from being made.
        """
        if self._lost is not None:
            raise self._lost
        if self._free or self._clock() < self._deadline:
            return
        with self._lock:
            if self._clock() >= self._deadline:
                self._renew()

    def over(self) -> Trouble | None:
        """Why what works under it must end now; None while it may go on. Only looks, so it returns at once: renewing is the
        business of the Lease's own thread. After a sleep of the machine that has a moment to make up for it.
        """
        if self._lost is not None:
            return self._lost
        moment, trying = self._clock(), self._trying
        if self._free or moment < self._deadline:
            return None
        if trying is None:
            self._hurry.set()
            return None
        if moment - trying < self._times.late:
            return None
        return Failed(
            msg(
                "{cluster}: {lease} could not be renewed for {duration}, so that another machine may take over",
                cluster=self.cluster.name,
                lease=str(self.ref),
                duration=duration(moment - self._renewed),
            ),
            msg("See that the cluster's API server answers."),
        )

    def release(self) -> None:
        """Give it up, so that others need not wait. Never raises: where it cannot be given up it expires."""
        self._ended.set()
        self._hurry.set()
        with self._lock:
            held, self._live = self._live is not None, None
            if self._lost is None:
                what = msg("{cluster}: {lease} was given up", cluster=self.cluster.name, lease=str(self.ref))
                self._lost = Failed(what, "")
            if held:
                # As it stands there now: the answer to a renewal may have been lost.
                self._remove(lambda live: (live.get("spec") or {}).get("holderIdentity") == self._holder.identity)

    def sweep(self) -> None:
        """Remove one that a dead run of this very lock left, so that others need not wait. Never raises."""
        self._remove(self._is_ours)

    def _remove(self, ours: Callable[[Object], bool]) -> None:
        try:
            live = self.cluster.get(self.ref)
            if live is not None and ours(live):
                metadata = live["metadata"]
                self.cluster.delete(self.ref, uid=metadata["uid"], version=metadata["resourceVersion"])
        except Trouble as trouble:
            log.info("lease left to expire: %s", trouble.what)

    @property
    def begun(self) -> bool:
        """Whether it was taken, or lost, or found to be none of our business."""
        return self._live is not None or self._free or self._lost is not None

    # -- all below with the lock held

    def _take(self, take_over: bool, told: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        seen: Object | None = None
        since = 0.0
        live: Object | None = None
        while True:
            sent = self._clock()
            try:
                if live is None:
                    live = self._create(sent)
                    if live is None:
                        return
                if self._is_free(live):
                    self._hold(self.cluster.replace(self._manifest(live)), sent)
                    return
                if seen is None:
                    seen, since = live, self._clock()
                    told(leasetexts.watched(self.ref, live, _lasts(live)))
                elif live["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]:
                    raise leasetexts.busy(self.cluster.name, self.ref, live, _lasts(live))
                elif sent - since >= _lasts(live):
                    self._hold(self._taken_over(live, take_over), sent)
                    return
            except Outdated:
                pass  # somebody was quicker
            else:
                if stopped() or self._ended.wait(self._times.look):
                    raise Interrupted(msg("stopped by you"))
            live = self.cluster.get(self.ref)

    def _create(self, sent: float) -> Object | None:
        """Hold it where nobody does. The Lease of another, where this user may not create any: an API server says so without
        a look at what there is. NotAllowed where there is none.
        """
        try:
            self._hold(self.cluster.create(self._manifest({})), sent)
        except NotKnown:
            raise
        except NotAllowed:
            live = self.cluster.get(self.ref)
            if live is None:
                raise
            return live
        return None

    def _taken_over(self, live: Object, take_over: bool) -> Object:
        if not take_over:
            raise leasetexts.silent(self.cluster.name, self.ref, live, _lasts(live), self._resume)
        return self.cluster.replace(self._manifest(live))

    def _is_free(self, live: Object) -> bool:
        """Whether no run can be working under it: nobody holds it, or one that had the kernel lock that we have now."""
        return self._is_ours(live) or not (live.get("spec") or {}).get("holderIdentity")

    def _is_ours(self, live: Object) -> bool:
        return bool((live["metadata"].get("annotations") or {}).get(LOCK) == self._holder.lock)

    def _hold(self, live: Object, sent: float) -> None:
        self._live = live
        self._renewed = sent
        self._deadline = sent + self._times.duration - self._times.margin
        self._trying = None

    def _keep(self) -> None:
        wait = self._times.renew
        while True:
            self._hurry.wait(wait)
            self._hurry.clear()
            if self._ended.is_set():
                return
            wait = self._times.renew
            try:
                with self._lock:
                    if self._live is None or self._lost is not None:
                        return
                    self._renew()
            except Trouble as trouble:
                log.info("lease not renewed: %s", trouble.what)
                wait = self._times.retry
            except Exception:
                log.exception("lease of %s", self.cluster.name)

    def _renew(self) -> None:
        live = self._live
        if live is None or self._lost is not None:
            what = msg("{cluster}: {lease} is not held", cluster=self.cluster.name, lease=str(self.ref))
            raise self._lost or Failed(what, "")
        if self._trying is None:
            self._trying = self._clock()
        with at_most(self._times.attempt):
            for again in (True, False):
                sent = self._clock()
                try:
                    self._hold(self.cluster.replace({**live, "spec": {**live["spec"], "renewTime": _now()}}), sent)
                    return
                except Outdated:
                    found = self.cluster.get(self.ref)
                    if again and found and (found.get("spec") or {}).get("holderIdentity") == self._holder.identity:
                        live = found  # our own renewal, whose answer was lost
                        continue
                    raise self._lose(found) from None

    def _lose(self, found: Object | None) -> Trouble:
        trouble = leasetexts.lost(self.cluster.name, self.ref, found)
        self._lost = trouble
        log.warning("%s", trouble.what)
        self._on_lost(trouble)
        return trouble

    def _manifest(self, live: Object) -> Object:
        moment = _now()
        metadata = live.get("metadata") or {"name": self.ref.name, "namespace": self.ref.namespace}
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {
                **metadata,
                "labels": {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": MANAGER},
                "annotations": {**(metadata.get("annotations") or {}), LOCK: self._holder.lock},
            },
            "spec": {
                "holderIdentity": self._holder.identity,
                "leaseDurationSeconds": self._times.duration,
                "acquireTime": moment,
                "renewTime": moment,
                "leaseTransitions": int((live.get("spec") or {}).get("leaseTransitions") or 0) + bool(live),
            },
        }


def _lasts(live: Object) -> int:
    return max(1, int((live.get("spec") or {}).get("leaseDurationSeconds") or TIMES.duration))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
