"""Of two clusters only one reads the other: that has a name, and a command that repairs it."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import wizard.console.settings
from wizard.clusters.kinds import SECRET, Ref
from wizard.commands.main import run
from wizard.simulated.outside import SimulatedOutside

NUMBERS = (1, 2, 3)
pytestmark = pytest.mark.promise(40)


class Shell:
    """Runs command lines over three clusters with a finished mesh."""

    def __init__(self, place: Path, outside: SimulatedOutside, capsys: pytest.CaptureFixture[str]) -> None:
        self.outside = outside
        self._capsys = capsys
        self._place = place
        self.file = place / "mesh.yaml"
        clusters = [
            {"name": f"cluster{number}", "context": each.context, "network": f"network{number}"}
            for number, each in enumerate(outside.contexts(), 1)
        ]
        document = {"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}
        self.file.write_text(json.dumps(document))

    def __call__(self, *words: str) -> tuple[int, Any]:
        code = run([*words, "--state-dir", str(self._place / "state")])
        shown = self._capsys.readouterr().out
        return code, json.loads(shown) if "--json" in words else shown

    def unlink(self, reader: int, peer: int) -> None:
        """`reader` does not read `peer` any more, as where a run was killed before it came to that."""
        secret = Ref(SECRET, f"istio-remote-secret-cluster{peer}", "istio-system")
        self.outside.machines[reader - 1].store.remove(secret)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    outside = SimulatedOutside(clusters=len(NUMBERS), speed=0)
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: outside)
    made = Shell(tmp_path, outside, capsys)
    assert made("apply", "-f", str(made.file))[0] == 0
    return made


@pytest.mark.parametrize(("reader", "peer"), list(itertools.permutations(NUMBERS, 2)))
def test_a_half_linked_pair_is_named_and_the_named_command_repairs_it(shell: Shell, reader: int, peer: int) -> None:
    shell.unlink(reader, peer)
    sentence = f"cluster{peer} and cluster{reader} are half-linked: cluster{peer} reads cluster{reader}, but cluster{reader} does"
    for words in (("status",), ("plan", "-f", str(shell.file))):
        _, text = shell(*words)
        assert sentence in text
        assert text.count("half-linked") == 1
        assert shell(*words, "--json")[1]["halfLinked"] == [[f"cluster{peer}", f"cluster{reader}"]]
    _, text = shell("status")
    (repair,) = re.findall(r"Repair: meshwizard (.*)", text)
    assert shell(*shlex.split(repair))[0] == 0
    code, text = shell("status")
    assert (code, "half-linked" in text) == (0, False)


def test_a_pair_of_which_neither_reads_the_other_is_not_half_linked(shell: Shell) -> None:
    shell.unlink(1, 2)
    shell.unlink(2, 1)
    assert "half-linked" not in shell("status")[1]
    assert shell("status", "--json")[1]["halfLinked"] == []


def test_of_a_cluster_that_does_not_answer_nothing_is_said(shell: Shell) -> None:
    shell.unlink(1, 2)
    shell.outside.machines[0].unreachable = True
    assert "half-linked" not in shell("status")[1]
