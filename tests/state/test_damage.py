"""Files that cannot be believed: never a traceback, never "nothing installed"."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from state import MeshState, StateDamaged, StateError, StateFolder, StateTooNew, Unreadable, schema
from tests.state.helpers import MESH, contents, remember, start

pytestmark = pytest.mark.promise(4)

GENERATIONS = ("state.json", "state.json.1", "state.json.2", "state.json.3")


@pytest.fixture
def mesh(folder: StateFolder) -> Path:
    """The folder of a mesh whose generations are all there."""
    remember(folder)
    remember(folder)
    path = folder.path_of(MESH)
    assert set(GENERATIONS) <= set(contents(path))
    return path


def known(folder: StateFolder) -> MeshState:
    state = folder.read(MESH)
    assert state is not None
    return state


def test_every_truncation_gives_the_generation_before(folder: StateFolder, mesh: Path) -> None:
    whole = (mesh / "state.json").read_bytes()
    before = schema.decode((mesh / "state.json.1").read_bytes(), MESH, "x")[0]
    for length in range(len(whole) - 1):  # the last byte is the newline, without which nothing is lost
        (mesh / "state.json").write_bytes(whole[:length])
        assert known(folder) == before, length


def test_every_bit_flipped_is_noticed() -> None:
    data = (Path(__file__).parent / "golden" / "schema-2.json").read_bytes()
    good = schema.decode(data, MESH, "x")
    refused = 0
    for position in range(len(data)):
        for mask in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            flipped = bytearray(data)
            flipped[position] ^= mask
            try:
                assert schema.decode(bytes(flipped), MESH, "x") == good, (position, mask)
            except (schema.Damaged, StateTooNew):
                refused += 1
    assert refused > 9 * len(data) * 0.95  # what is let through is white space, and A for a in an escaped character


def test_every_byte_flipped_gives_the_same_or_the_generation_before(folder: StateFolder, mesh: Path) -> None:
    whole = (mesh / "state.json").read_bytes()
    good = known(folder)
    before = schema.decode((mesh / "state.json.1").read_bytes(), MESH, "x")[0]
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        (mesh / "state.json").write_bytes(flipped)
        try:
            assert known(folder) in (good, before), position
        except StateTooNew:
            assert whole[:position].endswith(b'{"schema":')


@pytest.mark.parametrize("bad", range(1, 4))
def test_the_newest_good_generation_is_used_and_the_bad_are_kept(folder: StateFolder, mesh: Path, bad: int) -> None:
    best = schema.decode((mesh / GENERATIONS[bad]).read_bytes(), MESH, "x")[0]
    for file in GENERATIONS[:bad]:
        (mesh / file).write_bytes(b"garbage of " + file.encode())
    assert known(folder) == best
    assert not [name for name in contents(mesh) if "quarantined" in name], "reading changes nothing"
    with folder.open(MESH) as journal:
        assert journal.state == best
        assert journal.recovered is not None
        assert str(mesh / "state.json") in journal.recovered
        assert f"{GENERATIONS[bad]}, serial {best.serial}" in journal.recovered
        aside = {name: data for name, data in contents(mesh).items() if "quarantined" in name}
        assert sorted(aside.values()) == sorted(b"garbage of " + file.encode() for file in GENERATIONS[:bad])
        assert any(name in journal.recovered for name in aside)
    with start(folder) as journal:
        assert journal.recovered is not None, "nothing was written since: still a recovery"
        assert journal.state.lineage == best.lineage
        assert journal.state.serial > best.serial
    with folder.open(MESH) as journal:
        assert journal.recovered is None


def test_with_none_left_it_is_damaged_not_absent(folder: StateFolder, mesh: Path) -> None:
    lineage = known(folder).lineage
    for file in GENERATIONS:
        (mesh / file).write_bytes(b"")
    with pytest.raises(StateDamaged, match=r"state\.json is empty"):
        folder.read(MESH)
    for _ in range(2):  # the second finds only what the first put aside
        with folder.open(MESH) as journal:
            assert journal.recovered is not None
            assert "No earlier state is left" in journal.recovered
            assert journal.state.steps == {}
            assert journal.state.lineage != lineage
        assert folder.names() == [MESH]
        with pytest.raises(StateDamaged, match="quarantined"):
            folder.read(MESH)
        assert isinstance(folder.summaries()[0], Unreadable)
    start(folder).close()
    assert known(folder).steps.keys() == {"namespace/cluster1"}
    with folder.open(MESH) as journal:
        assert journal.recovered is None


def test_a_missing_state_file_is_not_nothing(folder: StateFolder, mesh: Path) -> None:
    (mesh / "state.json").unlink()
    with folder.open(MESH) as journal:
        assert "is missing" in (journal.recovered or "")
        assert "state.json.1" in (journal.recovered or "")


def test_a_bad_older_generation_is_put_aside_without_a_word(folder: StateFolder, mesh: Path) -> None:
    good = known(folder)
    (mesh / "state.json.2").write_bytes(b"x")
    with folder.open(MESH) as journal:
        assert journal.recovered is None
        assert journal.state == good


@pytest.mark.promise(5)
def test_a_restored_older_file_gives_way_to_its_backup(folder: StateFolder, mesh: Path) -> None:
    (mesh / "state.json").write_bytes((mesh / "state.json.3").read_bytes())
    with folder.open(MESH) as journal:
        assert "older than its own backup state.json.1" in (journal.recovered or "")
        assert journal.state == schema.decode((mesh / "state.json.1").read_bytes(), MESH, "x")[0]


@pytest.mark.promise(5)
def test_a_foreign_lineage_gives_way(folder: StateFolder, mesh: Path, tmp_path: Path) -> None:
    lineage = known(folder).lineage
    other = StateFolder(tmp_path / "other")
    for _ in range(5):
        remember(other)
    (mesh / "state.json").write_bytes((other.path_of(MESH) / "state.json").read_bytes())
    with folder.open(MESH) as journal:
        assert "another history" in (journal.recovered or "")
        assert journal.state.lineage == lineage


def test_the_state_of_another_mesh_is_not_believed(folder: StateFolder, mesh: Path) -> None:
    remember(folder, "mesh2")
    (mesh / "state.json").write_bytes((folder.path_of("mesh2") / "state.json").read_bytes())
    with folder.open(MESH) as journal:
        assert "another mesh, mesh2" in (journal.recovered or "")


def test_a_copy_from_another_machine_is_taken_where_nothing_is_known(folder: StateFolder, mesh: Path) -> None:
    other = StateFolder(folder.folder.parent / "other")
    other.path_of(MESH).mkdir(parents=True, mode=0o700)
    (other.path_of(MESH) / "state.json").write_bytes((mesh / "state.json").read_bytes())
    with other.open(MESH) as journal:
        assert journal.recovered is None
        assert journal.state == known(folder)


def test_a_huge_file_is_not_read_into_memory(folder: StateFolder, mesh: Path) -> None:
    os.truncate(mesh / "state.json", 1 << 40)  # sparse
    assert known(folder)
    with folder.open(MESH) as journal:
        assert "larger than 16 MiB" in (journal.recovered or "")


def test_one_bad_mesh_does_not_hide_the_others(folder: StateFolder, mesh: Path) -> None:
    remember(folder, "good")
    for file in GENERATIONS:
        (mesh / file).write_bytes(b"{")
    remember(folder, "newer")
    (folder.path_of("newer") / "state.json").write_bytes(b'{"schema": 99}')
    (folder.folder / "linked").symlink_to(mesh)
    found = {entry.name: type(entry) for entry in folder.summaries()}
    assert found == {"good": MeshState, MESH: Unreadable, "newer": Unreadable, "linked": Unreadable}


@pytest.mark.promise(5)
def test_a_file_replaced_during_a_run_is_not_overwritten(folder: StateFolder, mesh: Path) -> None:
    with start(folder) as journal:
        data = json.loads((mesh / "state.json").read_bytes())
        (mesh / "state.json").write_bytes((mesh / "state.json.2").read_bytes())
        before = contents(mesh)
        with pytest.raises(StateError, match="replaced by something else"):
            journal.begin("x", "")
        (mesh / "state.json").write_bytes(b"")
        with pytest.raises(StateError, match="something else wrote it"):
            journal.begin("x", "")
        assert {**before, "state.json": b""} == contents(mesh)
        (mesh / "state.json").write_text(json.dumps(data))  # the same content: no reason to complain
        journal.begin("x", "")
        (mesh / "state.json").unlink()
        journal.begin("y", "")
    assert known(folder).steps.keys() == {"namespace/cluster1", "x", "y"}
