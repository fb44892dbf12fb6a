"""One Lease: held, renewed, taken over and lost; and what changes a cluster under it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_fakes import Asked, Said, api, kubeconfig
from tests.unit.conftest import Setting
from tests.unit.lease_fakes import ALICE, BOB, PLACE, dead, held, make, quick_and_quiet
from tests.unit.test_engine import until
from wizard.clusters import lease as leases
from wizard.clusters.kinds import Object
from wizard.clusters.lease import Holder, Lease, Times
from wizard.clusters.port import Cluster
from wizard.clusters.real import RealCluster
from wizard.errors import Busy, Failed, Interrupted, NeedsPerson, Trouble, Unreachable
from wizard.fence import Fence, FencedCluster, FencedIstioctl

pytestmark = pytest.mark.promise(14)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cluster(two: Setting) -> Cluster:
    return two.world.clusters["cluster1"]


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from quick_and_quiet(monkeypatch)


def test_held_renewed_and_given_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(renew=0.01))
    mine = make(cluster)
    mine.take()
    first = held(cluster)
    assert first["spec"]["holderIdentity"] == "alice@one/1"
    assert first["spec"]["leaseDurationSeconds"] == 30
    end = time.monotonic() + 20
    while held(cluster)["spec"]["renewTime"] == first["spec"]["renewTime"] and time.monotonic() < end:
        time.sleep(0.01)
    assert held(cluster)["spec"]["renewTime"] > first["spec"]["renewTime"]
    mine.check()
    mine.release()
    assert cluster.get(PLACE) is None
    with pytest.raises(Failed, match="given up"):
        mine.check()


def test_a_living_holder_keeps_others_out_even_with_consent(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(renew=0.05, look=0.01))
    theirs = make(cluster, Holder("bob\x1b[31m@two/2", "lock-of-bob"))
    theirs.take()
    said: list[str] = []
    with pytest.raises(Busy) as refused:
        make(cluster).take(take_over=True, told=said.append)
    assert refused.value.exit_code == 5
    assert "cluster1: bob\N{REPLACEMENT CHARACTER}[31m@two/2 holds Lease meshwizard-mesh1" in refused.value.what
    assert all(word in refused.value.what for word in (" since 20", " until 20", "nothing was changed"))
    assert len(said) == 1
    assert "watched for up to 30 s" in said[0]
    theirs.check()
    theirs.release()


def test_a_dead_holder_is_watched_for_as_long_as_its_lease_lasts_and_taken_over_by_consent(cluster: Cluster) -> None:
    dead(cluster, seconds=1)
    began = time.monotonic()
    with pytest.raises(NeedsPerson) as refused:
        make(cluster).take()
    assert time.monotonic() - began >= 1, "its own clock, which says 2025, is nothing to go by"
    assert (refused.value.exit_code, "bob@two/2" in refused.value.what) == (3, True)
    assert "meshwizard resume mesh1 --take-over" in refused.value.remedy
    assert held(cluster)["spec"]["holderIdentity"] == "bob@two/2"
    began = time.monotonic()
    mine = make(cluster)
    mine.take(take_over=True)
    assert time.monotonic() - began >= 1, "consent does not make it expire sooner"
    spec = held(cluster)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"], spec["leaseDurationSeconds"]) == ("alice@one/1", 4, 30)
    mine.release()


def test_a_dead_run_under_the_same_kernel_lock_is_no_reason_to_wait(cluster: Cluster) -> None:
    dead(cluster, Holder("alice@one/0", ALICE.lock), seconds=86400)
    said: list[str] = []
    mine = make(cluster)
    mine.take(told=said.append)
    assert (held(cluster)["spec"]["holderIdentity"], said) == ("alice@one/1", [])
    mine.release()


def test_a_watch_ends_when_the_run_is_stopped_or_the_other_one_ends(cluster: Cluster) -> None:
    theirs = dead(cluster, seconds=86400)
    with pytest.raises(Interrupted):
        make(cluster).take(stopped=lambda: True)
    mine = make(cluster)

    def end(_: str) -> None:
        cluster.delete(PLACE, uid=theirs["metadata"]["uid"])

    mine.take(told=end)
    assert held(cluster)["spec"]["holderIdentity"] == "alice@one/1"
    mine.release()


def test_who_was_stopped_for_long_renews_before_it_goes_on(cluster: Cluster) -> None:
    clock = Clock()
    mine = make(cluster, clock=clock)
    mine.take()
    before = held(cluster)
    clock.now += 24
    mine.check()
    assert held(cluster) == before, "in time: nothing is asked"
    clock.now += 3600
    mine.check()
    assert held(cluster)["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]
    mine.release()


@pytest.mark.promise(34)
def test_who_was_stopped_while_another_took_over_stops_for_good(cluster: Cluster) -> None:
    clock = Clock()
    heard: list[Trouble] = []
    mine = make(cluster, clock=clock, on_lost=heard.append)
    mine.take()
    live = held(cluster)
    cluster.replace({**live, "spec": {**live["spec"], "holderIdentity": BOB.identity}})
    clock.now += 3600
    for _ in range(2):
        with pytest.raises(Busy, match="another run took over: bob@two/2"):
            mine.check()
    assert len(heard) == 1
    mine.release()
    assert held(cluster)["spec"]["holderIdentity"] == BOB.identity, "what is another's is not given up"


def test_only_what_is_still_ours_is_given_up(cluster: Cluster) -> None:
    mine = make(cluster)
    mine.take()
    live = held(cluster)
    cluster.replace({**live, "spec": {**live["spec"], "holderIdentity": BOB.identity}})
    mine.release()
    assert held(cluster)["spec"]["holderIdentity"] == BOB.identity


def test_a_lease_that_came_and_went_meanwhile_is_not_taken_again(cluster: Cluster) -> None:
    clock = Clock()
    mine = make(cluster, clock=clock)
    mine.take()
    cluster.delete(PLACE)  # as another run does, which took over and has ended since
    clock.now += 3600
    with pytest.raises(Failed, match="was removed"):
        mine.check()
    assert cluster.get(PLACE) is None
    mine.release()


def test_it_is_given_up_also_where_the_time_to_trust_it_is_over(cluster: Cluster) -> None:
    clock = Clock()
    mine = make(cluster, clock=clock)
    mine.take()
    live = held(cluster)
    cluster.replace(
        {**live, "spec": {**live["spec"], "renewTime": "2030-01-01T00:00:00.000000Z"}}
    )  # its answer was lost
    clock.now += 3600
    mine.release()
    assert cluster.get(PLACE) is None


def test_cut_off_it_changes_nothing_until_it_has_renewed(two: Setting, cluster: Cluster) -> None:
    clock = Clock()
    mine = make(cluster, clock=clock)
    mine.take()
    clock.now += 3600
    two.machine(1).unreachable = True
    with pytest.raises(Unreachable):
        mine.check()
    two.machine(1).unreachable = False
    mine.check()
    mine.release()


def test_a_renewal_whose_answer_was_lost_is_no_loss(cluster: Cluster) -> None:
    clock = Clock()
    mine = make(cluster, clock=clock)
    mine.take()
    live = held(cluster)
    cluster.replace({**live, "spec": {**live["spec"], "renewTime": "2030-01-01T00:00:00.000000Z"}})
    clock.now += 3600
    mine.check()
    mine.release()
    assert cluster.get(PLACE) is None


def test_of_many_that_begin_at_once_one_holds(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(renew=0.05, look=0.01))
    mine = [make(cluster, Holder(f"run{number}", f"lock{number}")) for number in range(8)]
    results: list[object] = []

    def attempt(lease: Lease) -> None:
        try:
            lease.take()
            results.append(lease)
        except Busy as busy:
            results.append(busy)

    threads = [threading.Thread(target=attempt, args=(lease,)) for lease in mine]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, Lease) for result in results) == 1
    for lease in mine:
        lease.release()


def test_without_the_right_to_leases_it_is_said_once_and_work_goes_on(two: Setting, cluster: Cluster) -> None:
    two.machine(1).missing_rights.add("create leases.coordination.k8s.io")
    said: list[str] = []
    mine = make(cluster)
    for _ in range(2):
        mine.take(told=said.append)
    mine.check()
    mine.release()
    assert len(said) == 1
    assert "no run on another machine is kept out" in said[0]


def test_an_istioctl_is_ended_when_its_cluster_is_lost(
    two: Setting, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(margin=30, renew=60))

    class Endless:
        path = "istioctl"

        def install(self, *_: Any, cancelled: Callable[[], bool], **__: Any) -> None:
            live = held(cluster)
            cluster.replace({**live, "spec": {**live["spec"], "holderIdentity": BOB.identity}})
            while not cancelled():
                time.sleep(0.01)
            raise Interrupted("istioctl install was stopped")

    endless: Any = Endless()
    fence = Fence({"cluster1": cluster}, "mesh1", ALICE, resume="", take_over=False)
    istioctl = FencedIstioctl(endless, fence)
    member = two.mesh.clusters[0]
    with pytest.raises(Busy, match="bob@two/2"):
        istioctl.install(member, "", (), say=lambda _: None, cancelled=lambda: False, seconds=60)
    fence.__exit__()


class Silent:
    """A cluster whose API server hangs at each renewal, once told to."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.hangs = threading.Event()
        self.asked = threading.Event()
        self.answers = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def replace(self, manifest: Object) -> Object:
        if self.hangs.is_set():
            self.asked.set()
            self.answers.wait(20)
            raise Unreachable("cluster1 does not answer")
        return self._cluster.replace(manifest)


