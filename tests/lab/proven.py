"""What the lab's tests prove, as the table in docs/proven.md: rendered from their results, and checked against them.

A pytest plugin (`-p tests.lab.proven`): tests marked `proves(claim)` say what their passing means, of a
mesh `aspect` which column. The results of a run go into the file that `--proven FILE` names.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator
from pathlib import Path

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
_HEAD = """# What is proven on real clusters

Rendered from the results of `make test-lab` (`make proven`) and compared with them in CI: real Kubernetes {kubernetes}, real
istiod, real Envoy, one node a cluster. What is not in these tables was not run on real clusters; simulated clusters and
templates are another matter (`docs/architecture.md`).
"""
_PROPERTY = "proves"


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


def render(results: list[dict[str, str]]) -> str:
    """The document of these results."""
    meshes: dict[tuple[str, str], dict[str, bool]] = {}
    others: dict[tuple[str, str], bool] = {}
    for result in results:
        key, passed = (result["claim"], result["istio"]), result["outcome"] == "passed"
        if result["aspect"]:
            row = meshes.setdefault(key, {})
            row[result["aspect"]] = row.get(result["aspect"], True) and passed
        else:
            others[key] = others.get(key, True) and passed
    lines = [_HEAD.format(kubernetes=versions.KUBERNETES), "## Meshes", ""]
    lines += [f"| Mesh | Istio | {' | '.join(HEADINGS[each] for each in ASPECTS)} |", "|-|-|-|-|-|"]
    for (claim, istio), row in sorted(meshes.items()):
        lines.append(f"| {claim} | {istio} | {' | '.join(_mark(row.get(each)) for each in ASPECTS)} |")
    lines += ["", "## And", "", "| What | Istio | Proven |", "|-|-|-|"]
    lines += [f"| {claim} | {istio} | {_mark(passed)} |" for (claim, istio), passed in sorted(others.items())]
    return "\n".join(lines) + "\n"


def _mark(passed: bool | None) -> str:
    return {True: "yes", False: "NO", None: "not run"}[passed]


def main() -> int:
    """Write the document of a run's results, or (`--check`) say whether it stands as they say."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    text = render(json.loads(chosen.results.read_text()))
    if not chosen.check:
        DOCUMENT.write_text(text)
        return 0
    if DOCUMENT.read_text() != text:
        sys.stderr.write(
            f"{DOCUMENT.name} does not say what this run proved; `make proven` renders it. It would be:\n{text}"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
