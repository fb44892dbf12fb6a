"""Death and full disks at every call: SQLite's way, until a run meets no fault."""

from __future__ import annotations

import errno
import os
import resource
import signal
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from state import StateError, StateFolder, StateWriteFailed, files, lock
from tests.state.helpers import (
    CLUSTERS,
    DOCUMENT,
    MESH,
    FaultyOs,
    contents,
    failing,
    forget,
    fork,
    install,
    killing,
    remember,
    start,
    wait,
)

CALLS = ("open", "write", "fsync", "close", "rename", "link", "unlink")


@pytest.mark.promise(1)
@pytest.mark.parametrize("function", CALLS)
def test_killed_at_any_call_a_reader_sees_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    for number in count(1):
        folder = StateFolder(tmp_path / str(number))
        reading, writing = os.pipe()

        def work(folder: StateFolder = folder, number: int = number, writing: int = writing) -> None:
            shim = FaultyOs(function, number, killing)
            install(monkeypatch, shim)
            with folder.open(MESH) as journal:
                journal.start("apply", DOCUMENT, {}, CLUSTERS)
                os.write(writing, b"a")
                for step in range(6):
                    journal.begin(f"s{step}", "")
                    os.write(writing, b"a")
            if shim.fired:  # killed while closing is fine, too late is not
                os._exit(2)

        code = wait(fork(work))
        os.close(writing)
        acknowledged = len(os.read(reading, 100))
        os.close(reading)
        monkeypatch.undo()
        assert code in (0, -signal.SIGKILL)
        state = folder.read(MESH)
        serial = state.serial if state else 0
        assert serial in (acknowledged, acknowledged + 1), number
        if state:
            assert list(state.steps) == [f"s{step}" for step in range(serial - 1)]
        with folder.open(MESH) as journal:
            assert journal.recovered is None
            journal.start("apply", DOCUMENT, {}, CLUSTERS)
            assert journal.state.serial == serial + 1
        assert not [name for name in contents(folder.path_of(MESH)) if name.startswith(files.TEMPORARY)]
        if code == 0:
            assert acknowledged == 7
            break
    assert number >= 7, "each record after the first makes this call"


@pytest.mark.promise(3)
@pytest.mark.parametrize("problem", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("function", CALLS)
def test_a_refusing_disk_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, problem: int
) -> None:
    failures = 0
    for number in count(1):
        folder = StateFolder(tmp_path / str(number))
        with start(folder) as journal:
            journal.begin("before", "")
            old = journal.state
            assert old == folder.read(MESH)
            shim = FaultyOs(function, number, failing(problem))
            install(monkeypatch, shim)
            try:
                journal.begin("new", "")
            except StateWriteFailed as error:
                failures += 1
                failed = True
                assert error.errno == problem
                assert str(folder.path_of(MESH)) in error.what
                assert error.remedy
            else:
                failed = False
            monkeypatch.undo()
            seen = folder.read(MESH)
            assert seen is not None
            if failed:
                flushed_folder = function == "fsync" and number == 2  # renamed already, only the flush failed
                assert (seen == old) is not flushed_folder
                assert journal.state == old
                assert not [name for name in contents(folder.path_of(MESH)) if name.startswith(files.TEMPORARY)]
            journal.begin("next", "")  # space was freed: the run may go on
            assert folder.read(MESH) == journal.state
            assert {"before", "next"} <= journal.state.steps.keys()
        with folder.open(MESH) as journal:
            assert journal.recovered is None
        if not shim.fired:
            break
    assert failures >= 1


