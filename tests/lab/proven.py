"""What the lab's tests prove, as the tables in docs/proven.md: rendered from a whole run's results, and held against others'.

A pytest plugin (`-p tests.lab.proven`): tests marked `proves(claim)` say what their passing means, of a
mesh `aspect` which column. The results of a run go into the file that `--proven FILE` names.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import versions

DOCUMENT = Path(__file__).parents[2] / "docs/proven.md"
ASPECTS = ("traffic", "again", "uninstall")
_ASPECT_OF = {
    "test_from_nothing_to_traffic": "traffic",
    "test_again_nothing_is_changed": "again",
    "test_uninstall_leaves_what_was_there_before": "uninstall",
}
HEADINGS = {
    "traffic": "Every cluster hears every other",
    "again": "Applied again: no mutating request",
    "uninstall": "Uninstalled: as before",
}
_HEAD = """# What is proven

Written by `make test-all` on {date}, at commit {commit}. CI runs the core and a share of it at every commit, and fails where
what it saw contradicts these tables.

## The run

| Part | Took | Tests |
|-|-|-|
{parts}

## Meshes on real clusters

Real Kubernetes {kubernetes}, real istiod, real Envoy, one node a cluster. What is not in these tables was not run on real
clusters; simulated clusters and templates are another matter (`docs/architecture.md`).
"""
_PROPERTY = "proves"
Row = tuple[str, str]  # what is claimed, and of which Istio
Rows = dict[Row, dict[str, bool]]  # → of each aspect ("" where there is but one), whether it was seen


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--proven FILE`."""
    parser.addoption("--proven", metavar="FILE", help="write what the run proved to this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "proves(claim, istio=..., aspect=...): what passing proves, for docs/proven.md")
    target = config.getoption("--proven")
    if target and not hasattr(config, "workerinput"):  # xdist's workers send their reports to the one that started them
        config.pluginmanager.register(_Gathered(Path(target)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note in the report, which comes from wherever the test ran, how each claim fared; whatever does not pass in any phase
    disproves it.
    """
    report = yield
    if report.when == "call" or not report.passed:
        for mark in item.iter_markers("proves"):
            result = {"claim": mark.args[0], "istio": mark.kwargs.get("istio", versions.ISTIO_DEFAULT)}
            aspect = mark.kwargs.get("aspect") or _ASPECT_OF.get(getattr(item, "originalname", ""), "")
            report.user_properties.append((_PROPERTY, {**result, "aspect": aspect, "outcome": report.outcome}))
    return report


class _Gathered:
    """The results of all reports, wherever the tests ran."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._results: list[dict[str, str]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather them."""
        self._results += [result for name, result in report.user_properties if name == _PROPERTY]

    def pytest_sessionfinish(self) -> None:
        """Write them."""
        self._target.write_text(json.dumps(self._results, indent=1))


def rows(results: list[dict[str, str]]) -> Rows:
    """What these results say: an aspect is proven where all its tests passed."""
    found: Rows = {}
    for result in results:
        row = found.setdefault((result["claim"], result["istio"]), {})
        row[result["aspect"]] = row.get(result["aspect"], True) and result["outcome"] == "passed"
    return found


def render(results: list[dict[str, str]], run: dict[str, Any]) -> str:
    """The document of a whole run. `run`: its `date`, `commit` and `parts`, as tests/proof.py records them."""
    found = sorted(rows(results).items())
    parts = "\n".join(
        f"| `make {part['name']}` | {part['seconds'] / 60:.1f} min | {'FAILED ' if part['code'] else ''}{part['told'] or 'ok'} |"
        for part in run["parts"]
    )
    head = _HEAD.format(date=run["date"], commit=run["commit"], parts=parts, kubernetes=versions.KUBERNETES)
    lines = [head, f"| Mesh | Istio | {' | '.join(HEADINGS.values())} |", "|-|-|-|-|-|"]
    lines += [
        f"| {claim} | {istio} | {' | '.join(_MARKS[row.get(each)] for each in ASPECTS)} |"
        for (claim, istio), row in found
        if "" not in row
    ]
    lines += ["", "## And", "", "| What | Istio | Proven |", "|-|-|-|"]
    lines += [f"| {claim} | {istio} | {_MARKS[row['']]} |" for (claim, istio), row in found if "" in row]
    return "\n".join(lines) + "\n"


def written(document: str) -> Rows:
    """What a document says. What it says was not run is left out: that is a gap, and no word against anything."""
    found: Rows = {}
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if len(cells) >= 3 and set(cells[2:]) <= set(_MARKS.values()):
            aspects = ASPECTS if len(cells) > 3 else ("",)
            told = zip(aspects, cells[2:], strict=True)
            found[cells[0], cells[1]] = {aspect: mark == _MARKS[True] for aspect, mark in told if mark != _MARKS[None]}
    return found


def contradictions(results: list[dict[str, str]], document: str) -> list[str]:
    """Where a run saw something else than the document says, a line each. What only one of them speaks of is no contradiction."""
    told = written(document)
    return [
        f"{claim}, Istio {istio}{f', {HEADINGS[aspect].lower()}' if aspect else ''}: the document says"
        f" {_MARKS[told[claim, istio][aspect]]}, this run {_MARKS[seen]}"
        for (claim, istio), row in rows(results).items()
        for aspect, seen in row.items()
        if told.get((claim, istio), {}).get(aspect, seen) != seen
    ]


_MARKS = {True: "yes", False: "NO", None: "not run"}


def main() -> int:
    """Write docs/proven.md from a whole run, or say where a run contradicts it."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.proven", description=main.__doc__)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--check", type=Path, metavar="RESULTS")
    how.add_argument("--write", type=Path, nargs=2, metavar=("RESULTS", "RUN"))
    chosen = parser.parse_args()
    if chosen.write:
        results, run = (json.loads(file.read_text()) for file in chosen.write)
        DOCUMENT.write_text(render(results, run))
        return 0
    results = json.loads(chosen.check.read_text())
    found = contradictions(results, DOCUMENT.read_text())
    print("\n".join([f"{len(rows(results))} claims were tried, {len(found)} contradict docs/{DOCUMENT.name}", *found]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
