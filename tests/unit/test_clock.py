"""A clock that jumps changes nothing; certificates are good for clusters whose clocks are behind."""

from __future__ import annotations

import random
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.unit.test_simulated_topologies import Town, members, mesh, proven
from wizard.certificates import authority
from wizard.simulated.outside import SimulatedOutside

pytestmark = pytest.mark.promise(30)
ROOT = Path(__file__).parents[2]
YEAR = 365 * 86400.0


def test_a_whole_life_under_a_clock_that_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By years, back and forth, each time that anybody asks."""
    true, dice = time.time, random.Random(1)
    monkeypatch.setattr(time, "time", lambda: true() + dice.choice([-YEAR, 0.0, YEAR]))
    outside = SimulatedOutside(2, 0.01)  # with delays, so that there is something to wait for
    proven(Town(tmp_path, outside, mesh(members(outside, "node-port", [None, None]))))


def test_no_deadline_is_reckoned_by_the_clock_on_the_wall() -> None:
    """What time.time() says goes into events, for people to read, and is compared with files' times."""
    told = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("wizard", "state", "screens")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"\btime\.time\b(?!\(\)\), durations)|from time import .*\btime\b", line)
    ]
    assert [line.partition(":")[0] for line in sorted(told)] == [
        "wizard/clusters/kubeconfig_read.py", "wizard/engine/events.py",
    ]  # fmt: skip


def test_certificates_began_an_hour_ago() -> None:
    root = authority.make_root("mesh1")
    (found,) = x509.load_pem_x509_certificates(root.certificate)
    assert found.not_valid_before_utc <= datetime.now(UTC) - timedelta(minutes=59)
