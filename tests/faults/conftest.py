"""One rig a worker: three API servers, used by every test that needs some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults import controlplane
from tests.faults.rig import Rig, rig_of


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, whose time limit it would exceed."""
    if session.config.option.collectonly:
        return
    if any("servers" in getattr(item, "fixturenames", ()) for item in session.items):
        controlplane.programs()


@pytest.fixture(scope="session")
def servers() -> None:
    """The programs of the API servers are there."""


@pytest.fixture(scope="session")
def rig(servers: None) -> Iterator[Rig]:
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
