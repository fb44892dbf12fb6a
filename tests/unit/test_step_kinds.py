"""What a step is about is said by its kind, cluster and peer. Its id tells it from others, and nobody takes it apart."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from screens.install import _brief
from screens.run import RunView
from tests.unit.conftest import setting
from tests.unit.test_step_ids import MESHES
from wizard import kinds
from wizard.board import Board
from wizard.console.output import Output
from wizard.console.planned import Found, drawing, half_linked
from wizard.console.progress import Lines
from wizard.console.report import Trail
from wizard.engine.events import Event, RunStarted, Status, StepChanged, StepEvent
from wizard.engine.step import Plan
from wizard.mesh.model import Gateway, Mesh, Verify
from wizard.plan import STEPS, plan_of

ROOT = Path(__file__).parents[2]
BALANCED = replace(
    MESHES["primary-remote"],
    clusters=tuple(replace(each, gateway=Gateway("load-balancer")) for each in MESHES["primary-remote"].clusters),
)
PLANS = {
    f"{name}, probes {probes}": replace(mesh, verify=Verify(probes=probes))
    for name, mesh in {**MESHES, "addresses to come": BALANCED}.items()
    for probes in ("before", "never")
}


@pytest.mark.parametrize("mesh", PLANS.values(), ids=PLANS)
def test_every_edge_leads_to_a_step_of_the_plan(mesh: Mesh) -> None:
    steps = plan_of(mesh).steps
    ids = {step.id for step in steps}
    assert len(ids) == len(steps)
    assert {id for step in steps for id in step.needs + step.joins} <= ids


@pytest.mark.parametrize("mesh", PLANS.values(), ids=PLANS)
def test_kind_cluster_and_peer_say_which_step_it_is(mesh: Mesh) -> None:
    steps = plan_of(mesh).steps
    assert len({(step.kind, step.cluster, step.peer) for step in steps}) == len(steps)
    assert {step.peer for step in steps} - {None} <= {cluster.name for cluster in mesh.clusters}


def test_a_kind_is_of_one_class() -> None:
    classes: dict[str, set[str]] = {}
    for mesh in PLANS.values():
        for step in plan_of(mesh).steps:
            classes.setdefault(step.kind, set()).add(type(step).__name__)
    assert {kind: names for kind, names in classes.items() if len(names) > 1} == {}
    declared = {kind for kind in vars(kinds).values() if isinstance(kind, kinds.Kind)}
    assert declared <= set(classes)


# -- a run whose ids say nothing


class Hidden:
    """Ids that say nothing, in the place of those of a plan."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def id(self, id: str) -> str:
        return self._ids.setdefault(id, f"step {len(self._ids)}") if id else id

    def event(self, event: Event) -> Event:
        if isinstance(event, RunStarted):
            return replace(event, steps=tuple(map(self.id, event.steps)))
        return replace(event, step=self.id(event.step)) if isinstance(event, StepEvent) else event

    def plan(self, plan: Plan) -> Plan:
        steps = [copy.copy(step) for step in plan.steps]
        for step in steps:
            step.id = self.id(step.id)
        return Plan(tuple(steps))


class Shown:
    """All that the front ends make of the events of a run."""

    def __init__(self, mesh: Mesh, plan: Plan, events: list[Event], capsys: pytest.CaptureFixture[str]) -> None:
        view, lines, trail = RunView(Board(mesh)), Lines(Output(color=False), mesh, clock=lambda: 0.0), Trail()
        hear = trail.watch(mesh, plan, lines)
        self.verifying: list[bool] = []
        for event in events:
            view.take(event)
            hear(event)
            self.verifying.append(view.verifying())
        lines.picture()
        self.log = [(cluster, _brief(kind, peer), text) for cluster, kind, peer, text in view.lines_since(0)]
        self.links = view.board.links
        self.printed = capsys.readouterr().out
        self.reported = trail.text(1)


def events_of(made: Any) -> list[Event]:
    events: list[Event] = []
    made.run(events.append)
    return events


