"""Two machines and one mesh, on real API servers: kept apart by Leases, handed over by consent, resumed from a shared state."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.client import path_of
from tests.faults.rig import MESH, SYSTEM, Rig, Shape
from tests.faults.zygote import Wizard
from wizard.clusters.kinds import NAMESPACE, SECRET, Ref

SHAPE = Shape(2, "multi-primary")
PLACE = "cluster://cluster1/mesh-states"


def _hanging(rig: Rig, home: Path, state: str = "") -> Wizard:
    """Somebody's wizard, in the middle of an install that does not come to its end."""
    plan = home / "istioctl.json"
    plan.write_text(json.dumps({"at": 4, "do": "hang"}))
    words = ("apply", "-f", str(rig.meshfile))
    wizard = rig.start(*words, home=home, state=state, environment={"FAULTS_ISTIOCTL": str(plan)})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if all(plane.client.get(Ref(SECRET, "cacerts", SYSTEM)) for plane in rig.planes[: SHAPE.clusters]):
            time.sleep(1.0)
            return wizard
        time.sleep(0.05)
    wizard.kill()
    raise AssertionError(wizard.wait().text)


@pytest.mark.promise(14)
def test_while_one_works_the_other_is_kept_out(rig: Rig) -> None:
    rig.fresh(SHAPE)
    anna, bert = rig.machine("anna"), rig.machine("bert")
    first = _hanging(rig, anna)
    marks = rig.marks()
    second = rig.run("apply", "-f", str(rig.meshfile), home=bert)
    assert second.code == 5, second.text
    assert "cluster1" in second.text
    assert all(not change.by_istioctl for change in rig.changes(marks))
    assert rig.changes(marks) == []
    for _ in range(2):
        os.kill(first.pid, signal.SIGINT)
        time.sleep(0.3)
    assert first.wait().code == 130
    assert rig.leases() == [], "a run that ends gives its leases back"
    resumed = rig.run("apply", "-f", str(rig.meshfile), home=bert)
    # Bert has no root key, and needs none: every cluster was signed for.
    assert resumed.code == 0, resumed.text
    assert len(rig.roots()) == 1


@pytest.mark.promise(14, 34)
def test_one_that_slept_while_another_took_over_changes_nothing_any_more(rig: Rig) -> None:
    rig.fresh(SHAPE)
    anna, bert = rig.machine("anna"), rig.machine("bert")
    first = _hanging(rig, anna)
    os.kill(first.pid, signal.SIGSTOP)
    asked = rig.run("apply", "-f", str(rig.meshfile), home=bert)
    assert asked.code == 3, asked.text
    assert "--take-over" in asked.text
    taken = rig.run("apply", "-f", str(rig.meshfile), "--take-over", home=bert)
    assert taken.code == 0, taken.text
    objects = rig.objects()
    marks = rig.marks()
    os.kill(first.pid, signal.SIGCONT)
    ended = first.wait()
    assert ended.code not in (0, 3), ended.text
    assert rig.changes(marks) == []
    assert rig.objects() == objects
    assert rig.leases() == []


@pytest.mark.promise(14, 38)
def test_a_colleague_goes_on_from_a_state_kept_in_a_cluster(rig: Rig) -> None:
    rig.fresh(SHAPE)
    anna, bert = rig.machine("anna"), rig.machine("bert")
    rig.planes[0].client.ask("POST", path_of(Ref(NAMESPACE, "")), {"metadata": {"name": "mesh-states"}})
    first = _hanging(rig, anna, PLACE)
    first.kill()
    assert first.wait().code == -signal.SIGKILL
    told = rig.run("resume", MESH, "--take-over", home=bert, state=PLACE)
    while told.code == 5:  # Anna's istioctl lives on where she left it, or her lease has not expired yet
        time.sleep(1)
        told = rig.run("resume", MESH, "--take-over", home=bert, state=PLACE)
    assert told.code == 0, told.text
    kept = rig.planes[0].client.get(Ref(SECRET, f"meshwizard-state-{MESH}", "mesh-states"))
    assert kept is not None
    status = rig.run("status", MESH, home=anna, state=PLACE)
    assert status.code == 0, status.text
    assert rig.leaks() == []


@pytest.mark.promise(14)
def test_a_state_place_that_is_not_there_is_refused(rig: Rig) -> None:
    rig.fresh(SHAPE)
    marks = rig.marks()
    missing = rig.run("apply", "-f", str(rig.meshfile), state="cluster://cluster1/nowhere")
    assert missing.code in (1, 2), missing.text
    assert "nowhere" in missing.text
    assert "kubectl" in missing.text
    wrong = rig.run("apply", "-f", str(rig.meshfile), state="cluster:/cluster1")
    assert wrong.code == 2, wrong.text
    assert "cluster://CONTEXT/NAMESPACE" in wrong.text
    assert rig.changes(marks) == []