@pytest.mark.promise(3)
def test_a_disk_that_stays_full_does_not_eat_the_generations(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(folder)
    with start(folder) as journal:
        for function in ("link", "rename"):
            for _ in range(5):
                install(monkeypatch, FaultyOs(function, 1, failing(errno.ENOSPC)))
                with pytest.raises(StateWriteFailed):
                    journal.begin("x", "")
                monkeypatch.undo()
            kept = [name for name in contents(folder.path_of(MESH)) if name.startswith("state.json.")]
            assert len(kept) >= 2


@pytest.mark.promise(3)
def test_a_failed_fsync_is_not_tried_again(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(folder) as journal:
        shim = FaultyOs("fsync", 1, failing(errno.EIO))
        install(monkeypatch, shim)
        with pytest.raises(StateWriteFailed):
            journal.begin("x", "")
        assert shim.calls == 1


@pytest.mark.promise(2)
def test_a_write_flushes_the_file_then_renames_then_flushes_the_folder(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(folder) as journal:
        log: list[str] = []

        class Logging(FaultyOs):
            def __getattr__(self, name: str) -> object:
                if name in ("write", "fsync", "rename"):
                    log.append(name)
                return getattr(os, name)

        install(monkeypatch, Logging("", 0, killing))
        journal.begin("x", "")
        assert [call for call in log if call != "rename"] == ["write", "fsync", "fsync"]
        assert log[-2:] == ["rename", "fsync"]


@pytest.mark.promise(1)
def test_short_writes_are_continued(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with start(folder) as journal:
        monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data[:7])))
        journal.begin("x", "")
        monkeypatch.undo()
        assert folder.read(MESH) == journal.state


@pytest.mark.promise(5)
def test_a_file_system_without_hard_links_still_keeps_generations(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoLinks(FaultyOs):
        def __getattr__(self, name: str) -> object:
            if name == "link":
                failing_link = failing(errno.EPERM)
                return lambda *_, **__: failing_link()
            return getattr(os, name)

    install(monkeypatch, NoLinks("", 0, killing))
    remember(folder)
    remember(folder)
    assert {"state.json", "state.json.1", "state.json.2", "state.json.3"} <= contents(folder.path_of(MESH)).keys()
    (folder.path_of(MESH) / "state.json").unlink()
    state = folder.read(MESH)
    assert state is not None
    assert state.serial == 5


@pytest.mark.promise(3)
def test_the_limit_on_file_sizes(folder: StateFolder) -> None:
    remember(folder)
    before = folder.read(MESH)

    def work() -> None:
        with folder.open(MESH) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
            with pytest.raises(StateWriteFailed, match="written"):
                journal.start("apply", DOCUMENT, {}, CLUSTERS)

    assert wait(fork(work)) == 0
    assert folder.read(MESH) == before


@pytest.mark.promise(8)
def test_a_folder_that_cannot_be_made(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: failing(errno.EROFS)())
    with pytest.raises(StateWriteFailed) as caught:
        folder.open(MESH)
    assert "--state-dir" in caught.value.remedy


@pytest.mark.promise(36)
def test_leftovers_of_dead_writers_are_swept(folder: StateFolder) -> None:
    remember(folder)
    path = folder.path_of(MESH)
    (path / f"{files.TEMPORARY}0123").write_text("half a state")
    (path / f"{files.TEMPORARY}link").symlink_to(path / "state.json")
    (path / "mesh1.log").write_text("not ours")
    folder.open(MESH).close()
    assert {name for name in contents(path) if not name.startswith("state.json")} == {"lock", "mesh1.log"}
    assert folder.read(MESH)


@pytest.mark.promise(5)
def test_killed_while_forgetting_no_older_state_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in count(1):
        folder = StateFolder(tmp_path / str(number))
        remember(folder)
        remember(folder)
        newest = folder.read(MESH)

        def work(folder: StateFolder = folder, number: int = number) -> None:
            install(monkeypatch, FaultyOs("unlink", number, killing))
            forget(folder)

        code = wait(fork(work))
        monkeypatch.undo()
        assert folder.read(MESH) == (newest if code else None)
        forget(folder)
        assert folder.names() == []
        if code == 0:
            break
    assert number == 5, "four generations"


@pytest.mark.promise(3)
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN])
@pytest.mark.parametrize(("module", "function"), [(lock, "lstat"), (files, "stat")])
def test_a_folder_that_cannot_be_looked_at_any_more_is_told(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch, module: ModuleType, function: str, number: int
) -> None:
    with start(folder) as journal:
        monkeypatch.setattr(module, "os", FaultyOs(function, 1, failing(number)))
        with pytest.raises(StateError, match="cannot be read"):
            journal.begin("x", "")
        monkeypatch.undo()
        assert "x" not in journal.state.steps
        journal.begin("y", "")


@pytest.mark.parametrize("function", ["stat", "listdir", "open"])
def test_a_folder_that_cannot_be_looked_at_is_refused(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    remember(folder)
    install(monkeypatch, FaultyOs(function, 1, failing(errno.EACCES)))
    with pytest.raises(StateError):
        folder.read(MESH)
