"""Two machines: one works on a mesh, the other is kept out; whoever lost a cluster changes nothing there any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from state import StateFolder
from tests.unit.conftest import Setting, setting
from tests.unit.lease_fakes import ALICE, PLACE, AtOnce, dead, quick_and_quiet
from wizard.clusters import lease as leases
from wizard.clusters.kinds import EVENT, KINDS, LEASE
from wizard.clusters.lease import Holder, Times
from wizard.engine.events import Event, Status, StepChanged, StepSaid
from wizard.engine.outcome import Outcome
from wizard.errors import Failed, NotAllowed, Unreachable
from wizard.fence import Fence
from wizard.operations.apply import Apply
from wizard.operations.departure import Departure
from wizard.operations.operation import Operation
from wizard.operations.prepared import Prepared, prepare
from wizard.operations.uninstall import Uninstall
from wizard.operations.working import working
from wizard.simulated.machine import Machine

pytestmark = pytest.mark.promise(14)

WRITING = ("apply", "create", "replace", "delete")


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("wizard.operations.working.Delivery", AtOnce)
    yield from quick_and_quiet(monkeypatch)


def session(two: Setting, folder: Path) -> Prepared:
    return prepare(two.mesh, two.outside, StateFolder(folder))


def run(
    made: Prepared, listener: Callable[[Event], None] = lambda _: None, operation: type[Operation] = Apply
) -> Outcome:
    doing = operation(made)
    with working(doing, listener) as engine:
        return doing.run(engine)


def taking_over(made: Prepared) -> Prepared:
    """The same, by consent."""
    return replace(made, options=replace(made.options, take_over=True))


def standing(machine: Machine) -> dict[str, str]:
    """Every object of a cluster but its Leases, with its version."""
    return {
        f"{kind.resource}/{item['metadata'].get('namespace')}/{item['metadata']['name']}": item["metadata"][
            "resourceVersion"
        ]
        for kind in KINDS
        if kind not in (LEASE, EVENT)
        for item in machine.listed(kind)
    }


def writes(machine: Machine) -> int:
    return sum(machine.asked.get(call, 0) for call in WRITING)


@pytest.mark.promise(18)
def test_a_run_holds_all_clusters_while_it_works_and_leaves_no_lease(two: Setting, tmp_path: Path) -> None:
    seen: set[tuple[int, bool]] = set()

    def listen(event: Event) -> None:
        if isinstance(event, StepChanged) and event.step.endswith("/install") and event.status is Status.DONE:
            seen.update((number, two.machine(number).found(PLACE) is not None) for number in (1, 2))

    assert run(session(two, tmp_path), listen).ok
    assert seen == {(1, True), (2, True)}
    assert [two.machine(number).found(PLACE) for number in (1, 2)] == [None, None]
    before = [writes(two.machine(number)) for number in (1, 2)]
    assert run(session(two, tmp_path)).ok
    assert [writes(two.machine(number)) for number in (1, 2)] == before, "a finished mesh costs no writing request"
    assert run(session(two, tmp_path), operation=Uninstall).ok
    assert [two.machine(number).found(PLACE) for number in (1, 2)] == [None, None]


def test_a_run_that_fails_leaves_no_lease(two: Setting, tmp_path: Path) -> None:
    two.outside.istioctl.fail_at["Pilot"] = "no"
    assert not run(session(two, tmp_path)).ok
    assert [two.machine(number).found(PLACE) for number in (1, 2)] == [None, None]


def test_the_second_machine_is_refused_before_anything_is_touched(
    two: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(renew=0.05, look=0.01))
    second = session(two, tmp_path / "second")
    entered, leave = threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, StepChanged) and event.step == "cluster2/install" and event.status is Status.RUNNING:
            entered.set()
            assert leave.wait(60)

    outcomes: list[Outcome] = []
    first = session(two, tmp_path / "first")
    thread = threading.Thread(target=lambda: outcomes.append(run(first, listen)))
    thread.start()
    assert entered.wait(60)
    time.sleep(0.2)  # what the first began before it was held up comes to its end
    before = [standing(two.machine(number)) for number in (1, 2)]
    second = taking_over(second)
    refused = run(second)
    assert (refused.ok, refused.exit_code) == (False, 5)
    assert "holds Lease meshwizard-mesh1 in kube-system since" in refused.what
    assert [standing(two.machine(number)) for number in (1, 2)] == before
    leave.set()
    thread.join(60)
    assert outcomes[0].ok, outcomes[0].what
    assert run(second).ok


def test_a_dead_machine_is_taken_over_by_consent_only(two: Setting, tmp_path: Path) -> None:
    dead(two.world.clusters["cluster2"])
    heard: list[Event] = []
    fresh = session(two, tmp_path)
    before = [standing(two.machine(number)) for number in (1, 2)]
    refused = run(fresh, heard.append)
    assert (refused.ok, refused.exit_code) == (False, 3)
    assert "meshwizard resume mesh1 --take-over" in refused.remedy
    assert [standing(two.machine(number)) for number in (1, 2)] == before
    assert any(isinstance(event, StepSaid) and "bob@two/2" in event.text for event in heard)
    assert two.machine(1).found(PLACE) is None, "what was taken already is given up"
    fresh = taking_over(fresh)
    assert run(fresh).ok


@pytest.mark.promise(11, 34)
def test_the_same_machine_goes_on_at_once(two: Setting, tmp_path: Path) -> None:
    with StateFolder(tmp_path).open("mesh1") as journal:
        lock = journal.lock_id
    with StateFolder(tmp_path).open("mesh1") as journal:
        assert journal.lock_id == lock
    with StateFolder(tmp_path / "other").open("mesh1") as journal:
        assert journal.lock_id != lock
    for cluster in two.world.clusters.values():
        dead(cluster, Holder("me@here/0", lock), seconds=86400)
    assert run(session(two, tmp_path)).ok


@pytest.mark.promise(11)
def test_what_a_run_left_that_was_killed_after_its_last_step_goes(two: Setting, tmp_path: Path) -> None:
    assert run(session(two, tmp_path)).ok
    with StateFolder(tmp_path).open("mesh1") as journal:
        state = journal.state
        journal.start("apply", state.document, state.options, {})
        ours = Holder("me@here/0", journal.lock_id)
    dead(two.world.clusters["cluster1"], ours, seconds=86400)
    dead(two.world.clusters["cluster2"], seconds=86400)
    assert run(session(two, tmp_path)).ok
    assert two.machine(1).found(PLACE) is None
    assert two.machine(2).found(PLACE), "that of another machine is none of ours"


@pytest.mark.promise(11)
def test_what_a_run_could_not_remove_at_its_end_goes_with_the_next(two: Setting, tmp_path: Path) -> None:
    two.machine(1).fail_next("delete Lease", Failed("Internal error occurred", ""))
    assert run(session(two, tmp_path)).ok
    assert two.machine(1).found(PLACE), "the run is over all the same"
    assert run(session(two, tmp_path)).ok
    assert two.machine(1).found(PLACE) is None


@pytest.mark.promise(34)
def test_a_run_that_was_stopped_and_taken_over_changes_nothing_when_it_goes_on(
    two: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        # Held up here, nothing of the run moves on: as when it is stopped.
        if isinstance(event, StepChanged) and event.step == "cluster2/namespace" and event.status is Status.DONE:
            entered.set()
            assert leave.wait(60)

    monkeypatch.setattr(leases, "TIMES", Times(duration=1, margin=0.9, renew=3600, look=0.01))
    outcomes: list[Outcome] = []
    first = session(two, tmp_path / "first")
    thread = threading.Thread(target=lambda: outcomes.append(run(first, listen)))
    thread.start()
    assert entered.wait(60)
    monkeypatch.setattr(leases, "TIMES", Times(look=0.01))
    second = session(two, tmp_path / "second")
    second = taking_over(second)
    finished = run(second)
    assert finished.ok, finished.what
    after = [standing(two.machine(number)) for number in (1, 2)]
    leave.set()
    thread.join(60)
    assert [standing(two.machine(number)) for number in (1, 2)] == after
    assert (outcomes[0].ok, outcomes[0].exit_code) == (False, 1)
    assert "another run may have worked there" in outcomes[0].what
    assert "Go on with: meshwizard resume mesh1" in outcomes[0].remedy


@pytest.mark.promise(29)
def test_a_cluster_that_is_cut_off_is_left_alone_and_the_others_go_on(
    two: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With no time left, every change must be preceded by a renewal.
    monkeypatch.setattr(leases, "TIMES", Times(margin=30, renew=3600))
    fresh = session(two, tmp_path)
    before = standing(two.machine(1))
    two.machine(1).fail_next("replace Lease", Unreachable("cut off", ""), times=1000)
    outcome = run(fresh)
    assert (outcome.ok, outcome.exit_code) == (False, 1)
    assert "cut off" in outcome.what
    assert standing(two.machine(1)) == before
    assert outcome.statuses["cluster2/namespace"] is Status.DONE


def test_a_cluster_that_is_dead_at_the_beginning_is_held_as_soon_as_it_answers(two: Setting) -> None:
    machine = two.machine(1)
    fence = Fence(two.world.clusters, "mesh1", ALICE, resume="", take_over=False)
    world = fence.world(two.world)
    machine.unreachable = True
    fence.take()
    assert two.machine(2).found(PLACE) is not None
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "made"}}
    with pytest.raises(Unreachable):
        world.clusters["cluster1"].apply(manifest)
    machine.unreachable = False
    world.clusters["cluster1"].apply(manifest, dry_run=True)
    assert machine.found(PLACE) is None, "a dry run needs no lease"
    world.clusters["cluster1"].apply(manifest)
    assert machine.found(PLACE) is not None
    fence.__exit__()
    for change in (
        lambda: world.clusters["cluster1"].apply(manifest),
        lambda: world.clusters["cluster1"].create(manifest),
        lambda: world.clusters["cluster1"].replace(manifest),
        lambda: world.clusters["cluster1"].delete(PLACE),
        lambda: world.istioctl.remote_secret(two.mesh.clusters[0], server=""),
    ):
        with pytest.raises(Failed, match="given up"):
            change()


def test_a_cluster_that_leaves_is_held_and_given_back_and_a_forgotten_one_is_not_asked(tmp_path: Path) -> None:
    three = setting(3)
    assert run(session(three, tmp_path)).ok
    smaller = replace(three.mesh, clusters=three.mesh.clusters[:2])
    fresh = prepare(smaller, three.outside, StateFolder(tmp_path))
    before = writes(three.machine(3))
    with working(Departure(fresh, untouched=["cluster3"]), lambda _: None) as engine:
        assert engine.undo().ok
    assert writes(three.machine(3)) == before
    assert [three.machine(number).found(PLACE) for number in (1, 2, 3)] == [None, None, None]


def test_not_allowed_is_not_taken_for_dead(two: Setting, tmp_path: Path) -> None:
    two.machine(2).fail_next("create Lease", NotAllowed("no leases for you", ""))
    heard: list[Event] = []
    assert run(session(two, tmp_path), heard.append).ok
    said = [event for event in heard if isinstance(event, StepSaid) and "leases may not be used here" in event.text]
    assert [event.cluster for event in said] == ["cluster2"]
