"""SIGKILL at every boundary of an install, then resume: the clusters end as after an uninterrupted run. The same of an uninstall:
nothing is left.

The boundaries: every mutating request, of the wizard and of its istioctl, before and after the API server committed it; every
state write, after it, and for two clusters also before it; every start of a child, before and after; every end of one, before
the wizard knows of it. Of an uninstall: every mutating request, before its commit or after it.
Killed at its own request, state write or child, the wizard's istioctl lives on as an orphan; killed at a request of istioctl's,
both die, as when a machine does. Each case takes every n-th boundary from its first on, and runs until a wizard was too quick to
be killed: then all were. Those of two clusters that begin at the first are the core's sample.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.faults.client import Object
from tests.faults.rig import MESH, Change, Reaper, Rig, Shape, made, tally
from tests.faults.zygote import Death, Ended

SHAPES = [Shape(number, topology) for topology in ("multi-primary", "primary-remote") for number in (2, 3)]
SLICES = {2: {"request": 8, "state": 8, "spawn": 3, "exit": 3}, 3: {"request": 4, "state": 3, "spawn": 1, "exit": 1}}
TAKEN_BACK = [(Shape(2, "multi-primary"), False), (Shape(2, "primary-remote"), True)]  # whether after the commit
ORPHAN_SECONDS = 60


@dataclass(frozen=True)
class Reference:
    """What an uninterrupted run of a shape does and leaves."""

    objects: dict[str, Object]
    changes: list[Change]


@pytest.fixture(scope="session")
def references() -> dict[Shape, Reference]:
    return {}


def _reference(rig: Rig, shape: Shape, known: dict[Shape, Reference]) -> Reference:
    if shape not in known:
        rig.fresh(shape)
        marks = rig.marks()
        done = rig.apply()
        assert done.code == 0, done.text
        known[shape] = Reference(rig.objects(), rig.changes(marks))
    return known[shape]


def _cases() -> list[pytest.param]:  # type: ignore[valid-type]
    kinds = [("request", False), ("request", True), ("state", False), ("state", True)]
    kinds += [("spawn", False), ("spawn", True), ("exit", False)]
    return [
        pytest.param(
            shape,
            kind,
            after,
            first,
            id=f"{shape}-{'after' if after else 'before'}-{kind}-{first}",
            marks=[pytest.mark.core] if _sampled(shape, first) else [],
        )
        for shape in SHAPES
        for kind, after in kinds
        if after or kind != "state" or shape.clusters == 2
        for first in range(1, SLICES[shape.clusters][kind] + 1)
    ]


def _sampled(shape: Shape, first: int) -> bool:
    return shape.clusters == 2 and first == 1


@pytest.mark.promise(9, 11, 12, 15, 17, 19, 28)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("shape", "kind", "after", "first"), _cases())
def test_killed_at_a_boundary_and_resumed_it_ends_as_if_nothing_had_happened(
    rig: Rig,
    references: dict[Shape, Reference],
    shape: Shape,
    kind: str,
    after: bool,
    first: int,
    record_property: Callable[[str, object], None],
) -> None:
    reference = _reference(rig, shape, references)
    number, killed, every = first, 0, SLICES[shape.clusters][kind]
    while True:
        rig.fresh(shape)
        marks = rig.marks()
        ended = _killed(rig, ("apply", "-f", str(rig.meshfile)), kind, number, after=after)
        where = f"{shape}: killed {'after' if after else 'before'} {kind} {number}"
        if ended is not None:
            assert ended.code == 0, f"{where}: {ended.text}"
            break
        killed += 1
        if kind == "request":
            assert rig.begun(), f"{where}: nothing was recorded of what it was about to change"
            assert rig.leases(), f"{where}: nothing kept other machines out"
        _resume(rig, where)
        changes = rig.changes(marks)
        assert rig.objects() == reference.objects, where
        assert tally(changes) == tally(reference.changes), where
        twice = {what: count for what, count in made(changes).items() if count > 1}
        assert not twice, f"{where}: made twice: {twice}"
        assert len(rig.roots()) == 1, where
        assert rig.leases() == [], where
        assert not list((rig.home / "tmp").iterdir()), f"{where}: temporary files are left"
        assert rig.leaks() == [], where
        number += every
    which = (
        f", every {every}. from the first" if _sampled(shape, first) else ", the others" if shape.clusters == 2 else ""
    )
    record_property(f"count:kill matrix, {shape}, {'after' if after else 'before'} {kind}{which}", killed)


@pytest.mark.promise(9, 11, 21)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("shape", "after"), TAKEN_BACK, ids=str)
def test_killed_at_a_request_of_an_uninstall_and_resumed_nothing_is_left(
    rig: Rig, shape: Shape, after: bool, record_property: Callable[[str, object], None]
) -> None:
    rig.fresh(shape)
    empty = rig.objects()
    done = rig.apply()
    assert done.code == 0, done.text
    installed, kept = rig.objects(), rig.keep()
    number = 0
    while True:
        number += 1
        rig.back(kept)
        assert rig.objects() == installed
        marks = rig.marks()
        ended = _killed(rig, ("uninstall", MESH, "--yes"), "request", number, after=after)
        where = f"{shape}: taken back, killed {'after' if after else 'before'} request {number}"
        if ended is not None:
            assert ended.code == 0, f"{where}: {ended.text}"
            break
        _go_on_taking_back(rig, where)
        changes = rig.changes(marks)
        assert rig.objects() == empty, where
        assert not made(changes), f"{where}: something was made"
        taken = Counter(each.what for each in changes if each.verb == "delete" and each.code < 300)
        assert taken and max(taken.values()) == 1, f"{where}: {taken}"
        assert rig.leases() == [], where
        assert rig.leaks() == [], where
    assert number > 10, "an uninstall sends more requests than that"
    record_property(f"count:kill matrix, uninstall of {shape}, {'after' if after else 'before'} request", number - 1)


def _go_on_taking_back(rig: Rig, where: str) -> None:
    """What a person types: `resume`; and where it was killed before the uninstall was recorded, `uninstall` once more."""
    ended = rig.run("resume")
    if ended.code == 0 and (rig.home / "state" / MESH / "state.json").exists():
        ended = rig.run("uninstall", MESH, "--yes")
    # Killed when all was taken back and forgotten, there is nothing to resume.
    assert ended.code == 0 or (ended.code == 2 and "no mesh" in ended.text), f"{where}: exit {ended.code}\n{ended.text}"


def _killed(rig: Rig, words: Sequence[str], kind: str, number: int, *, after: bool) -> Ended | None:
    """None where a wizard with these words was killed; how it ended where there was no such boundary any more. It works through
    the proxies, which bring to its end what it had asked for; who goes on has no need of them.
    """
    if kind != "request":
        ended = rig.run(*words, death=Death(kind, number, after))
        rig.lead(through_proxies=False)
        return None if ended.code == -9 else ended
    reaper = Reaper(rig, number, after=after)
    wizard = rig.start(*words)
    reaper.aim(wizard)
    ended = wizard.wait()
    for proxy in rig.proxies:
        proxy.rule = None
    rig.lead(through_proxies=False)
    assert reaper.fired == (ended.code == -9), ended.text
    return None if reaper.fired else ended


def _resume(rig: Rig, where: str) -> None:
    """What a person types who comes back; an orphan that still works is waited for, as the message says."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        ended = rig.run("resume")
        if ended.code == 2 and "no mesh" in ended.text:  # killed before anything was recorded, so nothing was touched
            ended = rig.apply()
        if ended.code != 5 or time.monotonic() > deadline:
            assert ended.code == 0, f"{where}, then resumed: exit {ended.code}\n{ended.text}"
            return
        time.sleep(0.3)
