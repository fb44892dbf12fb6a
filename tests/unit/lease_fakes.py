"""Leases as another machine, or a run that was killed, leaves them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wizard.clusters import lease as leases
from wizard.clusters.kinds import LEASE, Object, Ref
from wizard.clusters.lease import LOCK, Holder, Lease, Times
from wizard.clusters.port import Cluster
from wizard.engine.delivery import Delivery
from wizard.engine.events import Event

PLACE = Ref(LEASE, "meshwizard-mesh1", "kube-system")
ALICE, BOB = Holder("alice@one/1", "lock-of-alice"), Holder("bob@two/2", "lock-of-bob")


def quick_and_quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look often at the Leases of others; at the end, no thread that renews is left."""
    monkeypatch.setattr(leases, "TIMES", Times(look=0.01))
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + 20
    while (left := _renewing(before)) and time.monotonic() < end:
        time.sleep(0.01)
    assert not left


def _renewing(before: set[threading.Thread]) -> list[threading.Thread]:
    """The threads that renew a lease, but for these: a test of the screens may leave some in the process."""
    return [each for each in threading.enumerate() if each.name.startswith("lease of") and each not in before]


class AtOnce(Delivery):
    """Hands events over where they happen, in the engine's own thread: what a listener sees is how it was just then, and while
    it waits nothing of the run moves on, as when it is stopped.
    """

    def __init__(self, listener: Callable[[Event], None]) -> None:
        super().__init__(lambda event: None)
        self._at_once = listener

    def put(self, event: Event) -> None:
        self._at_once(event)


def held(cluster: Cluster) -> Object:
    found = cluster.get(PLACE)
    assert found is not None
    return found


def dead(cluster: Cluster, holder: Holder = BOB, seconds: int = 1, **spec: Any) -> Object:
    """What a run left that was killed."""
    moment = "2025-01-01T00:00:00.000000Z"
    return cluster.create(
        {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": PLACE.name, "namespace": PLACE.namespace, "annotations": {LOCK: holder.lock}},
            "spec": {
                "holderIdentity": holder.identity,
                "leaseDurationSeconds": seconds,
                "acquireTime": moment,
                "renewTime": moment,
                "leaseTransitions": 3,
                **spec,
            },
        }
    )


def make(cluster: Cluster, holder: Holder = ALICE, **options: Any) -> Lease:
    return Lease(cluster, PLACE.name, holder, resume="meshwizard resume mesh1", **options)
