"""Which of the long tests a run takes: all of them, the core, or one share of the rest.

A pytest plugin (`-p tests.shares`). SHARD=2/6 takes the second of six shares, SHARD=core the tests marked `core`, SHARD=core+2/6
both, and without SHARD a run takes all. What belongs together is never parted, and is what one of xdist's workers gets at once:

- the tests of a module marked `in_order`, which follow one mesh through its life, or `in_order("life")`: for each value of
  the module's fixture `life`;
- the tests that want a lab of the same unusual shape: each shape costs a lab, and another Istio a build.

Shares are of about the same length, by the seconds that `times.json` remembers of a whole run; `--times FILE` writes them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from pathlib import Path

import pytest

SHARES = 6
TIMES = Path(__file__).with_name("times.json")
SUITES = {"test-faults": "tests/faults", "test-lab": "tests/lab"}
_ROOT = Path(__file__).parents[1]
_USUAL_SECONDS = 10.0  # for what was never timed
_PROPERTY = "part"
_CHOICE = pytest.StashKey["Choice | None"]()


@dataclass(frozen=True)
class Choice:
    """What a run takes. `share`: counted from 1, of `of`; None: no share."""

    core: bool
    share: int | None = None
    of: int = SHARES

    def __str__(self) -> str:
        parts = ["core"] if self.core else []
        return "+".join([*parts, f"{self.share}/{self.of}"] if self.share else parts)

    @classmethod
    def parse(cls, text: str) -> Choice | None:
        """None for an empty text: everything. Raises ValueError for what is no choice."""
        if not text:
            return None
        found = re.fullmatch(r"(core)?(?:(?:^|(?<=core)\+)(\d+)/(\d+))?", text)
        if not found or (found[2] and not 1 <= int(found[2]) <= int(found[3])):
            raise ValueError(f"SHARD={text!r} is none of: core, 2/{SHARES}, core+2/{SHARES}")
        return cls(bool(found[1]), int(found[2]) if found[2] else None, int(found[3] or SHARES))

    @classmethod
    def of_commit(cls, number: int) -> Choice:
        """What CI runs at that commit, counted as `git rev-list --count` does: six in a row see every share."""
        return cls(True, number % SHARES + 1)


def part_of(item: pytest.Item) -> str:
    """The name of what this test belongs to and is never parted from: its own, or that of a sequence of tests."""
    order = item.get_closest_marker("in_order")
    if order is None:
        return item.nodeid
    module = item.nodeid.partition("::")[0]
    called = getattr(item, "callspec", None)
    values = [str(called.params[name]) for name in order.args if called and name in called.params]
    return f"{module}[{'-'.join(values)}]" if values else module


def is_core(item: pytest.Item) -> bool:
    return item.get_closest_marker("core") is not None


def bundle_of(item: pytest.Item) -> str:
    """The name of what goes to one share as a whole."""
    shape = item.get_closest_marker("lab_shape")
    return f"a lab of {shape.args[0]}" if shape and shape.args[0] != type(shape.args[0])() else part_of(item)


def remembered() -> dict[str, float]:
    """Part → seconds, as a whole run took them."""
    return json.loads(TIMES.read_text()) if TIMES.exists() else {}


def remember(files: Iterable[Path]) -> None:
    """Keep the seconds of a whole run: what is not in it is not there any more."""
    seconds = {part: round(took, 1) for file in files for part, took in json.loads(file.read_text()).items()}
    TIMES.write_text(json.dumps(seconds, indent=1, sort_keys=True) + "\n")


def lengths_of(items: Iterable[pytest.Item], times: Mapping[str, float]) -> dict[str, float]:
    """Bundle → seconds."""
    parts: dict[str, set[str]] = {}
    for item in items:
        parts.setdefault(bundle_of(item), set()).add(part_of(item))
    # fsum: the same whatever the order, so that every process deals alike.
    return {bundle: fsum(times.get(part, _USUAL_SECONDS) for part in within) for bundle, within in parts.items()}


def dealt(items: Iterable[pytest.Item], of: int, times: Mapping[str, float]) -> dict[str, int]:
    """Bundle → share, from 1, of what is not in the core. The longest first, each to the share that is shortest so far."""
    seconds = lengths_of([item for item in items if not is_core(item)], times)
    lengths = [0.0] * of
    found = {}
    for bundle in sorted(seconds, key=lambda each: (-seconds[each], each)):
        shortest = lengths.index(min(lengths))
        lengths[shortest] += seconds[bundle]
        found[bundle] = shortest + 1
    return found


def chosen(items: Sequence[pytest.Item], choice: Choice | None, times: Mapping[str, float]) -> list[pytest.Item]:
    """The tests that the choice takes, in their order. Raises UsageError where the core would part what belongs together."""
    _look_at_the_core(items)
    if choice is None:
        return list(items)
    shares = dealt(items, choice.of, times)
    return [item for item in items if (choice.core if is_core(item) else shares[bundle_of(item)] == choice.share)]


def _look_at_the_core(items: Iterable[pytest.Item]) -> None:
    kinds: dict[str, bool] = {}
    for item in items:
        if kinds.setdefault(part_of(item), is_core(item)) != is_core(item):
            raise pytest.UsageError(f"{part_of(item)} is partly in the core: its tests follow each other")


# -- the plugin


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--times FILE`."""
    parser.addoption("--times", metavar="FILE", help="write how many seconds each part took, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Read what SHARD says, before anything is built or run; gather the times where they are asked for."""
    try:
        config.stash[_CHOICE] = Choice.parse(os.environ.get("SHARD", ""))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    target = config.getoption("--times")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Timed(Path(target)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take what SHARD says, the longest bundles first, so that none begins when all others end."""
    times = remembered()
    taken = chosen(items, config.stash[_CHOICE], times)
    kept = set(taken)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    seconds = lengths_of(taken, times)
    taken.sort(key=lambda item: (-seconds[bundle_of(item)], bundle_of(item)))
    items[:] = taken


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Each bundle goes to one worker, in the order of its tests. By a scheduler of our own: the groups of xdist 3.8 are lost on
    pytest 9.2, silently.
    """
    from xdist.scheduler import LoadScopeScheduling

    # xdist's own process collects nothing.
    words = [sys.executable, "-m", "tests.shares", "--bundles", *config.args]
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    bundles = json.loads(subprocess.run(words, cwd=_ROOT, env=env, capture_output=True, text=True, check=True).stdout)

    class Bundles(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return str(bundles[nodeid])

    config.option.loadscopereorder = False
    return Bundles(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note in the report which part it is about: it may come from another process."""
    report = yield
    report.user_properties.append((_PROPERTY, part_of(item)))
    return report


class _Timed:
    """The seconds of each part."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather them."""
        for part in [value for name, value in report.user_properties if name == _PROPERTY]:  # none where a worker died
            self._seconds[part] = self._seconds.get(part, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        """Write them."""
        self._target.write_text(json.dumps(self._seconds, indent=1, sort_keys=True))


# -- the command line


class _Collected:
    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.items = list(items)


def collected(*places: str) -> list[pytest.Item]:
    """All tests of these folders or files, none of them run."""
    seen = _Collected()
    words = ["--collect-only", "-q", "-q", "-p", "no:cacheprovider", "-c", str(_ROOT / "pyproject.toml")]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main([*words, *places], plugins=[seen])
    if code != pytest.ExitCode.OK or not seen.items:
        raise SystemExit(f"{', '.join(places)}: its tests cannot be collected\n{said.getvalue()}")
    return seen.items


def selections(numbers: Sequence[int] = ()) -> dict[str, dict[str, list[str]]]:
    """Suite → "all" and the core and each share, or what CI runs at the commits of these `numbers` → tests."""
    choices = [Choice(True), *(Choice(False, share) for share in range(1, SHARES + 1))]
    wanted = {str(number): Choice.of_commit(number) for number in numbers} or {str(each): each for each in choices}
    times = remembered()
    told = {}
    for suite, folder in SUITES.items():
        items = collected(folder)
        taken = {name: chosen(items, choice, times) for name, choice in {"all": None, **wanted}.items()}
        told[suite] = {name: [item.nodeid for item in these] for name, these in taken.items()}
    return told


def _lines(number: int) -> Iterable[str]:
    """What CI runs at a commit, and what it leaves to which."""
    choice = Choice.of_commit(number)
    yield f"Commit {number}: {choice}"
    times = remembered()
    for suite, folder in SUITES.items():
        items = collected(folder)
        for_whom = {"core": chosen(items, Choice(True), times)}
        for share in range(1, choice.of + 1):
            later = (share - choice.share) % choice.of  # type: ignore[operator]
            who = f"left to commit {number + later}" if later else "and"
            for_whom[f"{who} {share}/{choice.of}"] = chosen(items, Choice(False, share), times)
        yield f"  {suite}, {len(items)} tests"
        for who, these in for_whom.items():
            seconds = sum(times.get(part, _USUAL_SECONDS) for part in {part_of(item) for item in these})
            files = Counter(Path(item.path).stem.removeprefix("test_") for item in these)
            what = ", ".join(f"{name} {count}" for name, count in sorted(files.items()))
            yield f"    {who}: {len(these)} tests, {seconds:.0f} s of one worker: {what}"


def commit_number() -> int:
    """How many commits lead to the one that is checked out."""
    told = subprocess.run(
        ["git", "rev-list", "--count", "HEAD"], cwd=_ROOT, capture_output=True, text=True, check=True
    ).stdout
    return int(told)


def main() -> int:
    """Say what CI runs at a commit, and what it leaves to which."""
    parser = argparse.ArgumentParser(prog="python -m tests.shares", description=main.__doc__)
    parser.add_argument("number", type=int, nargs="*", help="a commit's number (default: that of HEAD)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--choice", action="store_true", help="only the SHARD of that commit")
    how.add_argument("--json", action="store_true", help="every test, by commit; without numbers by core and share")
    how.add_argument(
        "--bundles", nargs="+", metavar="PLACE", help="every test below these, and what it is never parted from"
    )
    how.add_argument("--remember", nargs="+", type=Path, metavar="FILE", help="keep what --times wrote of a whole run")
    options = parser.parse_args()
    if options.remember:
        remember(options.remember)
    elif options.bundles:
        print(json.dumps({item.nodeid: bundle_of(item) for item in collected(*options.bundles)}))
    elif options.json:
        print(json.dumps(selections(options.number), indent=1))
    else:
        for number in options.number or [commit_number()]:
            print(Choice.of_commit(number) if options.choice else "\n".join(_lines(number)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
