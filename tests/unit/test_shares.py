"""The core and the shares are all of the long tests, each in one of them, and CI sees all of it in so many commits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.lab import proven
from tests.lab.shape import Shape
from tests.shares import SHARES, SUITES, Choice, lengths_of

ROOT = Path(__file__).parents[2]
Selections = dict[str, dict[str, list[str]]]
PARTED = """
import pytest

pytestmark = pytest.mark.in_order

@pytest.mark.core
def test_one(): pass

def test_two(): pass
"""


IN_ORDER = """
import os
import pytest

pytestmark = pytest.mark.in_order

@pytest.mark.parametrize("number", range(8))
def test_step(number):
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(f"{__name__} {number} {os.environ['PYTEST_XDIST_WORKER']}\\n")
"""


def selections(*numbers: int, seed: str = "random") -> Selections:
    words = [sys.executable, "-m", "tests.shares", "--json", *map(str, numbers)]
    env = {**os.environ, "PYTHONHASHSEED": seed}
    told = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    found: Selections = json.loads(told)
    return found


@pytest.fixture(scope="module")
def shared() -> Selections:
    return selections()


@pytest.mark.parametrize("suite", SUITES)
def test_core_and_shares_are_all_and_none_is_in_two(shared: Selections, suite: str) -> None:
    parts = {name: these for name, these in shared[suite].items() if name != "all"}
    assert len(parts) == 1 + SHARES
    assert all(parts.values()), "none is empty"
    taken = [test for these in parts.values() for test in these]
    assert sorted(taken) == sorted(shared[suite]["all"])
    assert len(set(taken)) == len(taken)


def test_consecutive_commits_see_everything() -> None:
    numbers = range(4711, 4711 + SHARES)
    for suite in selections(*numbers).values():
        every = set(suite.pop("all"))
        assert set().union(*suite.values()) == every
        core = set.intersection(*map(set, suite.values()))
        assert core, "each runs the core"
        assert sum(len(set(these) - core) for these in suite.values()) == len(every - core), "and nothing else twice"


def test_every_process_deals_alike() -> None:
    assert selections(seed="1") == selections(seed="2") == selections(seed="3")


class Fake:
    """A test that wants a lab of three clusters."""

    def __init__(self, name: str) -> None:
        self.nodeid, self.stash = name, pytest.Stash()

    def get_closest_marker(self, name: str) -> object:
        return SimpleNamespace(args=(Shape(3),)) if name == "lab_shape" else None


def test_a_sum_of_seconds_is_the_same_in_any_order() -> None:
    times = {"long": 1e16, **{f"short{number}": 1.0 for number in range(8)}}  # one by one, 1.0 is lost beside 1e16
    items: list[Any] = [Fake(name) for name in times]
    assert list(lengths_of(items, times).values()) == [1e16 + 8]


def test_a_run_takes_what_was_told(shared: Selections) -> None:
    words = ["-m", "pytest", "-p", "tests.shares", "--collect-only", "-qq", "-p", "no:cacheprovider", "tests/faults"]
    ran = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "SHARD": f"core+2/{SHARES}"},
    )  # fmt: skip
    told = sum(int(line.rpartition(": ")[2]) for line in ran.stdout.splitlines() if line.startswith("tests/faults/"))
    assert told == len(shared["test-faults"]["core"]) + len(shared["test-faults"][f"2/{SHARES}"])


@pytest.mark.parametrize("shard", ["7/6", "0/6", "2", "2/6+core", "core+", "all", "core2/6"])
def test_what_is_no_shard_is_refused(shard: str) -> None:
    with pytest.raises(ValueError, match="SHARD="):
        Choice.parse(shard)


def test_a_run_that_is_told_what_is_no_shard_ends_before_anything_is_built() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.shares", "-n", "2", "tests/lab"], cwd=ROOT, capture_output=True,
        text=True, check=False, env={**os.environ, "SHARD": "7/6"},
    )  # fmt: skip
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR, ran.stdout
    assert "SHARD='7/6' is none of" in ran.stderr
    assert "building" not in ran.stderr


@pytest.mark.parametrize("shard", ["core", "2/6", "core+2/6", "1/1"])
def test_a_shard_is_read_as_it_is_written(shard: str) -> None:
    assert str(Choice.parse(shard)) == shard


def test_the_core_may_not_part_what_belongs_together(tmp_path: Path) -> None:
    (tmp_path / "test_parted.py").write_text(PARTED)
    words = ["-m", "pytest", "-p", "tests.shares", "-c", str(ROOT / "pyproject.toml"), "--collect-only", str(tmp_path)]
    ran = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR, ran.stdout
    assert "partly in the core" in ran.stdout + ran.stderr


def test_what_belongs_together_runs_on_one_worker_in_its_order(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"test_{name}.py").write_text(IN_ORDER)
    words = ["-m", "pytest", "-p", "tests.shares", "-c", str(ROOT / "pyproject.toml"), "-n", "2"]
    ran = subprocess.run(
        [sys.executable, *words, str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
        check=False, env={**os.environ, "SEEN": str(tmp_path / "seen")},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    seen = [line.split() for line in (tmp_path / "seen").read_text().splitlines()]
    for name in ("test_one", "test_two"):
        mine = [(number, worker) for module, number, worker in seen if module == name]
        assert [number for number, _ in mine] == [str(number) for number in range(8)]
        assert len({worker for _, worker in mine}) == 1


def _result(claim: str, outcome: str, aspect: str = "") -> dict[str, str]:
    return {"claim": claim, "istio": "1.29.1", "aspect": aspect, "outcome": outcome}


@pytest.fixture
def document() -> str:
    run = {"date": "2026-01-02", "commit": "abc", "parts": [{"name": "check", "seconds": 9.0, "code": 0, "told": ""}]}
    seen = [_result("A mesh", "passed", "traffic"), _result("A mesh", "failed", "again"), _result("A thing", "passed")]
    return proven.render(seen, run)


def test_a_document_says_what_a_run_saw(document: str) -> None:
    assert "2026-01-02, at commit abc" in document
    assert proven.written(document) == {
        ("A mesh", "1.29.1"): {"traffic": True, "again": False},
        ("A thing", "1.29.1"): {"": True},
    }


@pytest.mark.parametrize(
    ("change", "contradicting"),
    [
        (lambda: _result("A mesh", "passed", "traffic"), False),
        (lambda: _result("A mesh", "failed", "traffic"), True),
        (lambda: _result("A mesh", "passed", "again"), True),
        (lambda: _result("A mesh", "passed", "uninstall"), False),  # a gap
        (lambda: _result("Another", "passed"), False),
        (lambda: _result("A thing", "failed"), True),
    ],
)
def test_another_run_contradicts_it_only_where_both_speak(
    document: str, change: Callable[[], dict[str, str]], contradicting: bool
) -> None:
    assert bool(proven.contradictions([change()], document)) is contradicting
