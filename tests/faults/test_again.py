"""A finished mesh: applied again, and with its state deleted, not one request that would change anything."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.faults.rig import MESH, Rig, Shape

SHAPES = [Shape(3, "multi-primary"), Shape(3, "primary-remote")]


@pytest.mark.promise(16, 18, 23)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_finished_mesh_is_left_alone_also_without_its_state(rig: Rig, shape: Shape) -> None:
    rig.fresh(shape)
    done = rig.apply()
    assert done.code == 0, done.text
    objects = rig.objects()
    marks = rig.marks()

    again = rig.apply()
    assert again.code == 0, again.text
    for words in (("status", MESH), ("plan", "-f", str(rig.meshfile)), ("check", "-f", str(rig.meshfile))):
        ran = rig.run(*words)
        assert ran.code == 0, ran.text
    shutil.rmtree(rig.home / "state")
    adopted = rig.apply()
    assert adopted.code == 0, adopted.text
    assert rig.changes(marks) == []
    state = json.loads((rig.home / "state" / MESH / "state.json").read_text())["state"]
    assert state["finished"]
    assert {record["status"] for record in state["steps"].values()} == {"done"}

    resumed = rig.run("resume")
    assert resumed.code == 0, resumed.text
    assert rig.changes(marks) == []
    assert rig.objects() == objects


@pytest.mark.promise(16, 19)
def test_a_mesh_whose_state_and_root_key_are_gone_is_adopted_and_gets_no_second_root(rig: Rig) -> None:
    rig.fresh(Shape(2, "multi-primary"))
    assert rig.apply().code == 0
    roots = rig.roots()
    marks = rig.marks()
    shutil.rmtree(rig.home / "state")
    (key,) = rig.home.rglob("root-key.pem")
    shutil.rmtree(key.parent)
    adopted = rig.apply()
    assert adopted.code == 0, adopted.text
    assert rig.changes(marks) == []
    assert rig.roots() == roots
