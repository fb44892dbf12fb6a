"""Many processes that begin runs of one mesh, some of them killed, some of them leaving commands behind: never two at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from state import StateFolder
from tests.faults.starter import MESH

PROCESSES, STARTS = 16, 200
ROOT = Path(__file__).parents[2]


@pytest.mark.promise(10, 11, 12)
def test_of_sixteen_processes_never_two_write(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    seed = random.SystemRandom().randrange(1 << 20)
    (tmp_path / "inside").mkdir()
    machines = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.starter", str(tmp_path), str(STARTS), str(seed + number)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    met: Counter[str] = Counter()
    for machine in machines:
        met.update(json.loads(machine.communicate(timeout=600)[0]))
    assert set(met) == {"done", "held", "killed"}, f"seed {seed}: {met}"
    assert met.total() == PROCESSES * STARTS
    # Of the runs enough had the mesh, were kept out of it, and died in it, for this to prove anything.
    assert min(met.values()) > PROCESSES, met
    state = StateFolder(tmp_path / "state").read(MESH)
    assert state is not None
    assert state.serial == 3 * met["done"] + 2 * met["killed"], "no record was lost"
    record_property("count:starts of runs by 16 processes", met.total())
