"""The promises of the state, on both media: a folder here, and a Secret in a cluster."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import state.journal
import state.writer
from state import (
    Journal,
    StateBusy,
    StateDamaged,
    StateError,
    StateFolder,
    StateTooNew,
    StateWriteFailed,
    WrongCluster,
    schema,
)
from tests.state.helpers import CLUSTERS, DOCUMENT, MESH, forget, remember, start
from wizard.clusters.kinds import SECRET, Object, Ref
from wizard.clusters.statesecret import LIMIT, StateSecrets, parsed
from wizard.errors import BadInput, Failed, NotAllowed, Unreachable
from wizard.simulated.outside import SimulatedOutside

NAME = Ref(SECRET, f"meshwizard-state-{MESH}", "default")
GENERATIONS = ("state.json", "state.json.1", "state.json.2", "state.json.3")


@dataclass
class Place:
    """A medium, and what a stranger may do to its files behind our back."""

    folder: StateFolder
    other: Callable[[], StateFolder]  # the same state, as another machine sees it
    files: Callable[[], dict[str, bytes]]
    put: Callable[[str, bytes], None]


class Cupboard:
    """A shelf in a simulated cluster."""

    def __init__(self, tmp_path: Path) -> None:
        self.outside = SimulatedOutside(clusters=1, speed=0)
        self.machine = self.outside.machines[0]
        self.tmp_path = tmp_path
        self.machines = 0

    def folder(self, namespace: str = "default") -> StateFolder:
        """As one more machine sees it: with a lock folder of its own."""
        self.machines += 1
        context = self.machine.context
        shelf = StateSecrets(self.outside.cluster(context, context), context, namespace)
        return StateFolder(self.tmp_path / f"machine{self.machines}", program="1.2.3", shelf=shelf)

    def files(self) -> dict[str, bytes]:
        found = self.machine.found(NAME)
        return {name: base64.b64decode(text) for name, text in ((found or {}).get("data") or {}).items()}

    def put(self, name: str, data: bytes) -> None:
        def how(secret: Object) -> None:
            secret["data"] = {**secret["data"], name: base64.b64encode(data).decode()}

        self.machine.change(NAME, how)


@pytest.fixture
def cupboard(tmp_path: Path) -> Cupboard:
    return Cupboard(tmp_path)


@pytest.fixture(params=["folder", "secret"])
def place(request: pytest.FixtureRequest, folder: StateFolder, cupboard: Cupboard) -> Place:
    if request.param == "secret":
        return Place(cupboard.folder(), cupboard.folder, cupboard.files, cupboard.put)
    path = folder.path_of(MESH)
    return Place(
        folder,
        lambda: StateFolder(folder.folder, program="1.2.3"),
        lambda: {entry.name: entry.read_bytes() for entry in path.iterdir() if entry.name != "lock"},
        lambda name, data: (path / name).write_bytes(data) and None,
    )


@pytest.mark.promise(2, 15)
def test_a_run_from_start_to_end_is_read_elsewhere(place: Place) -> None:
    other = place.other()
    with place.folder.open(MESH) as journal:
        assert journal.state.serial == 0
        assert (other.read(MESH), other.names()) == (None, []), "opening writes no state"
        journal.start("apply", DOCUMENT, {"istioctl": "/bin/istioctl"}, CLUSTERS)
        journal.begin("a", "h1")
        seen = other.read(MESH)
        assert seen is not None
        assert (seen.steps["a"].status, seen.steps["a"].attempt) == ("running", 1)
        journal.end("a", "done")
        journal.finish(True)
        state = journal.state
    assert other.read(MESH) == state
    assert (state.serial, state.finished, state.written_by) == (4, True, "1.2.3")
    assert other.names() == [MESH]
    assert other.summaries() == [state]
    assert set(place.files()) == set(GENERATIONS)
    forget(other)
    assert (place.folder.read(MESH), place.folder.names(), place.files()) == (None, [], {})


@pytest.mark.promise(15)
def test_a_dead_run_leaves_its_step_unknown_and_another_machine_goes_on(place: Place) -> None:
    with start(place.folder) as journal:
        journal.begin("b", "h")
        first = journal.state
    with place.other().open(MESH) as journal:
        assert journal.state == first
        assert journal.state.steps["b"].status == "running"
        journal.start("apply", {"name": MESH}, {}, {})
        assert (journal.state.lineage, journal.state.serial) == (first.lineage, first.serial + 1)
        assert journal.state.clusters == CLUSTERS


@pytest.mark.promise(4, 5)
def test_damage_gives_the_generation_before_and_keeps_what_was_damaged(place: Place) -> None:
    remember(place.folder)
    remember(place.folder)
    before = schema.decode(place.files()["state.json.1"], MESH, "x")[0]
    place.put("state.json", b"{rubbish")
    assert place.folder.read(MESH) == before
    with place.other().open(MESH) as journal:
        assert journal.state == before
        assert f"state.json.1, serial {before.serial}" in (journal.recovered or "")
        journal.start("apply", DOCUMENT, {}, {})
    aside = [data for name, data in place.files().items() if name.startswith("state.json.quarantined-")]
    assert aside == [b"{rubbish"]
    with place.folder.open(MESH) as journal:
        assert journal.recovered is None


@pytest.mark.promise(4)
def test_with_none_left_it_is_damaged_not_absent(place: Place) -> None:
    remember(place.folder)
    for name in place.files():
        place.put(name, b"")
    with pytest.raises(StateDamaged, match=r"state\.json is empty"):
        place.folder.read(MESH)
    with start(place.folder) as journal:
        assert "No earlier state is left" in (journal.recovered or "")
    assert place.folder.read(MESH) is not None


@pytest.mark.promise(6)
def test_a_newer_schema_is_refused_and_not_touched(place: Place) -> None:
    remember(place.folder)
    place.put("state.json", b'{"schema": 99}')
    before = place.files()
    for attempt in (place.folder.read, place.folder.open):
        with pytest.raises(StateTooNew, match="newer meshwizard"):
            attempt(MESH)
    assert place.files() == before


@pytest.mark.promise(7)
def test_a_name_is_pinned_to_its_cluster(place: Place) -> None:
    remember(place.folder)
    with place.other().open(MESH) as journal, pytest.raises(WrongCluster, match="cluster1 was the cluster with UID"):
        journal.start("apply", {}, {}, {"cluster1": {"uid": "other"}})


@pytest.mark.promise(5)
def test_what_another_wrote_meanwhile_is_not_overwritten(place: Place) -> None:
    remember(place.folder)
    with start(place.folder) as journal:
        older = place.files()["state.json.2"]
        place.put("state.json", older)
        with pytest.raises(StateError):
            journal.begin("x", "")
        assert place.files()["state.json"] == older
        with pytest.raises(StateError, match="replaced by something else"):
            journal.begin("x", "")


@pytest.mark.promise(14)
@pytest.mark.parametrize("moment", [None, "2026-01-02T03:04:05.678Z"], ids=["one after the other", "the same moment"])
def test_of_two_machines_that_write_one_is_told_and_changes_nothing(
    cupboard: Cupboard, moment: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if moment:  # then both record the very same, to the last byte
        for module in (state.journal, state.writer):
            monkeypatch.setattr(module, "now", lambda: moment)
    first, second = cupboard.folder(), cupboard.folder()
    remember(first)
    with first.open(MESH) as mine, second.open(MESH) as theirs:
        theirs.start("apply", DOCUMENT, {}, {})
        before = cupboard.files()
        with pytest.raises(StateError, match="changed by somebody else") as lost:
            mine.start("apply", DOCUMENT, {}, {})
        assert "run the same command again" in lost.value.remedy
        assert cupboard.files() == before
        theirs.begin("a", "")
    new = cupboard.folder()
    with new.open("fresh") as mine, second.open("fresh") as theirs:
        theirs.start("apply", DOCUMENT, {}, {})
        with pytest.raises(StateError, match="changed by somebody else"):
            mine.start("apply", DOCUMENT, {}, {})


@pytest.mark.promise(10)
def test_the_lock_of_this_machine_is_taken_all_the_same(cupboard: Cupboard) -> None:
    folder = cupboard.folder()
    with folder.open(MESH):
        assert sorted(entry.name for entry in folder.path_of(MESH).iterdir()) == ["lock"]
        with pytest.raises(StateBusy):
            folder.open(MESH)


@pytest.mark.promise(28)
@pytest.mark.parametrize("call", ["create", "replace"])
def test_a_write_whose_answer_was_lost_is_no_lost_race(
    cupboard: Cupboard, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cupboard.folder()
    if call == "replace":
        remember(folder)
    cluster = folder.shelf.cluster  # type: ignore[union-attr]
    real = getattr(cluster, call)

    def lost(manifest: Object) -> Object:
        monkeypatch.setattr(cluster, call, real)
        real(manifest)
        raise Unreachable("the answer was lost", "")

    with folder.open(MESH) as journal:
        serial = journal.state.serial
        monkeypatch.setattr(cluster, call, lost)
        with pytest.raises(StateWriteFailed, match="the answer was lost"):
            journal.start("apply", DOCUMENT, {}, {})
        journal.start("apply", DOCUMENT, {}, {})
        assert journal.state.serial == serial + 2

        def repeated(manifest: Object) -> Object:
            monkeypatch.setattr(cluster, "replace", keep)
            keep(manifest)
            return keep(manifest)  # as a client that asks again: the second is refused

        keep = cluster.replace
        monkeypatch.setattr(cluster, "replace", repeated)
        journal.begin("a", "")
        journal.end("a", "done")
        assert folder.read(MESH) == journal.state


@pytest.mark.promise(3)
def test_a_cluster_that_cannot_be_written_is_as_a_full_disk(cupboard: Cupboard) -> None:
    folder = cupboard.folder()
    with start(folder) as journal:
        before = journal.state
        cupboard.machine.unreachable = True
        with pytest.raises(StateWriteFailed, match=f"could not be written to Secret meshwizard-state-{MESH}"):
            journal.begin("x", "")
        assert journal.state == before
        with pytest.raises(StateError, match="does not answer"):
            folder.read(MESH)
        cupboard.machine.unreachable = False
        journal.begin("y", "")
        assert "x" not in journal.state.steps
        assert folder.read(MESH) == journal.state


def test_the_namespace_must_be_there(cupboard: Cupboard) -> None:
    folder = cupboard.folder("team-a")
    for attempt in (lambda: folder.read(MESH), lambda: folder.open(MESH), folder.names):
        with pytest.raises(StateError, match="no namespace team-a") as refused:
            attempt()
        assert refused.value.remedy.endswith("create namespace team-a")
    with cupboard.folder().open(MESH):
        pass  # nothing was left locked
    with pytest.raises(StateError, match="no namespace"):
        folder.open(MESH)


def test_who_may_not_look_at_namespaces_may_still_use_one(cupboard: Cupboard) -> None:
    cupboard.machine.missing_rights.add("get namespaces")
    remember(cupboard.folder())
    assert cupboard.folder().names() == [MESH]


def test_without_the_right_it_says_so(cupboard: Cupboard) -> None:
    cupboard.machine.missing_rights.add("create secrets")
    with pytest.raises(StateWriteFailed, match="not allowed to create secrets") as refused:
        start(cupboard.folder())
    assert isinstance(refused.value.__cause__, NotAllowed)


def test_a_secret_of_somebody_else_is_left_alone(cupboard: Cupboard) -> None:
    manifest = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME.name, "namespace": "default"},
        "type": "Opaque", "data": {"state.json": "e30="},
    }  # fmt: skip
    cupboard.machine.apply_as("somebody", manifest)
    folder = cupboard.folder()
    for attempt in (folder.read, folder.open):
        with pytest.raises(StateError, match="not a state of meshwizard"):
            attempt(MESH)
    assert folder.names() == []


def test_who_forgets_what_another_changed_is_told(cupboard: Cupboard) -> None:
    folder = cupboard.folder()
    remember(folder)
    cupboard.machine.fail_next("delete Secret", Failed("Precondition failed", ""))
    with pytest.raises(StateError, match="Precondition failed"):
        forget(folder)
    assert folder.names() == [MESH]


@pytest.mark.promise(10)
def test_what_another_wrote_meanwhile_is_not_forgotten(place: Place) -> None:
    with start(place.folder) as journal:
        foreign = place.files()["state.json"].replace(b'"made"', b'"MADE"')
        place.put("state.json", foreign)
        with pytest.raises(StateError):
            journal.forget()
    assert place.files()["state.json"] == foreign


def test_after_forgetting_nothing_is_recorded_any_more(place: Place) -> None:
    with start(place.folder) as journal:
        journal.forget()
        with pytest.raises(StateError, match="was forgotten"):
            journal.finish(True)
    assert place.files() == {}


def test_a_large_state_keeps_as_many_generations_as_fit(cupboard: Cupboard) -> None:
    folder = cupboard.folder()

    def write(journal: Journal, size: int) -> None:
        journal.start("apply", {**DOCUMENT, "ballast": ["x" * 1000] * size}, {}, CLUSTERS)

    with folder.open(MESH) as journal:
        for _ in range(4):
            write(journal, 300)
        assert set(cupboard.files()) == set(GENERATIONS[:3])
        write(journal, 900)
        assert set(cupboard.files()) == {"state.json"}
        kept = journal.state
        with pytest.raises(StateError, match=f"more than the {LIMIT} that a Secret holds") as refused:
            write(journal, 1200)
        assert "without --state" in refused.value.remedy
        assert folder.read(MESH) == kept
        write(journal, 1)
        assert {"state.json", "state.json.1"} == set(cupboard.files())


def test_the_secret_says_whose_it_is(cupboard: Cupboard) -> None:
    remember(cupboard.folder())
    found = cupboard.machine.found(NAME)
    assert found is not None
    assert found["type"] == "meshwizard/state"
    assert found["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "meshwizard", "meshwizard/state": MESH}


@pytest.mark.parametrize(
    ("place", "context", "namespace"),
    [
        ("cluster://admin@one/team", "admin@one", "team"),
        ("cluster://arn:aws:eks:eu-west-1:1:cluster/prod/team-a", "arn:aws:eks:eu-west-1:1:cluster/prod", "team-a"),
    ],
)
def test_places(place: str, context: str, namespace: str) -> None:
    assert parsed(place) == (context, namespace)


@pytest.mark.parametrize(
    "place",
    ["", "cluster://", "cluster://one", "cluster://one/", "cluster:///team", "cluster://one/Team", "one/team", "/var/state",
     "s3://one/team", "cluster://one/team/", "cluster://one/te\x1bam"],
)  # fmt: skip
def test_mistakes_in_the_place_name_the_form(place: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(place)
    assert refused.value.exit_code == 2
    assert "cluster://CONTEXT/NAMESPACE" in refused.value.remedy
    assert "\x1b" not in refused.value.what
