"""What a person agreed to is what is done: a plan that went stale since is refused, and nothing is touched."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import wizard.console.settings
from tests.unit.conftest import Pages
from tests.unit.test_simulated_topologies import Town, members
from tests.unit.test_simulated_topologies import mesh as mesh_of
from wizard.clusters.kinds import DEPLOYMENT, NAMESPACE, POD, Ref
from wizard.commands.main import run
from wizard.engine.approval import Approval, Stale, seen
from wizard.engine.engine import Engine
from wizard.engine.events import Status
from wizard.engine.step import Conflict, Difference, Done, Job, Kind, Needed, Plan, Probe, Step
from wizard.errors import Unreachable
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.operations.choice import first
from wizard.operations.operation import Operation
from wizard.operations.prepared import prepare
from wizard.operations.working import working
from wizard.simulated.outside import SimulatedOutside
from wizard.world import World

pytestmark = pytest.mark.promise(22)

SYSTEM = Ref(NAMESPACE, SYSTEM_NAMESPACE)
NETWORK = "topology.istio.io/network"
WORLD: Any = World(clusters={}, istioctl=None, roots=None, simulated=True)  # type: ignore[arg-type]


class Shown(Step):
    """Looks as it is told, the last look for ever."""

    kind = Kind("shown")

    def __init__(self, *looks: Probe | Unreachable, waits: bool = False, id: str = "a") -> None:
        super().__init__(f"step {id}", cluster="c")
        self.id = id
        self.looks = list(looks)
        self.applied = False
        self.asks: object = 1
        self.waits = waits

    def wanted(self) -> object:
        return self.asks

    def probe(self, world: World) -> Probe:
        if self.applied:
            return Done()
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Unreachable):
            raise look
        return look

    def apply(self, world: World, job: Job) -> None:
        self.applied = True


def needs(*fields: str, found: str | None = None, transient: bool = False) -> Needed:
    return Needed(tuple(Difference("ConfigMap x", field, found, "1", transient=transient) for field in fields))


def agreed_run(step: Step, change: Callable[[], None] = lambda: None) -> tuple[Engine, list[str]]:
    """An engine for what a look at this step showed, and what it recorded."""
    looks = Engine(Plan((step,)), WORLD, Pages(), lambda _: None, mesh="m").look()
    approval = Approval(seen(Plan((step,)), looks), "Look again: R.")
    change()
    told: list[str] = []
    engine = Engine(
        Plan((step,)), WORLD, Pages(), lambda _: None, mesh="m", resume="meshwizard resume m",
        approval=approval, agreed=lambda: told.append("begun"),
    )  # fmt: skip
    return engine, told


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (Done(), needs("data.x"), "c: step a: was done then, and now ConfigMap x: data.x: absent → 1"),
        (needs("data.x"), needs("data.x", "data.y"), "c: step a: now ConfigMap x: data.y: absent → 1"),
        (needs("data.x"), needs("data.x", found="theirs"), "c: step a: now ConfigMap x: data.x: theirs → 1"),
        (needs("data.x"), Conflict("theirs now", "ask"), "c: step a: in conflict since: theirs now"),
        (Conflict("theirs", "ask"), Conflict("others'", "ask"), "c: step a: in conflict since: others'"),
        (Conflict("theirs", "ask"), needs("data.x"), "was in conflict then, and now ConfigMap x: data.x"),
        (Unreachable("silent"), needs("data.x"), "was not seen then, and now ConfigMap x: data.x"),
    ],
)
def test_what_was_not_shown_is_not_done(then: Probe | Unreachable, now: Probe, told: str) -> None:
    step = Shown(then, now)
    engine, begun = agreed_run(step)
    outcome = engine.run()
    assert outcome.exit_code == 3
    assert told in outcome.what
    assert "nothing was changed" in outcome.what
    assert outcome.remedy == "Look again: R."
    assert (step.applied, begun, outcome.refused) == (False, [], True)
    assert outcome.statuses == {"a": Status.WAITING}


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (needs("data.x", "data.y"), needs("data.y")),
        (needs("data.x"), Done()),
        (Done(), Done()),
        (Done(), needs("pod-7", transient=True)),
        (needs("data.x"), Needed((*needs("data.x").differences, *needs("pod-7", transient=True).differences))),
    ],
)
def test_less_than_was_shown_is_done(then: Probe, now: Probe) -> None:
    engine, begun = agreed_run(Shown(then, now))
    assert engine.run().ok
    assert begun == ["begun"]


def test_what_only_waits_changes_nothing_and_is_not_asked_about() -> None:
    engine, _ = agreed_run(Shown(Done(), needs("pods"), waits=True))
    assert engine.run().ok


def test_another_wish_is_another_plan() -> None:
    step = Shown(needs("data.x"))
    engine, _ = agreed_run(step, lambda: setattr(step, "asks", 2))
    outcome = engine.run()
    assert "the mesh asks for something else than then" in outcome.what
    assert not step.applied


def test_steps_that_came_or_went_are_another_plan() -> None:
    a, b = Shown(needs("data.x")), Shown(needs("data.x"), id="b")
    approval = Approval({"a": seen(Plan((a,)), {"a": needs("data.x")})["a"]}, "again")
    with pytest.raises(Stale, match="step b: was not in the plan then"):
        approval.check(Plan((a, b)), {"a": needs("data.x"), "b": needs("data.x")})
    with pytest.raises(Stale, match="step a is not in the plan any more"):
        approval.check(Plan(()), {})


def test_what_could_not_be_looked_at_is_compared_before_it_is_applied() -> None:
    """A cluster that was silent for a moment holds nobody up, and nothing slips through behind it."""
    silent, now = Unreachable("silent"), needs("data.x", found="theirs")
    step, other = Shown(needs("data.x"), silent, now), Shown(needs("data.x"), id="b")
    plan = Plan((step, other))
    looks = Engine(plan, WORLD, Pages(), lambda _: None, mesh="m").look()
    outcome = Engine(
        plan, WORLD, Pages(), lambda _: None, mesh="m", approval=Approval(seen(plan, looks), "Look again.")
    ).run()
    assert outcome.statuses == {"a": Status.CONFLICT, "b": Status.DONE}
    assert outcome.exit_code == 3
    assert "data.x: theirs → 1" in outcome.what
    assert not step.applied


# -- over simulated clusters


@pytest.fixture
def town(tmp_path: Path) -> Town:
    outside = SimulatedOutside(2, 0)
    return Town(tmp_path, outside, mesh_of(members(outside, "node-port", [None, None])))


def agreed(town: Town) -> Operation:
    """What somebody agreed to."""
    made = prepare(town.mesh, town.outside, town.folder)
    return first(made, None, agreed=made.approval(made.look(), "Look again: R on the review screen."))


def relabel(town: Town) -> None:
    def change(item: Any) -> None:
        item["metadata"]["labels"][NETWORK] = "elsewhere"

    town.machine("cluster2").change(SYSTEM, change, manager="kubectl-label")


def test_an_approved_install_is_done(town: Town) -> None:
    operation = agreed(town)
    with working(operation, town.events.append) as engine:
        outcome = engine.run()
    assert outcome.ok, outcome.what
    assert not outcome.refused


def test_while_things_start_a_plan_stays_what_it_was(town: Town) -> None:
    """Pods come and go by themselves; that is no reason to look at a plan again."""
    assert town.run().ok
    town.outside.cluster("cluster1", town.mesh.cluster("cluster1").context).delete(
        Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)
    )
    operation = agreed(town)
    for pod in town.machine("cluster1").listed(POD, "sample"):
        town.machine("cluster1").store.remove(Ref(POD, pod["metadata"]["name"], "sample"))
    with working(operation, town.events.append) as engine:
        outcome = engine.run()
    assert outcome.ok, outcome.what


def test_drift_after_the_look_is_refused_and_nothing_is_recorded(town: Town) -> None:
    assert town.run().ok
    operation = agreed(town)
    relabel(town)
    before, recorded = town.changes(), town.folder.read("mesh1")
    with working(operation, town.events.append) as engine:
        outcome = engine.run()
    assert outcome.exit_code == 3
    assert "cluster2: Namespace and network label: was done then, and now" in outcome.what
    assert f"labels.{NETWORK}: elsewhere (set by kubectl-label) → network2" in outcome.what
    assert outcome.remedy == "Look again: R on the review screen."
    assert (town.changes(), town.folder.read("mesh1")) == (before, recorded)
    assert outcome.refused
    with working(agreed(town), town.events.append) as engine:
        assert engine.run().ok


def test_an_approved_run_that_was_interrupted_needs_no_approval_to_go_on(town: Town) -> None:
    operation = agreed(town)
    town.outside.istioctl.fail_at = {"Pilot": "no"}
    with working(operation, town.events.append) as engine:
        assert not engine.run().ok
    town.outside.istioctl.fail_at = {}
    with working(operation.again(), town.events.append) as engine:
        outcome = engine.run()
    assert outcome.ok, outcome.what


def test_a_departure_that_was_agreed_to_is_compared_before_it_begins(tmp_path: Path) -> None:
    outside = SimulatedOutside(3, 0)
    three = mesh_of(members(outside, "node-port", [None] * 3))
    town = Town(tmp_path, outside, three)
    assert town.run().ok
    town.mesh = replace(three, clusters=three.clusters[:2])
    operation = agreed(town)
    relabel(town)
    before = town.changes()
    with pytest.raises(Stale, match="cluster2: Namespace"), working(operation, town.events.append):
        pass
    assert town.changes() == before
    following: Operation | None = agreed(town)
    names = []
    while following:
        names.append(following.name)
        with working(following, town.events.append) as engine:
            outcome = following.run(engine)
        assert outcome.ok, outcome.what
        following = following.then()
    assert names == ["departure", "apply"]


# -- in a file


@pytest.fixture
def shell(
    tmp_path: Path, town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command line; gives the exit code and all that was said."""
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: town.outside)
    meshfile(tmp_path)

    def command(*arguments: str) -> tuple[int, str]:
        code = run(["--state-dir", str(tmp_path / "state"), *arguments])
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    return command


