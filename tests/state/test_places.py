"""Where state may lie, and under which names."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from state import StateError, StateFolder, default_folder
from tests.state.helpers import MESH, contents, forget, remember

BAD_NAMES = [
    "", ".", "..", "../x", "a/b", "/etc", "a\0b", "A", "mesh_1", "-a", "a-", "a\n", "a.b", "é", "x" * 64, "~", " a",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_no_labels_are_refused(folder: StateFolder, name: str) -> None:
    for use in (folder.path_of, folder.read, folder.open):
        with pytest.raises(StateError, match="not a name for a mesh"):
            use(name)
    assert not folder.folder.exists()


@pytest.mark.parametrize("name", ["a", "0", "mesh-1", "x" * 63])
def test_labels_are_names(folder: StateFolder, name: str) -> None:
    assert folder.path_of(name) == folder.folder / name


@pytest.mark.promise(8)
def test_modes(folder: StateFolder) -> None:
    old = os.umask(0)
    try:
        remember(folder)
        remember(folder)
    finally:
        os.umask(old)
    path = folder.path_of(MESH)
    assert stat.S_IMODE(folder.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in path.iterdir()} == {0o600}


@pytest.mark.promise(8)
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("mode", "why"), [(0o777, "everybody"), (0o1777, "everybody"), (0o770, "group")])
def test_folders_that_others_can_write_are_refused(folder: StateFolder, mode: int, why: str, deep: bool) -> None:
    remember(folder)
    place = folder.path_of(MESH) if deep else folder.folder
    place.chmod(mode)
    for use in (folder.open, folder.read):
        with pytest.raises(StateError, match=why) as caught:
            use(MESH)
        assert str(place) in caught.value.what
        assert caught.value.mend == ("chmod", "go-w", str(place))


@pytest.mark.promise(8)
def test_a_folder_in_a_place_where_everybody_writes(tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(StateError, match="lies in"):
        StateFolder(place / "state").open(MESH)
    place.chmod(0o1777)
    StateFolder(place / "state").open(MESH).close()


def test_readable_by_others_is_no_reason_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    StateFolder(tmp_path / "state").open(MESH).close()


@pytest.mark.promise(8)
def test_a_folder_of_somebody_else(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(folder)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    for use in (folder.open, folder.read):
        with pytest.raises(StateError, match="belongs to another user"):
            use(MESH)


@pytest.mark.promise(8)
@pytest.mark.parametrize("deep", [False, True])
def test_linked_folders_are_refused(folder: StateFolder, tmp_path: Path, deep: bool) -> None:
    remember(folder)
    place = folder.path_of(MESH) if deep else folder.folder
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    before = contents(tmp_path / "elsewhere") if deep else {}
    for use in (folder.open, folder.read):
        with pytest.raises(StateError, match="symbolic link"):
            use(MESH)
    if deep:
        assert contents(tmp_path / "elsewhere") == before


def test_a_linked_parent_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    remember(StateFolder(tmp_path / "link" / "state"))
    assert StateFolder(tmp_path / "real" / "state").names() == [MESH]


@pytest.mark.promise(8)
@pytest.mark.parametrize("file", ["state.json", "state.json.1", "lock"])
def test_linked_files_are_refused_and_not_followed(folder: StateFolder, tmp_path: Path, file: str) -> None:
    remember(folder)
    path = folder.path_of(MESH) / file
    target = tmp_path / "target"
    path.rename(target)
    path.symlink_to(target)
    before = target.read_bytes()
    with pytest.raises(StateError, match=f"{file} is a symbolic link"):
        folder.open(MESH)
    assert target.read_bytes() == before
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StateError, match="symbolic link"):
        folder.open(MESH)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.promise(8)
@pytest.mark.parametrize("file", ["state.json", "state.json.1", "lock"])
@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_what_is_no_file_is_refused_without_hanging(folder: StateFolder, file: str, kind: str) -> None:
    remember(folder)
    path = folder.path_of(MESH) / file
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(StateError):
        folder.open(MESH)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    folder = StateFolder(tmp_path / "state")
    for use in (folder.open, folder.read):
        with pytest.raises(StateError, match="cannot be used as a folder"):
            use(MESH)
    with pytest.raises(StateError):
        StateFolder(tmp_path / "state" / "below").open(MESH)


def test_names_lists_what_is_remembered(folder: StateFolder) -> None:
    assert folder.names() == []
    remember(folder, "zebra")
    remember(folder, "ant")
    folder.open("only-opened").close()
    (folder.folder / "Notes").mkdir()
    (folder.folder / "file").write_text("")
    assert folder.names() == ["ant", "zebra"]
    assert [entry.name for entry in folder.summaries()] == ["ant", "zebra"]
    assert folder.read("only-opened") is None
    assert folder.read("unheard-of") is None
    assert not folder.path_of("unheard-of").exists()


def test_forget_leaves_the_lock_and_the_logs(folder: StateFolder) -> None:
    remember(folder)
    remember(folder)
    path = folder.path_of(MESH)
    (path / "state.json").write_bytes(b"")
    folder.open(MESH).close()
    (path / "run.log").write_text("log")
    forget(folder)
    assert contents(path).keys() == {"lock", "run.log"}
    assert folder.names() == []
    assert folder.read(MESH) is None
    with folder.open(MESH) as journal:
        assert journal.recovered is None
        assert journal.state.serial == 0


def test_the_default_folder_belongs_to_the_program() -> None:
    assert default_folder().name == "meshwizard"


def test_importing_is_light() -> None:
    script = "import sys, state; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"json", "hashlib", "platformdirs", "dataclasses", "pathlib", "typing_extensions", "state.folder"}
    assert not heavy & set(loaded)
    ours = {name for name in loaded if name.split(".")[0] in ("wizard", "screens")}
    assert not ours
