"""A run as lines: what a person must do stands there whole, and is not drowned."""

from __future__ import annotations

import json

import pytest

from wizard.console.output import Output
from wizard.console.progress import EVERY, PERSON_EVERY, JsonLines, Lines
from wizard.engine.events import Event, PersonNeeded, Status, StepChanged, StepSaid, StepWaits
from wizard.mesh.model import Cluster, Mesh

MESH = Mesh("mesh1", (Cluster("c1", "c1", "n1"), Cluster("c2", "c2", "n2")))
ASKED = PersonNeeded(
    step="c1/route/c2", cluster="c1", what="a route", instructions="on node \x1b[31mn1:\nsudo ip route add x via y"
)


class Screen:
    """What `Lines` printed, on a clock of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.now = 0.0
        self._capsys = capsys
        self._lines = Lines(Output(color=False), MESH, clock=lambda: self.now)

    def after(self, seconds: float, event: Event) -> list[str]:
        self.now += seconds
        self._lines(event)
        return self._capsys.readouterr().out.splitlines()


def waits(elapsed: float, deadline: float) -> StepWaits:
    return StepWaits(step="c1/route/c2", cluster="c1", what="a route", seen="none", elapsed=elapsed, deadline=deadline)


def said(text: str, *, output: bool = False) -> StepSaid:
    return StepSaid(step="c1/x", cluster="c1", text=text, output=output)


def test_a_person_is_told_what_to_do_in_lines_to_copy(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Screen(capsys).after(1, ASKED)
    assert "c1" in shown[0]
    assert "needs you: a route" in shown[0]
    assert shown[1:] == ["    on node \N{REPLACEMENT CHARACTER}[31mn1:", "    sudo ip route add x via y"]


def test_a_wait_for_a_person_has_no_end_and_speaks_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(capsys)
    (line,) = screen.after(100, waits(75, 0))
    assert "waits for a route (1 min 15 s): none" in line
    assert screen.after(EVERY + 1, waits(81, 0)) == []
    assert screen.after(PERSON_EVERY, waits(141, 0))


def test_what_a_program_prints_is_shown_at_first_and_then_line_by_second(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(capsys)
    screen.after(1, StepChanged(step="c1/x", cluster="c1", title="X", status=Status.RUNNING))
    assert screen.after(0, said("Processing resources", output=True))
    assert screen.after(0.5, said("more", output=True)) == []
    assert screen.after(0.6, said("more", output=True))
    assert screen.after(5, said("more", output=True)) == []


def test_what_a_step_says_is_shown_however_soon(capsys: pytest.CaptureFixture[str]) -> None:
    """Two worries about the same certificates, what stays behind for two reasons: none may be lost."""
    screen = Screen(capsys)
    screen.after(1, StepChanged(step="c1/x", cluster="c1", title="X", status=Status.UNDOING))
    assert screen.after(0, said("these CRDs stay"))
    assert screen.after(0, said("take the route back"))
    assert screen.after(5, said("take the route back")) == []
    for cluster in ("c1", "c2"):
        assert screen.after(0, StepSaid(step="", cluster=cluster, text="leases may not be used here"))


def test_programs_read_it_as_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    JsonLines()(ASKED)
    told = json.loads(capsys.readouterr().out)
    assert (told["event"], told["step"], told["what"]) == ("personneeded", "c1/route/c2", "a route")
