"""docs/failures.md: each of the sixty modes has a row that names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.causes import of
from wizard import kinds
from wizard.checks.preflight import CHECKS
from wizard.checks.standing.diagnosis import checks
from wizard.engine.step import Kind

DOCS = Path(__file__).parents[2] / "docs"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (DOCS / "failures.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| F\d", line)
]
STANDING = {check.id for check in checks()}
BEFORE = {check.id for check in CHECKS} | {kind for kind in vars(kinds).values() if isinstance(kind, Kind)}
CAUSES = {each.name for topology in ("multi-primary", "primary-remote") for each in of(topology)}


def test_each_mode_has_its_row() -> None:
    assert [row[0] for row in ROWS] == [f"F{number}" for number in range(1, 61)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_checks_and_proofs_that_there_are(row: list[str]) -> None:
    standing, _, before = row[2].replace("before:", ";").partition(";")
    names = {name.strip() for name in standing.split(",") if name.strip()}
    earlier = {name.strip(" ;") for name in before.split(",") if name.strip(" ;")}
    assert names | earlier
    assert names <= STANDING, names - STANDING
    assert earlier <= BEFORE, earlier - BEFORE
    how, _, which = row[3].partition(": ")
    assert how in ("lab", "simulated", "rendered", "why not")
    if how == "lab" and which != "another test":
        assert set(which.split(", ")) <= CAUSES, set(which.split(", ")) - CAUSES
    assert which or how in ("simulated", "rendered")


def test_troubleshooting_leads_to_pages_that_there_are() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    assert {name for name in re.findall(r"\(checks/([a-z0-9-]+)\.md\)", text) if name not in STANDING} == set()