def test_what_cannot_be_renewed_is_over_in_time_though_the_renewal_hangs(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(renew=0.01))
    silent: Any = Silent(cluster)
    clock = Clock()
    mine = make(silent, clock=clock)
    mine.take()
    silent.hangs.set()
    assert silent.asked.wait(20)
    clock.now += 24.9
    assert mine.over() is None
    clock.now += 0.2
    told = mine.over()
    assert told is not None
    assert "could not be renewed for 25 s" in told.what
    silent.answers.set()
    silent.hangs.clear()
    end = time.monotonic() + 20
    while mine.over() is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert mine.over() is None
    mine.release()


def test_after_a_sleep_of_the_machine_there_is_a_moment_to_renew(cluster: Cluster) -> None:
    silent: Any = Silent(cluster)
    silent.answers.set()
    clock = Clock()
    mine = make(silent, clock=clock)
    mine.take()
    first = held(cluster)
    clock.now += 3600
    assert mine.over() is None
    end = time.monotonic() + 20
    while held(cluster) == first and time.monotonic() < end:
        time.sleep(0.01)
    assert mine.over() is None
    clock.now += 3600
    silent.hangs.set()
    assert mine.over() is None, "it has not been tried yet"
    assert silent.asked.wait(20)
    clock.now += 5
    assert mine.over() is not None
    silent.hangs.clear()
    mine.release()


