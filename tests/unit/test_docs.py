"""The documents say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import inputs, promises
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS, Field
from wizard.mesh.meshfile import read_meshfile

ROOT = Path(__file__).parents[2]
MESH_FILE = (ROOT / "docs/mesh-file.md").read_text()


@pytest.mark.parametrize("field", MESH_FIELDS + CLUSTER_FIELDS, ids=lambda field: f"{field.scope}-{field.key}")
def test_every_field_is_described_as_declared(field: Field) -> None:
    rows = [line for line in MESH_FILE.splitlines() if line.startswith(f"| `{field.key}` |")]
    assert any(field.help in row for row in rows)
    if field.default is not None:
        assert any(f"`{field.default}`" in row for row in rows)


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
