"""What a kubeconfig runs for credentials, and what a consent to it is bound to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from state.withheld import withhold
from wizard.clusters.plugin import Plugin, plugin_of


def found(folder: Path, **run: Any) -> Plugin:
    plugin = plugin_of({"exec": run}, folder / "config")
    assert plugin is not None
    return plugin


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("place", "command", "args"),
    [("kube", "./give-me", []), ("here", "sh", ["-e", "./give-me"]), ("here", "sh", ["give-me"])],
    ids=["beside the kubeconfig", "argument", "argument without a slash"],
)
def test_a_script_counts_with_what_is_in_it_where_it_would_be_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, command: str, args: list[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    other = {"kube": "here", "here": "kube"}[place]
    for each in (place, other):
        program(tmp_path / each / "give-me", "exit 0")
    before = found(tmp_path / "kube", command=command, args=args)
    program(tmp_path / other / "give-me", "exit 1")
    assert found(tmp_path / "kube", command=command, args=args) == before
    program(tmp_path / place / "give-me", "exit 1")
    assert found(tmp_path / "kube", command=command, args=args).mark != before.mark


def test_a_program_of_the_path_may_be_updated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    program(tmp_path / "bin" / "aws", "exit 0")
    before = found(tmp_path, command="aws")
    assert before.path == str(tmp_path / "bin" / "aws")
    program(tmp_path / "bin" / "aws", "exit 1")
    assert found(tmp_path, command="aws") == before


def test_a_word_is_no_path(tmp_path: Path) -> None:
    before = found(tmp_path, command="aws", args=["eks"])
    (tmp_path / "eks").write_text("of somebody else's")
    assert found(tmp_path, command="aws", args=["eks"]) == before


def test_the_order_of_settings_does_not_count(tmp_path: Path) -> None:
    run = {"command": "aws", "args": ["a", "b"], "env": [{"name": "A", "value": "a"}]}
    assert found(tmp_path, **run) == found(tmp_path, **dict(reversed(run.items())))
    assert found(tmp_path, **run).mark != found(tmp_path, **{**run, "args": ["b", "a"]}).mark


def test_what_yaml_takes_for_something_else_is_a_word(tmp_path: Path) -> None:
    assert found(tmp_path, **yaml.safe_load("{command: aws, args: [2026-01-01, 7]}")).words == "aws 2026-01-01 7"


def test_a_consent_outlives_a_release() -> None:
    """The mark is what is remembered: were it made in another way, everybody would be asked again."""
    plugin = found(Path("/k"), command="/nowhere/give-me", args=["/nowhere/script", "eks"])
    assert plugin.mark == "66b99b16d42518aff5c8467cbd2f7ec9b2b54d9b6b0d700b1878c7cf551e4aec"
    assert str(plugin) == "`/nowhere/give-me /nowhere/script eks` (which is not there)"


@pytest.mark.parametrize(
    "user", [None, {}, {"exec": None}, {"exec": "aws"}, {"token": "x", "exec": {"command": "aws"}}]
)
def test_nothing_is_run_for_other_users(user: dict[str, Any] | None) -> None:
    assert plugin_of(user, Path("/k/config")) is None


def test_what_a_command_is_handed_is_held_back_before_it_is_shown(tmp_path: Path) -> None:
    secret = "correct-horse-battery"
    found(tmp_path, command="aws", env=[{"name": "CLIENT_SECRET", "value": secret}])
    assert secret not in withhold(f"it was told {secret}")