@pytest.mark.parametrize("living", [True, False])
def test_who_may_not_create_leases_is_kept_out_by_one_all_the_same(
    two: Setting, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, living: bool
) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(renew=0.05, look=0.01))
    if living:
        theirs = make(cluster, BOB)
        theirs.take()
    else:
        dead(cluster)
    two.machine(1).missing_rights.add("create leases.coordination.k8s.io")
    with pytest.raises(Busy if living else NeedsPerson, match="bob@two/2"):
        make(cluster).take()
    if living:
        theirs.release()


@pytest.mark.parametrize("lost", [False, True])
def test_a_change_that_is_sent_again_is_sent_only_under_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(renew=0.05, retry=0.05))
    asked: list[str] = []
    taken_over = threading.Event()

    def react(request: Asked) -> Said:
        """Puts off the first change of a ConfigMap; until then, perhaps, somebody has taken over."""
        body = json.loads(request.body or b"{}")
        asked.append(f"{request.method} {'leases' if 'leases' in request.path else 'configmaps'}")
        if asked[-1] == "PATCH configmaps" and asked.count(asked[-1]) == 1:
            if lost:
                taken_over.set()
                until(lambda: fence.over("cluster1") is not None)
            return Said(503)
        metadata = {**body.get("metadata", {}), "uid": "1", "resourceVersion": str(len(asked))}
        if taken_over.is_set():
            metadata |= {"name": PLACE.name, "namespace": PLACE.namespace}
            theirs = {"metadata": metadata, "spec": {"holderIdentity": BOB.identity}}
            return Said(409) if request.method == "PUT" else Said(body=theirs)
        return Said(404) if request.method == "GET" else Said(body={**body, "metadata": metadata})

    with api(tmp_path) as server:
        server.react = react
        real = RealCluster("cluster1", kubeconfig(tmp_path / "config", server.url, server.authority, {}), "ours")
        with Fence({"cluster1": real}, "mesh1", ALICE, resume="", take_over=False) as fence:
            manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}}
            if lost:
                with pytest.raises(Busy, match="bob@two/2"):
                    FencedCluster(real, fence).apply(manifest)
            else:
                FencedCluster(real, fence).apply(manifest)
        real.close()
    assert asked.count("PATCH configmaps") == (1 if lost else 2)
