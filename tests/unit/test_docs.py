"""The documents say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import inputs, promises
from wizard.checks.check import Check
from wizard.checks.finding import docs_of
from wizard.checks.preflight import CHECKS
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS, Field
from wizard.mesh.meshfile import read_meshfile

ROOT = Path(__file__).parents[2]
MESH_FILE = (ROOT / "docs/mesh-file.md").read_text()


CHECK_PAGE = (ROOT / "docs/checks.md").read_text()


@pytest.mark.parametrize("field", MESH_FIELDS + CLUSTER_FIELDS, ids=lambda field: f"{field.scope}-{field.key}")
def test_every_field_is_described_as_declared(field: Field) -> None:
    rows = [line for line in MESH_FILE.splitlines() if line.startswith(f"| `{field.key}` |")]
    assert any(field.help in row for row in rows)
    if field.default is not None:
        assert any(f"`{field.default}`" in row for row in rows)


def test_the_page_of_checks_has_a_section_for_each_check_and_for_nothing_else() -> None:
    assert re.findall(r"^## (.*)$", CHECK_PAGE, re.M) == [check.id for check in CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_is_described_as_declared(check: Check) -> None:
    section = CHECK_PAGE.partition(f"\n## {check.id}\n")[2].partition("\n## ")[0]
    said = dict(re.findall(r"^- \*\*(.*?):\*\* (.*(?:\n  .*)*)", section, re.M))
    assert list(said) == ["Layer", "Severity", "Reads", "Finds", "Remedy", "Shown by"]
    assert (said["Layer"], said["Severity"]) == (check.layer, check.severity)


def test_a_finding_leads_to_its_section() -> None:
    file, _, anchor = docs_of("gateway-port").partition("#")
    assert (ROOT / file).read_text() == CHECK_PAGE
    # What GitHub makes of a title: an id has nothing that it would change.
    assert anchor == "gateway-port"
    assert all(re.fullmatch("[a-z][a-z-]*", check.id) for check in CHECKS)


def test_every_file_of_a_check_is_found_by_its_name() -> None:
    declared = {
        path.stem.replace("_", "-") for path in ROOT.glob("wizard/checks/*.py") if "CHECK = " in path.read_text()
    }
    assert declared == {check.id for check in CHECKS}


def test_the_example_is_a_mesh(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", MESH_FILE, re.S)
    assert example
    file = tmp_path / "mesh.yaml"
    file.write_text(example[1])
    assert [cluster.name for cluster in read_meshfile(file).clusters] == ["cluster1", "cluster2"]


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/*/README.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} → {target}"


def test_every_promise_is_proven_and_the_table_says_where() -> None:
    assert [number for number, tests in promises.TABLE.proofs().items() if not tests] == []
    assert promises.TABLE.written() == promises.render(), "run: python -m tests.promises"


def test_the_inputs_that_broke_it_are_told_with_their_tests() -> None:
    assert inputs.TABLE.written() == inputs.render(), "run: python -m tests.inputs"
