"""SIGKILL at random moments of an install on real clusters, five times; then it is gone on with, and traffic proves the mesh. The
same of the uninstall; then nothing is left.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.test_topologies import Document, multi_primary, primary_remote
from tests.lab.wizard import Ran, Wizard, assert_as_before, assert_untouched, assert_verified

KILLS = 5
LATEST = 9.0  # seconds: most of what a run has to do is done by then
LATEST_LOOK = 1.0  # the same of a run that finds all done
LATEST_UNDO = 6.0  # the same of an uninstall
ORPHAN_SECONDS = 300


@pytest.mark.promise(11, 12, 17, 21)
@pytest.mark.proves("Killed five times at random moments, then resumed, multi-primary and primary-remote")
@pytest.mark.parametrize("topology", [multi_primary, primary_remote], ids=["multi-primary", "primary-remote"])
def test_killed_five_times_it_still_ends_well(
    fresh_lab: Lab, tmp_path: Path, topology: Callable[[Document], None]
) -> None:
    seed = int(os.environ.get("MESHWIZARD_SEED") or time.time_ns() % 1_000_000)
    print(f"seed {seed}; the same moments again: MESHWIZARD_SEED={seed}")
    dice = random.Random(seed)
    wizard = Wizard(fresh_lab, tmp_path, changes=topology)
    before = [cluster.snapshot_objects() for cluster in fresh_lab.clusters]
    kills, latest = 0, LATEST
    while kills < KILLS:
        code = _killed(wizard, _words(wizard), dice.uniform(min(0.5, latest / 4), latest))
        assert code in (-9, 0, 5), code
        kills += code == -9
        if code == 5:
            time.sleep(1)  # an orphaned istioctl still works, and keeps this run out
        if code == 0:
            latest = LATEST_LOOK
    ended = _ended(wizard)
    assert ended.code == 0, ended.text
    assert_verified(wizard)
    marks = [cluster.audit_mark() for cluster in fresh_lab.clusters]
    again = wizard.apply()
    assert again.code == 0, again.text
    assert_untouched(fresh_lab, marks)

    kills = 0
    while _killed(wizard, ("uninstall", wizard.name, "--yes"), dice.uniform(0.5, LATEST_UNDO)) == -9 and kills < KILLS:
        kills += 1
    assert kills, "the uninstall was too quick to be killed"
    if _is_recorded(wizard):
        undone = wizard.run("uninstall", wizard.name, "--yes")
        assert undone.code == 0, undone.text
    assert_as_before(fresh_lab, before)


def _is_recorded(wizard: Wizard) -> bool:
    return (wizard.state / wizard.name / "state.json").exists()


def _words(wizard: Wizard) -> Sequence[str]:
    """What a person types. Killed before anything was recorded or touched, there is nothing to resume."""
    return ("resume",) if _is_recorded(wizard) else ("apply", "-f", str(wizard.meshfile))


def _killed(wizard: Wizard, words: Sequence[str], seconds: float) -> int:
    """Kill it after so long; gives the code with which it ended."""
    running = wizard.start(*words)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and running.process.poll() is None:
        time.sleep(0.02)
    running.process.kill()
    return running.end().code


def _ended(wizard: Wizard) -> Ran:
    """What a person does: goes on, and waits where an orphan still works, as the message says."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        ended = wizard.run(*_words(wizard))
        if ended.code != 5 or time.monotonic() > deadline:
            return ended
        time.sleep(1)
