"""A disk of 64 kB for the state, with less and less room on it: what was recorded stays, and with room again it goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.rig import Rig, Shape, made

SHAPE = Shape(2, "multi-primary")
SIZE = 64 * 1024


@pytest.fixture
def small(rig: Rig) -> Iterator[Path]:
    """The folder of the state, on a disk of its own."""
    rig.fresh(SHAPE)
    place = rig.home / "state"
    place.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.promise(3)
@pytest.mark.parametrize("room", [0, 4, 12, 20, 28])
def test_a_disk_that_fills_up_loses_nothing(rig: Rig, small: Path, room: int) -> None:
    """`room`: the kB that are left when it begins. A state of two clusters in four generations needs more than any of these."""
    ballast = small / "ballast"
    ballast.write_bytes(b"x" * (SIZE - room * 1024))
    marks = rig.marks()
    ended = rig.apply()
    assert ended.code not in (0, 70), ended.text
    assert "No space left" in ended.text, ended.text
    assert "Free some space" in ended.text, ended.text
    assert "Traceback" not in ended.text
    ballast.unlink()
    ended = rig.run("resume")
    if ended.code == 2 and "no mesh" in ended.text:  # there was no room even to begin
        assert rig.changes(marks) == []
        ended = rig.apply()
    assert ended.code == 0, ended.text
    assert len(rig.roots()) == 1
    twice = {what: count for what, count in made(rig.changes(marks)).items() if count > 1}
    assert not twice
    assert rig.run("status").code == 0


@pytest.mark.promise(3, 8)
def test_a_disk_that_nobody_can_write_is_refused_before_anything_is_touched(rig: Rig, small: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    marks = rig.marks()
    ended = rig.apply()
    assert ended.code not in (0, 70), ended.text
    assert "ead-only" in ended.text
    assert "--state-dir" in ended.text
    assert rig.changes(marks) == []
