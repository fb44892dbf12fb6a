"""One rig a worker: three API servers, used by every test that needs some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.rig import Rig, rig_of


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """Three control planes; a test begins with `rig.fresh(shape)`."""
    with rig_of(3) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was really done: a matrix with no cases would pass, too."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        counts.update(
            {name.removeprefix("count:"): value for name, value in report.user_properties if name.startswith("count:")}
        )
    for name, count in sorted(counts.items()):
        terminalreporter.write_line(f"{name}: {count}")
