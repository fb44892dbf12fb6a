"""A bounded number of random sequences, as `make soak` draws them for as long as one likes."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from tests.faults.soak import soak

SEQUENCES = 50


@pytest.mark.promise(1, 3, 4, 7, 9, 10, 12, 15, 16, 17, 18, 19, 20, 21, 23, 28)
@pytest.mark.parametrize("part", range(4))
def test_whatever_happens_it_comes_right(part: int, record_property: Callable[[str, object], None]) -> None:
    seed = int(os.environ.get("MESHWIZARD_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 24)
    print(f"seed {seed}; the same sequences again: MESHWIZARD_SEED={seed}")
    # What breaks is told as it was drawn: to find the shortest story takes long, and `--batch` does it.
    report = soak(seed=seed + part, jobs=1, sequences=SEQUENCES, shrink=False)
    assert not report.violations, "\n".join(report.lines())
    assert report.sequences >= SEQUENCES
    # Otherwise nothing is proven.
    for kind in ("crash", "fault", "drift", "state", "run"):
        assert report.total(kind) > 0, report.lines()
    record_property("count:random sequences", report.sequences)
