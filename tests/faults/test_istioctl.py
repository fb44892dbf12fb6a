"""An istioctl that fails, dies, hangs or floods at any point of an install: told, bounded, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.rig import Rig, Shape

SHAPE = Shape(2, "multi-primary")


def _break(rig: Rig, at: int, how: str) -> dict[str, str]:
    plan = rig.home / "istioctl.json"
    plan.write_text(json.dumps({"at": at, "do": how}))
    return {"FAULTS_ISTIOCTL": str(plan)}


@pytest.mark.promise(12, 17, 38)
@pytest.mark.parametrize("how", ["fail", "die"])
def test_it_ends_half_way_at_any_point(rig: Rig, how: str, record_property: Callable[[str, object], None]) -> None:
    rig.fresh(SHAPE)
    assert rig.apply().code == 0
    objects = rig.objects()
    at = 0
    while True:
        at += 1
        rig.fresh(SHAPE)
        ended = rig.run("apply", "-f", str(rig.meshfile), environment=_break(rig, at, how))
        if ended.code == 0:
            break
        assert ended.code == 1, ended.text
        assert "meshwizard resume mesh1" in ended.text
        if how == "fail":
            assert "it was told to fail" in ended.text
        resumed = rig.run("resume")
        assert resumed.code == 0, resumed.text
        assert rig.objects() == objects
    assert at > 10
    record_property(f"count:istioctl told to {how}", at - 1)


@pytest.mark.promise(31)
def test_a_flood_is_drained_and_does_no_harm(rig: Rig) -> None:
    rig.fresh(SHAPE)
    ended = rig.run("apply", "-f", str(rig.meshfile), environment=_break(rig, 3, "flood"))
    assert ended.code == 0, ended.text[-2000:]


@pytest.mark.promise(31, 32, 33)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_that_hangs_is_ended_with_the_wizard(rig: Rig, number: signal.Signals) -> None:
    rig.fresh(SHAPE)
    wizard = rig.start("apply", "-f", str(rig.meshfile), environment=_break(rig, 3, "hang"))
    deadline = time.monotonic() + 60
    while not rig.istioctls() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    assert rig.istioctls()
    os.kill(wizard.pid, number)
    time.sleep(0.3)
    os.kill(wizard.pid, number)  # the second ends what runs
    ended = wizard.wait()
    assert ended.code == 130, ended.text
    assert not rig.istioctls()
    resumed = rig.run("resume")
    assert resumed.code == 0, resumed.text
