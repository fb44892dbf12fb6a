"""One writer: kernel locks, dead holders, orphans."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from state import StateBusy, StateError, StateFolder
from tests.state.helpers import CLUSTERS, DOCUMENT, MESH, fork, remember, start, wait


@pytest.mark.promise(10)
def test_a_second_run_is_told_who_holds_the_mesh(folder: StateFolder) -> None:
    with start(folder):
        with pytest.raises(StateBusy) as caught:
            folder.open(MESH)
        assert caught.value.pid == os.getpid()
        assert str(os.getpid()) in caught.value.what
        assert folder.read(MESH) is not None, "reading needs no lock"
        folder.open("mesh2").close()
    folder.open(MESH).close()


@pytest.mark.promise(10)
def test_holds_never_overlap(folder: StateFolder, tmp_path: Path) -> None:
    processes, holds = 8, 50
    marker = tmp_path / "held"

    def work() -> None:
        dice = random.Random(os.getpid())
        done = 0
        while done < holds:
            try:
                journal = folder.open(MESH)
            except StateBusy:
                time.sleep(dice.random() / 100)
                continue
            with journal:
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))  # fails if anybody else is inside
                journal.start("apply", DOCUMENT, {}, CLUSTERS)
                marker.unlink()
            done += 1

    children = [fork(work) for _ in range(processes)]
    assert [wait(child) for child in children] == [0] * processes
    state = folder.read(MESH)
    assert state is not None
    assert state.serial == processes * holds, "no write was lost"


def hold(folder: StateFolder, *, orphan: bool) -> tuple[int, int]:
    """A child that holds the mesh and has started a command; both process ids."""
    reading, writing = os.pipe()

    def work() -> None:
        journal = folder.open(MESH)
        fds = (journal.lock_fd,) if orphan else ()
        command = subprocess.Popen(["sleep", "60"], pass_fds=fds)
        os.write(writing, f"{command.pid}\n".encode())
        time.sleep(60)

    holder = fork(work)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return holder, int(pipe.readline())


@pytest.mark.promise(11)
def test_a_killed_holder_frees_the_mesh_at_once(folder: StateFolder) -> None:
    remember(folder)
    holder, command = hold(folder, orphan=False)
    with pytest.raises(StateBusy) as caught:
        folder.open(MESH)
    assert caught.value.pid == holder
    os.kill(holder, signal.SIGKILL)
    wait(holder)
    folder.open(MESH).close()
    os.kill(command, signal.SIGKILL)


@pytest.mark.promise(12)
def test_an_orphan_that_inherited_the_lock_keeps_it(folder: StateFolder) -> None:
    remember(folder)
    holder, command = hold(folder, orphan=True)
    os.kill(holder, signal.SIGKILL)
    wait(holder)
    with pytest.raises(StateBusy, match="a command it started still works"):
        folder.open(MESH)
    os.kill(command, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while True:
        try:
            folder.open(MESH).close()
            break
        except StateBusy:
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.mark.promise(12)
def test_closing_does_not_take_the_lock_from_a_child(folder: StateFolder) -> None:
    journal = start(folder)
    command = subprocess.Popen(["sleep", "60"], pass_fds=(journal.lock_fd,))
    journal.close()
    with pytest.raises(StateBusy):
        folder.open(MESH)
    command.kill()
    command.wait()
    folder.open(MESH).close()


def test_children_inherit_nothing_unasked(folder: StateFolder) -> None:
    with start(folder) as journal:
        assert not os.get_inheritable(journal.lock_fd)
        script = "import os,sys\ntry: os.fstat(int(sys.argv[1])); sys.exit(1)\nexcept OSError: pass"
        argv = [sys.executable, "-c", script, str(journal.lock_fd)]
        assert subprocess.run(argv, close_fds=False, check=False).returncode == 0
        assert subprocess.run(argv, pass_fds=(journal.lock_fd,), check=False).returncode == 1


@pytest.mark.promise(13)
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_locks_do_not_work_nothing_is_opened(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StateError, match="cannot lock files") as caught:
        folder.open(MESH)
    assert not isinstance(caught.value, StateBusy)
    assert "--state-dir" in caught.value.remedy


@pytest.mark.promise(10)
def test_a_run_whose_lock_was_removed_stops_writing(folder: StateFolder) -> None:
    with start(folder) as journal:
        (folder.path_of(MESH) / "lock").unlink()
        with start(folder) as second:
            with pytest.raises(StateError, match="lock beside"):
                journal.begin("x", "")
            second.begin("y", "")
    state = folder.read(MESH)
    assert state is not None
    assert "x" not in state.steps


@pytest.mark.parametrize("text", ["", "garbage", "-1", "0", "9" * 20])
def test_a_nonsense_pid_is_not_believed(folder: StateFolder, text: str) -> None:
    with start(folder):
        (folder.path_of(MESH) / "lock").write_text(text)
        with pytest.raises(StateBusy) as caught:
            folder.open(MESH)
        assert caught.value.pid is None


def test_a_failed_open_leaves_no_lock_and_no_descriptor(folder: StateFolder) -> None:
    remember(folder)
    (folder.path_of(MESH) / "state.json").write_bytes(b'{"schema": 99}')
    before = os.dup(0)
    os.close(before)
    for _ in range(3):
        with pytest.raises(StateError, match="newer"):
            folder.open(MESH)
        with pytest.raises(StateError, match="newer"):
            folder.read(MESH)
    after = os.dup(0)
    os.close(after)
    assert after == before
