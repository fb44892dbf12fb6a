"""The check `clock`."""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, found, whole


@pytest.fixture(scope="module")
def made() -> Setting:
    return finished_mesh(3)


@pytest.mark.parametrize("skews", [(0, 0, 0), (30, -20, 0), (400, 400, 400), (-200, -210, -190)])
def test_of_clocks_that_agree_nothing_is_said(made: Setting, skews: tuple[int, ...]) -> None:
    for machine, skew in zip(made.outside.machines, skews, strict=True):
        machine.clock_skew = skew
    assert found(made, "clock") == []


def test_one_that_is_far_ahead_is_an_error_of_its_own_traffic(made: Setting) -> None:
    for machine, skew in zip(made.outside.machines, (0, 300, 0), strict=True):
        machine.clock_skew = skew
    (one,) = found(made, "clock")
    assert (one.severity, one.cluster) == ("error", "cluster2")
    assert "s ahead of that of cluster1 and cluster3" in one.text
    assert "192.0.2.12:6443" in one.object
    assert set(one.breaks) == {
        ("cluster2", "cluster1"),
        ("cluster2", "cluster3"),
        ("cluster1", "cluster2"),
        ("cluster3", "cluster2"),
    }
    assert "kubectl --context=kubernetes-admin2@kubernetes get --raw /version -v=8" in one.commands


def test_one_that_is_a_little_behind_is_a_warning(made: Setting) -> None:
    for machine, skew in zip(made.outside.machines, (-90, 0, 0), strict=True):
        machine.clock_skew = skew
    (one,) = found(made, "clock")
    assert (one.severity, one.cluster, one.breaks) == ("warning", "cluster1", ())
    assert "behind that of cluster2 and cluster3" in one.text


def test_of_a_peer_that_does_not_answer_its_own_finding_tells(made: Setting) -> None:
    for machine, skew in zip(made.outside.machines, (300, 0, 0), strict=True):
        machine.clock_skew = skew
    made.machine(3).unreachable = True
    told = whole(made)
    made.machine(3).unreachable = False
    (one,) = (each for each in told.findings if each.check == "clock")
    assert set(one.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster1")}
