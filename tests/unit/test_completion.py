"""What a shell offers where a person presses Tab."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from wizard.commands.main import run

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: a, user: {token: x}}]
contexts:
- {name: prod (eu) cluster, context: {cluster: a, user: a}}
- {name: prod-us, context: {cluster: a, user: a}}
- {name: "two\\nlines", context: {cluster: a, user: a}}
- {name: test, context: {cluster: a, user: a}}
"""
pytestmark = pytest.mark.inputs("45")


class Tab:
    """Presses Tab behind words, as the script that bash or zsh has from us does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, line: str, to: str = "bash") -> list[str]:
        self._monkeypatch.setenv("_MESHWIZARD_COMPLETE", f"{to}_complete")
        self._monkeypatch.setenv("COMP_WORDS", line)
        self._monkeypatch.setenv("COMP_CWORD", str(len(shlex.split(line)) - (not line.endswith(" "))))
        code = run([])
        out, err = self._capsys.readouterr()
        assert (code, err) == (0, "")
        return [str(row) for row in out.splitlines()]


@pytest.fixture
def tab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tab:
    return Tab(monkeypatch, capsys)


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "two files.conf"
    file.write_text(KUBECONFIG)
    return file


def test_contexts_are_offered_as_words_of_the_shell(tab: Tab, kubeconfig: Path) -> None:
    given = f"meshwizard plain --kubeconfig {shlex.quote(str(kubeconfig))} --context "
    assert tab(f"{given}pro") == ["plain,'prod (eu) cluster'", "plain,prod-us"]
    assert tab(f"{given}t") == ["plain,test"], "a name of two lines cannot be typed"


def test_a_shell_that_quotes_by_itself_gets_bare_names_and_what_they_are(tab: Tab, kubeconfig: Path) -> None:
    rows = tab(f"meshwizard --kubeconfig {shlex.quote(str(kubeconfig))} --context prod", to="zsh")
    assert rows == ["plain", "prod (eu) cluster", "https://127.0.0.1:1", "plain", "prod-us", "https://127.0.0.1:1"]


def test_a_kubeconfig_that_cannot_be_read_offers_nothing(tab: Tab, tmp_path: Path) -> None:
    assert tab(f"meshwizard --kubeconfig {tmp_path}/none --context ") == [""]


@pytest.mark.parametrize(
    "before",
    ["plan -f", "apply --file", "check -f", "export -f", "--kubeconfig", "plain --kubeconfig", "--istioctl", "--log",
     "plain --certificates-path", "--istio-overlays", "verify --junit", "diagnose -f", "diagnose --junit",
     "adopt --kubeconfig", "contexts merge", "plan --out"],
)  # fmt: skip
def test_where_a_file_is_wanted_files_are_offered(tab: Tab, before: str) -> None:
    assert tab(f"meshwizard {before} mesh") == ["file,mesh"]


@pytest.mark.parametrize("command", ["resume", "status", "verify", "diagnose", "uninstall"])
def test_recorded_meshes_are_offered(tab: Tab, tmp_path: Path, command: str) -> None:
    for name in ("blue", "green"):
        (tmp_path / "state" / name).mkdir(parents=True, mode=0o700)
        (tmp_path / "state" / name / "state.json").write_text("{}")
    (tmp_path / "state").chmod(0o700)
    assert tab(f"meshwizard --state-dir {tmp_path}/state {command} ") == ["plain,blue", "plain,green"]
    assert tab(f"meshwizard --state-dir {tmp_path}/state {command} g") == ["plain,green"]


def test_where_nothing_is_recorded_no_folder_is_made(tab: Tab, tmp_path: Path) -> None:
    assert tab(f"meshwizard --state-dir {tmp_path}/state resume ") == [""]
    assert not (tmp_path / "state").exists()


def test_choices_are_offered(tab: Tab) -> None:
    assert tab("meshwizard --topology ") == ["plain,multi-primary", "plain,primary-remote"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    monkeypatch.setenv("_MESHWIZARD_COMPLETE", f"{shell}_source")
    assert run([]) == 0
    assert "_MESHWIZARD_COMPLETE=" in capsys.readouterr().out
