"""YAML that comes from anywhere: read, or refused; it neither ends the process nor fills its memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from wizard import yamltext
from wizard.errors import BadInput
from wizard.mesh.meshfile import read_meshfile

ENDLESS = {
    "brackets": "[" * 1_000_000,
    "braces": "{a: " * 300_000,
    "dashes": "- " * 500_000,
    "questions": "? " * 500_000,
}


def bomb(width: int = 10, levels: int = 9) -> str:
    """A few lines that are a thousand million values."""
    lines = [f"a0: &a0 [{', '.join('x' * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_what_is_nested_without_end_is_refused(text: str, tmp_path: Path) -> None:
    for load in (yamltext.load, yamltext.load_all):
        with pytest.raises(yaml.YAMLError, match="nested more than"):
            load(text)
    file = tmp_path / "mesh.yaml"
    file.write_text(text[:200_000])
    with pytest.raises(BadInput) as told:
        read_meshfile(file)
    (mistake,) = told.value.mistakes
    assert "nested more than" in mistake.text
    assert mistake.line == 1


@pytest.mark.parametrize("text", [bomb(), "&a [*a]", "&a {a: *a}"])
def test_what_aliases_make_of_a_few_lines_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match=r"more than \d+ values"):
        yamltext.load(text)


def test_what_is_as_deep_as_allowed_is_read() -> None:
    deep = yamltext.load("[" * yamltext.DEEPEST + "]" * yamltext.DEEPEST)
    for _ in range(yamltext.DEEPEST - 1):
        (deep,) = deep
    assert deep == []
    assert yamltext.load_all("a: &x {b: 1}\nc: *x\n---\n- 2\n") == [{"a": {"b": 1}, "c": {"b": 1}}, [2]]
