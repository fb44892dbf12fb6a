"""Fixtures for tests against real clusters. They fail where they cannot run: only a person may have them skipped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import lab as lab_module
from tests.lab.lab import Lab
from tests.lab.proc import LabError, say
from tests.lab.settings import from_environment
from tests.lab.shape import Shape
from tests.lab.standing import LabOf, Standing

_HERE = Path(__file__).parent


def _obstacle() -> str | None:
    if not sys.platform.startswith("linux"):
        return "the lab needs Linux: network namespaces, containers"
    if os.geteuid() != 0:
        return "the lab needs root: it makes network namespaces and starts containers"
    return None


def _stop_if_impossible() -> None:
    obstacle = _obstacle()
    if obstacle is None:
        return
    asked = os.environ.get("MESHWIZARD_LAB_SKIP") == "1"
    if asked and os.environ.get("CI") != "true":
        pytest.skip(f"SKIPPED BY MESHWIZARD_LAB_SKIP=1, nothing was tested on real clusters: {obstacle}")
    pytest.fail(f"{obstacle}. To leave these tests out by hand: MESHWIZARD_LAB_SKIP=1", pytrace=False)


def _default() -> Shape:
    return Shape(int(os.environ.get("MESHWIZARD_LAB_N") or "2"))


def _shape(node: pytest.Item | pytest.Collector) -> Shape:
    """The shape that a test asks for, or its module for it."""
    marker = node.get_closest_marker("lab_shape")
    return marker.args[0] if marker else _default()


def _ours(items: list[pytest.Item]) -> list[pytest.Item]:
    return [item for item in items if item.path.is_relative_to(_HERE)]


def _take_own_lab() -> None:
    """The first of xdist's workers has the lab of the environment, each further one another beside it."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    if number:
        first = from_environment()
        os.environ["MESHWIZARD_LAB_ID"] = str(first.lab_id + number)
        if "MESHWIZARD_LAB_DIR" in os.environ:
            os.environ["MESHWIZARD_LAB_DIR"] = f"{first.root}-{first.lab_id + number}"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker by which tests ask for a lab, and that of `tests.lab.proven`, which a run may go without."""
    _take_own_lab()
    config.addinivalue_line(
        "markers", "lab_shape(shape): which lab `lab` and `fresh_lab` give, a tests.lab.shape.Shape"
    )
    config.addinivalue_line("markers", "proves(claim, istio=...): see tests/lab/proven.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder as needing the lab, and put tests of one shape together: a switch takes half a minute.
    Which of them one of xdist's workers gets at once is another matter (`tests/shares.py`).
    """
    order: dict[Shape, int] = {_default(): 0}
    for item in _ours(items):
        item.add_marker(pytest.mark.lab)
        shape = _shape(item)
        order.setdefault(shape, len(order))
        module = item.getparent(pytest.Module)
        for name in {"lab", "module_lab"}.intersection(getattr(item, "fixturenames", ())):
            if module and _shape(module) != shape:
                raise pytest.UsageError(
                    f"{item.nodeid}: `{name}` has its module's shape; use `fresh_lab`, or mark the module"
                )
    items.sort(key=lambda item: order[_shape(item)] if item.path.is_relative_to(_HERE) else -1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, whose time limit it would exceed."""
    wanted = [item for item in _ours(session.items) if "lab_host" in getattr(item, "fixturenames", ())]
    if session.config.option.collectonly or _obstacle() is not None:
        return
    try:
        for istio in dict.fromkeys(_shape(item).istio for item in wanted):
            lab_module.prepare(from_environment(), istio)
    except LabError as error:
        raise pytest.UsageError(f"the lab cannot be built: {error}") from error


@pytest.fixture(scope="session")
def lab_host() -> None:
    """This machine can carry a lab, and everything is built; without this fixture's word nothing runs."""
    _stop_if_impossible()


@pytest.fixture(scope="session")
def lab_of(lab_host: None) -> Iterator[LabOf]:
    """Gives a lab of any shape, see `Standing`. It is taken down afterwards, unless MESHWIZARD_LAB_KEEP=1."""
    standing = Standing()
    yield standing
    if os.environ.get("MESHWIZARD_LAB_KEEP") == "1":
        say("MESHWIZARD_LAB_KEEP=1: the lab stays up")
    else:
        standing.end()


@pytest.fixture(scope="module")
def lab(lab_of: LabOf, request: pytest.FixtureRequest) -> Lab:
    """A lab of the module's shape (without a `lab_shape`: MESHWIZARD_LAB_N clusters, default 2), for tests that only look."""
    return lab_of(_shape(request.node), fresh=False)


@pytest.fixture(scope="module")
def module_lab(lab_of: LabOf, request: pytest.FixtureRequest) -> Lab:
    """A lab of the module's shape as it was right after it came up, for a module whose tests follow each other (`in_order`)."""
    return lab_of(_shape(request.node))


@pytest.fixture
def fresh_lab(lab_of: LabOf, request: pytest.FixtureRequest) -> Lab:
    """A lab of the test's shape as it was right after it came up, for one test that may do anything to it."""
    return lab_of(_shape(request.node))
