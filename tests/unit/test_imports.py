"""What must not be imported, proven in fresh interpreters: light commands stay light, and the engine knows no front end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"textual", "kubernetes", "yaml", "questionary", "prompt_toolkit", "rich", "cryptography", "pydantic", "ruamel"}


def imported(code: str) -> set[str]:
    """The top-level packages that running this code imports."""
    probe = (
        f"{code}\nimport sys\nsys.stderr.write('\\nMODULES ' + ' '.join({{m.partition('.')[0] for m in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stderr.rpartition("MODULES ")[2].split())


def command(*arguments: str) -> str:
    """Code that runs this command line and goes on after its exit."""
    return f"""
import sys
sys.argv = {["meshwizard", *arguments]!r}
from wizard.__main__ import main
try:
    main()
except SystemExit:
    pass
"""


def test_version_imports_next_to_nothing() -> None:
    found = imported(command("--version"))
    assert not found & (HEAVY | {"click", "state", "screens", "logging", "pathlib"})


@pytest.mark.parametrize("arguments", [["-h"], ["nope"], ["plan", "-h"], ["apply"], ["contexts", "merge", "-h"], []])
def test_help_and_usage_errors_stay_light(arguments: list[str]) -> None:
    assert not imported(command(*arguments)) & (HEAVY | {"screens"})


def test_a_mesh_file_with_mistakes_needs_no_client() -> None:
    found = imported(command("plan", "-f", "pyproject.toml"))
    assert not found & {"textual", "kubernetes", "questionary", "prompt_toolkit", "screens", "ruamel"}


@pytest.mark.parametrize(
    "module", ["wizard.engine.engine", "wizard.plan", "wizard.operations.working", "wizard.console.working"]
)
def test_the_engine_knows_no_front_end(module: str) -> None:
    found = imported(f"import {module}")
    assert not found & {"textual", "questionary", "prompt_toolkit", "screens"}


def test_numbered_questions_need_no_questionary() -> None:
    found = imported("import wizard.plain.flow, wizard.plain.numbered, wizard.plain.fields")
    assert not found & {"textual", "questionary", "prompt_toolkit", "screens"}


def test_state_knows_nothing_of_ours() -> None:
    found = imported("import state; state.StateFolder; state.Journal")
    assert not found & {"wizard", "screens", "textual", "kubernetes"}
