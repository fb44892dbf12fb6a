"""From a mesh to a run: what is settled once stays, one run at a time, and a context that leads elsewhere is noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from state import MeshState, StateDamaged, StateError, StateFolder
from tests.unit.conftest import Setting, setting
from wizard.engine.events import Event, RunStarted, StepSaid
from wizard.errors import BadInput, Busy, Failed, NeedsPerson, Unreachable
from wizard.mesh.model import Gateway, Mesh
from wizard.operations.apply import Apply
from wizard.operations.choice import first, kind_of
from wizard.operations.options import RunOptions
from wizard.operations.prepared import Prepared, prepare
from wizard.operations.recorded import saved_mesh
from wizard.operations.uninstall import Uninstall
from wizard.operations.working import working
from wizard.simulated import controllers
from wizard.simulated.machine import Machine
from wizard.simulated.machines import populate
from wizard.simulated.outside import SimulatedOutside


@pytest.fixture
def made() -> Setting:
    return setting()


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state")


def unsettled(mesh: Mesh) -> Mesh:
    """The mesh as a person writes it, with all open that can be found."""
    clusters = tuple(replace(cluster, gateway=Gateway(), api_server=None) for cluster in mesh.clusters)
    return replace(mesh, clusters=clusters, istio=replace(mesh.istio, version=None))


def run(session: Prepared) -> bool:
    with working(Apply(session), lambda event: None) as engine:
        return engine.run().ok


def test_a_run_is_recorded_and_can_be_taken_up_by_name(made: Setting, folder: StateFolder) -> None:
    assert run(prepare(unsettled(made.mesh), made.outside, folder))
    mesh, state = saved_mesh(folder, "mesh1")
    assert state.finished
    assert {record.status for record in state.steps.values()} == {"done"}
    assert mesh == made.mesh
    assert set(state.clusters) == {"cluster1", "cluster2"}


def test_what_was_found_once_stays_when_a_cluster_is_silent(made: Setting, folder: StateFolder) -> None:
    assert run(prepare(unsettled(made.mesh), made.outside, folder))
    made.machine(2).unreachable = True
    later = prepare(unsettled(made.mesh), made.outside, folder)
    assert later.mesh == made.mesh
    with pytest.raises(Unreachable, match="cluster2"):
        prepare(unsettled(made.mesh), made.outside, StateFolder(folder.folder.with_name("other")))


@pytest.mark.promise(10)
def test_two_runs_of_one_mesh_exclude_each_other(made: Setting, folder: StateFolder) -> None:
    first, second = (prepare(made.mesh, made.outside, folder) for _ in range(2))
    with working(Apply(first), lambda event: None), pytest.raises(Busy), working(Apply(second), lambda event: None):
        pass
    with working(Apply(second), lambda event: None) as engine:
        assert engine.run().ok


@pytest.mark.promise(7)
def test_a_context_that_leads_to_another_cluster_than_before_is_a_conflict(made: Setting, folder: StateFolder) -> None:
    assert run(prepare(made.mesh, made.outside, folder))
    swapped = SimulatedOutside(clusters=2, speed=0, seed=99)
    session = prepare(made.mesh, swapped, folder)
    with pytest.raises(NeedsPerson, match="cluster"), working(Apply(session), lambda event: None):
        pass


def test_one_cluster_under_two_contexts_is_refused_before_anything_is_touched(
    made: Setting, folder: StateFolder
) -> None:
    first, second = made.mesh.clusters
    twice = replace(made.mesh, clusters=(first, replace(second, context=first.context)))
    with pytest.raises(BadInput) as caught:
        prepare(twice, made.outside, folder)
    assert [mistake.path for mistake in caught.value.mistakes] == ["clusters[1].context"]
    assert folder.names() == []


@pytest.mark.promise(4)
def test_a_damaged_state_is_told_and_the_clusters_are_looked_at(made: Setting, folder: StateFolder) -> None:
    assert run(prepare(made.mesh, made.outside, folder))
    for file in folder.path_of("mesh1").glob("state.json*"):
        file.write_bytes(b"{rubbish")
    events: list[Event] = []
    session = prepare(unsettled(made.mesh), made.outside, folder)
    with working(Apply(session), events.append) as engine:
        assert engine.run().ok
    assert any(isinstance(event, StepSaid) and "state" in event.text for event in events)
    assert made.outside.istioctl.installs == 2  # one for each cluster, both in the first run


def test_an_unknown_name_lists_those_that_are_known(made: Setting, folder: StateFolder) -> None:
    assert run(prepare(made.mesh, made.outside, folder))
    with pytest.raises(BadInput) as caught:
        saved_mesh(folder, "other")
    assert "mesh1" in caught.value.remedy


@pytest.mark.promise(38)
def test_the_resume_command_names_a_folder_that_is_not_the_default(made: Setting, tmp_path: Path) -> None:
    place = tmp_path / "with space"
    session = prepare(made.mesh, made.outside, StateFolder(place), RunOptions(given_folder=True))
    assert session.resume_command == f"meshwizard resume mesh1 --state-dir '{place}'"
    assert prepare(made.mesh, made.outside, StateFolder(place)).resume_command == "meshwizard resume mesh1"


class Shy(StateFolder):
    """A folder whose state cannot be read now and then."""

    trouble: StateError | None = None

    def read(self, name: str) -> MeshState | None:
        if self.trouble:
            raise self.trouble
        return super().read(name)


@pytest.mark.promise(4)
def test_a_state_that_is_out_of_reach_is_not_taken_for_none(tmp_path: Path) -> None:
    made = setting(3)
    folder = Shy(tmp_path / "state")
    assert run(prepare(made.mesh, made.outside, folder))
    fewer = replace(made.mesh, clusters=made.mesh.clusters[:2])
    folder.trouble = StateError("cluster1 does not answer.", "Look at it.")
    with pytest.raises(Failed, match="does not answer"):
        prepare(fewer, made.outside, folder)
    # Damage is another thing: that cannot be waited for.
    folder.trouble = StateDamaged("The state cannot be believed.")
    believed = prepare(fewer, made.outside, folder)
    assert believed.leaving == ()
    folder.trouble = None
    with pytest.raises(NeedsPerson, match="cluster3 belonged to mesh mesh1"), working(Apply(believed), lambda _: None):
        pass
    _, state = saved_mesh(folder, "mesh1")
    assert [cluster["name"] for cluster in state.document["clusters"]] == ["cluster1", "cluster2", "cluster3"]


@pytest.mark.promise(7, 38)
def test_a_cluster_made_anew_under_its_old_name_is_taken_up_by_consent(made: Setting, folder: StateFolder) -> None:
    assert run(prepare(made.mesh, made.outside, folder))
    _, before = saved_mesh(folder, "mesh1")
    old = made.outside.machines.pop(1)
    populate(Machine(2, old.pace, 99, controllers.run, old.universe))
    session = prepare(unsettled(made.mesh), made.outside, folder)
    with pytest.raises(NeedsPerson) as refused, working(Apply(session), lambda event: None):
        pass
    assert refused.value.remedy.endswith("meshwizard resume mesh1 --rebuilt cluster2")
    with pytest.raises(BadInput, match="cluster9 is no cluster of mesh mesh1"):
        prepare(unsettled(made.mesh), made.outside, folder, RunOptions(rebuilt=("cluster9",)))
    session = prepare(unsettled(made.mesh), made.outside, folder, RunOptions(rebuilt=("cluster2",)))
    with working(Apply(session), lambda event: None) as engine:
        outcome = engine.run()
    _, state = saved_mesh(folder, "mesh1")
    assert state.clusters["cluster2"]["uid"] != before.clusters["cluster2"]["uid"]
    assert outcome.ok, outcome


@pytest.mark.promise(10)
def test_an_uninstall_forgets_the_mesh_before_anybody_else_may_begin(made: Setting, folder: StateFolder) -> None:
    assert run(prepare(made.mesh, made.outside, folder))
    session = prepare(made.mesh, made.outside, folder, undo=True)
    with working(Uninstall(session), lambda event: None) as engine:
        assert engine.undo().ok
    assert folder.names() == []


def test_an_operation_of_a_later_release_is_left_to_it(made: Setting, folder: StateFolder) -> None:
    assert run(prepare(made.mesh, made.outside, folder))
    with folder.open("mesh1") as journal:
        journal.start("rotate", journal.state.document, {}, {})
    _, state = saved_mesh(folder, "mesh1")
    with pytest.raises(BadInput, match="does not know: rotate"):
        kind_of(state)


def test_a_departure_is_recorded_and_told_as_what_it_is(folder: StateFolder) -> None:
    three = setting(3)
    assert run(prepare(three.mesh, three.outside, folder))
    events: list[Event] = []
    seen: list[tuple[str, str]] = []

    def listen(event: Event) -> None:
        events.append(event)
        state = folder.read("mesh1")
        if state:
            seen.extend((state.operation, record.status) for record in state.steps.values() if record.status != "done")

    fewer = replace(three.mesh, clusters=three.mesh.clusters[:2])
    operation = first(prepare(fewer, three.outside, folder), None)
    with working(operation, listen) as engine:
        assert operation.run(engine).ok
    assert {"departure"} == {event.operation for event in events if isinstance(event, RunStarted)}
    assert set(seen) <= {("departure", "undoing"), ("departure", "undone")}
    assert ("departure", "undone") in seen
    state = folder.read("mesh1")
    assert state is not None
    assert (state.payload, state.finished) == ({"leaving": ["cluster3"], "untouched": []}, False)
    following = operation.then()
    assert following is not None
    with working(following, listen) as engine:
        assert following.run(engine).ok
    state = folder.read("mesh1")
    assert state is not None
    assert (state.operation, state.payload, state.finished) == ("apply", {}, True)
