"""The commands that lead to the screens: they give them what was asked for, and refuse where there is no terminal for them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.commands_fakes import MESH, Toy, put_in_place
from wizard.commands import demo
from wizard.commands.main import run


class Opened:
    """Stands for the screens."""

    def __init__(self) -> None:
        self.arguments: dict[str, Any] = {}
        self.outside: Any = None

    def __call__(self, settings: object, outside: object, folder: object, **arguments: Any) -> int:
        self.outside, self.arguments = outside, arguments
        return 0


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    made = Opened()
    monkeypatch.setattr("wizard.commands.screens.open_screens", made)
    return made


def a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("wizard.commands.resume", "wizard.commands.demo"):
        monkeypatch.setattr(importlib.import_module(module), "has_terminal", lambda: True)
        monkeypatch.setattr(importlib.import_module(module), "is_dumb", lambda: False)


def unfinished(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A mesh that failed; the options that find it."""
    toy = Toy("cluster1/a", "fails")
    put_in_place(
        [toy], put=lambda module, name, value: monkeypatch.setattr(importlib.import_module(module), name, value)
    )
    (folder / "mesh.yaml").write_text(MESH)
    options = ["--state-dir", str(folder / "state")]
    assert run([*options, "apply", "-f", str(folder / "mesh.yaml")]) == 1
    return options


def test_a_mesh_is_resumed_on_the_screens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
    options = unfinished(tmp_path, monkeypatch)
    a_terminal(monkeypatch)
    assert run([*options, "resume", "--screens"]) == 0
    assert opened.arguments == {"resume": "mesh1"}
    assert run([*options, "resume", "nothing", "--screens"]) == 2


def test_without_a_terminal_there_are_no_screens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    options = unfinished(tmp_path, monkeypatch)
    assert run([*options, "resume", "--screens"]) == 2
    assert f"Leave out --screens: meshwizard resume mesh1 --state-dir {options[1]}\n" in capsys.readouterr().err
    assert not opened.arguments


@pytest.mark.parametrize("count", [2, 50])
def test_the_demo_has_as_many_clusters_as_wished(count: int, monkeypatch: pytest.MonkeyPatch, opened: Opened) -> None:
    a_terminal(monkeypatch)
    assert run(["demo", "--clusters", str(count)]) == 0
    assert len(opened.outside.contexts()) == count


def test_the_demo_has_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    for count in (1, demo.MOST + 1):
        assert run(["demo", "--clusters", str(count)]) == 2
        assert "--clusters" in capsys.readouterr().err