def meshfile(folder: Path, port: int = 31443) -> str:
    clusters = [
        {"name": f"cluster{number}", "context": context, "network": f"network{number}", "gateway": {"port": port}}
        for number, context in enumerate(
            [entry.context for entry in SimulatedOutside(2, 0).contexts()], 1
        )
    ]  # fmt: skip
    path = folder / "mesh.yaml"
    path.write_text(json.dumps({"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}))
    return str(path)


Shell = Callable[..., tuple[int, str]]


def test_a_plan_that_was_kept_is_applied(shell: Shell, tmp_path: Path) -> None:
    mesh, plan = str(tmp_path / "mesh.yaml"), tmp_path / "the plan"
    code, said = shell("plan", "-f", mesh, "--out", str(plan))
    assert code == 0
    assert f"meshwizard apply -f {mesh} --plan '{plan}' --state-dir {tmp_path / 'state'}" in said
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    assert shell("apply", "-f", mesh, "--plan", str(plan))[0] == 0
    code, said = shell("apply", "-f", mesh, "--plan", str(plan))
    assert code == 3
    assert "another run worked on this mesh since" in said
    assert f"meshwizard plan -f {mesh} --out '{plan}' --force" in said
    assert shell("plan", "-f", mesh, "--out", str(plan))[0] == 2  # not overwritten by mistake
    assert shell("plan", "-f", mesh, "--out", str(plan), "--force")[0] == 0
    assert shell("apply", "-f", mesh, "--plan", str(plan))[0] == 0


def test_a_plan_holds_no_secret_and_nothing_of_the_clusters(shell: Shell, town: Town, tmp_path: Path) -> None:
    assert shell("apply", "-f", str(tmp_path / "mesh.yaml"))[0] == 0
    relabel(town)
    plan = tmp_path / "plan"
    assert shell("plan", "-f", str(tmp_path / "mesh.yaml"), "--out", str(plan))[0] == 0
    text = plan.read_text()
    assert "elsewhere" not in text
    assert not any(word in text for word in ("token", "PRIVATE", "simulated-token"))


def test_a_stale_plan_is_refused_and_nothing_is_touched(shell: Shell, town: Town, tmp_path: Path) -> None:
    mesh, plan = str(tmp_path / "mesh.yaml"), str(tmp_path / "plan")
    assert shell("plan", "-f", mesh, "--out", plan)[0] == 0
    other = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE, "labels": {NETWORK: "n"}}}
    town.machine("cluster2").apply_as("somebody", other)
    code, said = shell("apply", "-f", mesh, "--plan", plan)
    assert code == 3
    assert "cluster2: Namespace and network label: in conflict since" in said
    assert town.folder.read("mesh1") is None
    assert town.machine("cluster1").found(SYSTEM) is None


def test_a_mesh_file_that_changed_is_another_plan(shell: Shell, town: Town, tmp_path: Path) -> None:
    mesh, plan = str(tmp_path / "mesh.yaml"), str(tmp_path / "plan")
    assert shell("plan", "-f", mesh, "--out", plan)[0] == 0
    meshfile(tmp_path, 31777)
    code, said = shell("apply", "-f", mesh, "--plan", plan)
    assert code == 3
    assert "the mesh asks for something else than then" in said
    assert town.machine("cluster1").found(SYSTEM) is None


def test_a_name_that_leads_to_another_cluster_is_another_plan(shell: Shell, town: Town, tmp_path: Path) -> None:
    mesh, plan = str(tmp_path / "mesh.yaml"), tmp_path / "plan"
    assert shell("plan", "-f", mesh, "--out", str(plan))[0] == 0
    shape = json.loads(plan.read_text())
    shape["clusters"]["cluster2"] = "another"
    plan.write_text(json.dumps(shape))
    code, said = shell("apply", "-f", mesh, "--plan", str(plan))
    assert code == 3
    assert "cluster2 is another cluster than then" in said


def test_an_interrupted_apply_of_a_plan_is_resumed_without_it(shell: Shell, town: Town, tmp_path: Path) -> None:
    mesh, plan = str(tmp_path / "mesh.yaml"), tmp_path / "plan"
    assert shell("plan", "-f", mesh, "--out", str(plan))[0] == 0
    town.outside.istioctl.fail_at = {"Pilot": "no"}
    assert shell("apply", "-f", mesh, "--plan", str(plan))[0] == 1
    town.outside.istioctl.fail_at = {}
    plan.unlink()
    assert shell("resume")[0] == 0


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"apiVersion": "meshwizard/v1", "kind": "Mesh"}', "[" * 10_000,
     '{"apiVersion": "meshwizard/v1", "kind": "Plan", "mesh": "mesh1", "state": "", "clusters": {}, "leaving": [], '
     '"steps": {"a": {"inputs": 1, "state": "done", "digests": []}}}',
     '{"apiVersion": "meshwizard/v1", "kind": "Plan", "mesh": "mesh1", "state": "", "clusters": {}, "leaving": [], '
     '"steps": {"a": {"inputs": "1", "state": "perhaps", "digests": []}}}'],
)  # fmt: skip
def test_what_is_no_plan_is_bad_input(shell: Shell, town: Town, tmp_path: Path, content: str) -> None:
    plan = tmp_path / "plan"
    plan.write_text(content)
    code, said = shell("apply", "-f", str(tmp_path / "mesh.yaml"), "--plan", str(plan))
    assert code == 2
    assert "no plan that can be used" in said
    assert town.machine("cluster1").found(SYSTEM) is None
    plan.unlink()
    assert shell("apply", "-f", str(tmp_path / "mesh.yaml"), "--plan", str(plan))[0] == 2


def test_a_plan_of_another_mesh_is_refused(shell: Shell, tmp_path: Path) -> None:
    mesh, plan = str(tmp_path / "mesh.yaml"), tmp_path / "plan"
    assert shell("plan", "-f", mesh, "--out", str(plan))[0] == 0
    plan.write_text(plan.read_text().replace('"mesh": "mesh1"', '"mesh": "other"'))
    code, said = shell("apply", "-f", mesh, "--plan", str(plan))
    assert code == 3
    assert "a plan of mesh other" in said
