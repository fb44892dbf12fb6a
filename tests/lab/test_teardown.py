"""A lab leaves nothing behind, however it ended. Uses a small lab of its own, beside the tests' lab."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import lab as lab_module
from tests.lab import network
from tests.lab.machine import Machine
from tests.lab.proc import LabError, run, wait_for
from tests.lab.settings import Settings, from_environment
from tests.lab.shape import Shape

_ROOT = Path(__file__).parents[2]
# Each moment is later than the one before: a name of a daemon means that it has just been started.
_MOMENTS = ("bridge", "init", "etcd", "kube-apiserver", "kubelet")


@pytest.fixture
def own(lab_host: None) -> Iterator[Settings]:
    """Settings of a lab that no other test uses, and that is gone afterwards."""
    base = from_environment()
    lab_id = base.lab_id + 25 if base.lab_id <= 25 else base.lab_id - 25
    settings = dataclasses.replace(base, lab_id=lab_id, root=base.root.with_name(base.root.name + "-teardown"))
    lab_module.down(settings)
    yield settings
    lab_module.down(settings)


def _command(settings: Settings, *args: str) -> subprocess.Popen[str]:
    places = {
        "MESHWIZARD_LAB_ID": str(settings.lab_id),
        "MESHWIZARD_LAB_DIR": str(settings.root),
        "MESHWIZARD_LAB_CACHE": str(settings.cache),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.lab", *args],
        cwd=_ROOT,
        env={**os.environ, **places},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _traces(settings: Settings) -> list[str]:
    """What is left, looked for without the lab's own book-keeping."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text().replace("\0", " ")
            groups = (process / "cgroup").read_text()
        except OSError:
            continue
        if f"{settings.root}/" in command or f"/{settings.name}/" in groups:
            found.append(command)
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(settings.root) in line]
    found += [line for line in run(["ip", "-o", "link"]).splitlines() if settings.name in line]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/{settings.name}")]
    found += [str(path) for path in settings.root.parent.glob(f"{settings.root.name}*")]
    return found


def _shared_groups() -> set[Path]:
    """Where containers' cgroups go when nobody says whose they are."""
    return set(Path("/sys/fs/cgroup").glob("*/k8s.io/*"))


def test_down_leaves_nothing_and_up_is_safe_to_repeat(own: Settings) -> None:
    shared = _shared_groups()
    both = [_command(own, "up", "--n", "1") for _ in range(2)]
    said = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("clusters up in" in text for text in said) == 1, "one brings it up, the other finds it up"
    with pytest.raises(LabError, match="take it down first"):
        lab_module.up(Shape(2), own)
    assert _traces(own)

    down = _command(own, "down")
    assert down.wait(timeout=60) == 0
    assert _traces(own) == []
    assert _shared_groups() <= shared


@pytest.mark.parametrize("moment", _MOMENTS)
def test_a_killed_up_is_cleaned_by_down(own: Settings, moment: str) -> None:
    machine = Machine(own, own.cluster(1, Shape(1)))

    def reached() -> bool:
        return bool(network.links(own)) if moment == "bridge" else machine.alive(moment)

    process = _command(own, "up", "--n", "1")
    wait_for(f"{moment} to start", reached, timeout=60, every=0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert _traces(own)

    lab_module.down(own)
    assert _traces(own) == []
