"""While answers are overdue, why they do not come is looked at beside the waiting."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tests.unit.standing import Setting, finished_mesh
from wizard.checks.explained import Explained
from wizard.checks.finding import Finding
from wizard.checks.standing import overdue
from wizard.checks.standing.diagnosis import Diagnosis, sorted_out
from wizard.checks.standing.overdue import CERTAIN_SECONDS, EVERY_SECONDS, Overdue
from wizard.checks.standing.view import Traffic, View
from wizard.engine.events import Event
from wizard.probes.traffic import Heard
from wizard.verification import failure, verify

ONE_TO_TWO = ("cluster1", "cluster2")


def gone(breaks: tuple[str, str] = ONE_TO_TWO) -> Finding:
    return Finding(
        "error", "Secret x is gone from cluster1", "Make it.", check="api-server", cluster="cluster1", layer="discovery",
        object="Secret x", commands=("kubectl get x",), breaks=(breaks,),
    )  # fmt: skip


@pytest.fixture
def made() -> Setting:
    return finished_mesh()


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[Finding]]:
    """What each look finds, in turn; the last again and again."""
    planned: list[list[Finding]] = [[gone()]]

    def diagnose(view: View) -> Diagnosis:
        return sorted_out(view, planned.pop(0) if len(planned) > 1 else planned[0])

    monkeypatch.setattr(overdue, "diagnose", diagnose)
    return planned


def waiting(made: Setting, clock: list[float]) -> Overdue:
    one = Overdue(made.mesh, made.world.clusters, now=lambda: clock[0])
    one.told("cluster1", Traffic(Heard(Counter({"v1": 8}))))
    return one


def again(one: Overdue, clock: list[float], seconds: float = EVERY_SECONDS) -> None:
    clock[0] += seconds
    one.look()
    one.wait()


def test_a_cause_is_told_at_once_and_certain_once_it_has_stood(
    made: Setting, clock: list[float], looks: list[list[Finding]]
) -> None:
    one = waiting(made, clock)
    assert one.cause([ONE_TO_TWO]) == (None, False)
    again(one, clock)
    assert one.cause([ONE_TO_TWO]) == (gone(), False)
    assert one.cause([("cluster2", "cluster1")]) == (None, False)
    again(one, clock, CERTAIN_SECONDS)
    assert one.cause([ONE_TO_TWO]) == (gone(), True)


def test_what_healed_in_between_begins_anew(made: Setting, clock: list[float], looks: list[list[Finding]]) -> None:
    looks[:] = [[gone()], [], [gone()]]
    one = waiting(made, clock)
    again(one, clock)
    again(one, clock)
    assert one.cause([ONE_TO_TWO]) == (None, False)
    again(one, clock, CERTAIN_SECONDS)
    assert one.cause([ONE_TO_TWO]) == (gone(), False)


def test_one_look_at_a_time_and_none_right_after_another(
    made: Setting, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = [], threading.Event()

    def diagnose(view: View) -> Diagnosis:
        begun.append(view)
        go_on.wait(30)
        return sorted_out(view, [])

    monkeypatch.setattr(overdue, "diagnose", diagnose)
    one = waiting(made, clock)
    one.look()
    one.look()
    go_on.set()
    one.wait()
    one.look()
    assert len(begun) == 1
    again(one, clock)
    assert len(begun) == 2


def test_a_mistake_of_ours_finds_nothing_and_the_next_look_is_made(
    made: Setting, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(view: View) -> Diagnosis:
        monkeypatch.setattr(overdue, "diagnose", lambda view: sorted_out(view, [gone()]))
        raise ZeroDivisionError

    monkeypatch.setattr(overdue, "diagnose", mistaken)
    one = waiting(made, clock)
    again(one, clock)
    assert one.cause([ONE_TO_TWO]) == (None, False)
    again(one, clock)
    assert one.cause([ONE_TO_TWO]) == (gone(), False)


def test_a_verification_ends_with_the_cause_as_soon_as_that_is_certain(
    made: Setting, looks: list[list[Finding]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.steps.verify.OVERDUE_SECONDS", 0.0)
    for name in ("EVERY_SECONDS", "CERTAIN_SECONDS"):
        monkeypatch.setattr(overdue, name, 0.0)
    made.machine(2).blocked_ports = {31443}
    heard: list[Event] = []
    verdicts = verify(made.plan, made.world, heard.append)
    failed = failure(verdicts)
    assert failed is not None
    assert "no answer of cluster2 (v2) reached cluster1: Secret x is gone from cluster1" in failed.what
    assert {(each.cluster, each.peers, each.finding.object) for each in heard if isinstance(each, Explained)} == {
        ("cluster1", ("cluster2",), "Secret x")
    }
    assert "firewalls" not in failed.remedy
    assert "Make it.\nkubectl get x\nMore about it: docs/checks/api-server.md" in failed.remedy