@pytest.mark.parametrize("broken", [False, True])
def test_a_run_whose_ids_say_nothing_is_shown_as_any(broken: bool, capsys: pytest.CaptureFixture[str]) -> None:
    made = setting(3)
    if broken:
        made.machine(2).unreachable = True
    events, plan = events_of(made), plan_of(made.mesh)
    capsys.readouterr()
    hidden = Hidden()
    usual = Shown(made.mesh, plan, events, capsys)
    other = Shown(made.mesh, hidden.plan(plan), [hidden.event(event) for event in events], capsys)
    assert vars(other) == vars(usual)
    assert ("cluster1", "secret/cluster3") in {(cluster, brief) for cluster, brief, _ in usual.log} or broken
    assert any(usual.verifying) is not broken
    assert re.search(r"cluster1/RemoteSecret/cluster2: ", usual.reported)


def test_a_look_whose_ids_say_nothing_is_shown_as_any() -> None:
    mesh = MESHES["three primaries"]
    plan = plan_of(mesh)

    def found(plan: Plan) -> list[Found]:
        lacking = [step for step in plan.steps if (step.kind, step.cluster) == (kinds.REMOTE_SECRET, "cluster3")]
        return [Found(step, "conflict" if step in lacking else "done") for step in plan.steps]

    usual, other = found(plan), found(Hidden().plan(plan))
    assert half_linked(other) == half_linked(usual) == [("cluster1", "cluster3"), ("cluster2", "cluster3")]
    assert drawing(mesh, other) == drawing(mesh, usual)
    assert "broken" in drawing(mesh, usual)


def test_events_tell_kind_and_peer() -> None:
    events = [event for event in events_of(setting(2)) if isinstance(event, StepEvent) and event.step]
    about = {step.id: step.named() for step in plan_of(setting(2).mesh).steps}
    assert {type(event).__name__ for event in events} >= {"StepChanged", "StepSaid", "Answered"}
    for event in events:
        assert event.as_dict().items() >= about[event.step].items()
        assert type(event.kind) is str
    changed = [event for event in events if isinstance(event, StepChanged) and event.status is Status.DONE]
    assert ("remote-secret", "cluster1", "cluster2") in {(each.kind, each.cluster, each.peer) for each in changed}


# -- nothing else puts an id together, or takes one apart

_APART = {
    "split",
    "rsplit",
    "partition",
    "rpartition",
    "startswith",
    "endswith",
    "removeprefix",
    "removesuffix",
    "find",
}


def _offences(tree: ast.AST) -> Iterator[str]:
    names = "|".join(re.escape(kind) for kind in vars(kinds).values() if isinstance(kind, kinds.Kind))
    of_a_kind = re.compile(rf"/({names})(/.*)?")
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for before, part in zip(node.values, node.values[1:], strict=False):
                text = part.value if isinstance(part, ast.Constant) else ""
                if isinstance(before, ast.FormattedValue) and of_a_kind.fullmatch(str(text)):
                    yield f"line {node.lineno}: an id is put together"
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in _APART:
            whose = called.value
            if isinstance(whose, ast.Attribute) and whose.attr in ("id", "step", "_step"):
                yield f"line {node.lineno}: an id is taken apart"  # type: ignore[attr-defined]


def test_no_module_knows_what_an_id_looks_like() -> None:
    files = [file for place in ("wizard", "screens", "state") for file in sorted((ROOT / place).rglob("*.py"))]
    found = {str(file.relative_to(ROOT)): list(_offences(ast.parse(file.read_text()))) for file in files}
    assert {name: offences for name, offences in found.items() if offences} == {}
    for bad in ('f"{cluster.name}/verify"', 'f"{a}/route/{b}"', 'step.id.endswith("/verify")', 'event.step.split("/")'):
        assert list(_offences(ast.parse(bad))), bad


@pytest.mark.parametrize("mesh", MESHES.values(), ids=MESHES)
def test_every_step_of_a_plan_is_of_a_listed_kind_so_that_its_rights_are_asked_for(mesh: Mesh) -> None:
    assert {type(step) for step in plan_of(mesh).steps} <= set(STEPS)
    assert len({str(each.kind) for each in STEPS}) == len(STEPS)
