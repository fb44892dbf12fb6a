"""Fixtures for tests against real clusters. They fail where they cannot run: only a person may have them skipped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import lab as lab_module
from tests.lab import versions
from tests.lab.lab import Lab
from tests.lab.proc import LabError, say
from tests.lab.settings import from_environment

_HERE = Path(__file__).parent
_pristine: set[Path] = set()


def _obstacle() -> str | None:
    if not sys.platform.startswith("linux"):
        return "the lab needs Linux: network namespaces, containers"
    if os.geteuid() != 0:
        return "the lab needs root: it makes network namespaces and starts containers"
    if "PYTEST_XDIST_WORKER" in os.environ:
        return "there is one lab: run its tests with -n 0"
    return None


def _stop_if_impossible() -> None:
    obstacle = _obstacle()
    if obstacle is None:
        return
    asked = os.environ.get("MESHWIZARD_LAB_SKIP") == "1"
    if asked and os.environ.get("CI") != "true":
        pytest.skip(f"SKIPPED BY MESHWIZARD_LAB_SKIP=1, nothing was tested on real clusters: {obstacle}")
    pytest.fail(f"{obstacle}. To leave these tests out by hand: MESHWIZARD_LAB_SKIP=1", pytrace=False)


def _istio() -> str:
    return os.environ.get("MESHWIZARD_LAB_ISTIO") or versions.ISTIO_DEFAULT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as needing the lab."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.lab)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, whose time limit it would exceed."""
    wanted = any("lab_host" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and not session.config.option.collectonly and _obstacle() is None:
        try:
            lab_module.prepare(from_environment(), _istio())
        except LabError as error:
            raise pytest.UsageError(f"the lab cannot be built: {error}") from error


@pytest.fixture(scope="session")
def lab_host() -> None:
    """This machine can carry a lab, and everything is built; without this fixture's word nothing runs."""
    _stop_if_impossible()


@pytest.fixture(scope="session")
def lab(lab_host: None) -> Iterator[Lab]:
    """A lab of MESHWIZARD_LAB_N clusters (default 2), for tests that only look.

    It is taken down afterwards, unless MESHWIZARD_LAB_KEEP=1.
    """
    count = int(os.environ.get("MESHWIZARD_LAB_N") or "2")
    found: Lab | None = None
    try:
        found = lab_module.find()
    except LabError:
        found = None
    if found and len(found.clusters) >= count and found.istio == _istio() and all(c.alive() for c in found.clusters):
        say("tests use the lab that is already up")
    else:
        if found:
            lab_module.down()
        found = lab_module.up(count, _istio())
        _pristine.add(found.settings.root)
    yield found
    if os.environ.get("MESHWIZARD_LAB_KEEP") == "1":
        say("MESHWIZARD_LAB_KEEP=1: the lab stays up")
    else:
        lab_module.down()


@pytest.fixture
def fresh_lab(lab: Lab) -> Lab:
    """The lab as it was right after it came up, for one test that may do anything to it."""
    if lab.settings.root in _pristine:
        _pristine.discard(lab.settings.root)
    else:
        lab.reset()
    return lab
