"""SIGKILL and broken disks at every system call of a process that records: SQLite's way, until a run meets no fault.

`tests/state/test_faults.py` shows the same quickly, with an `os` that fails.
"""

from __future__ import annotations

import errno
import json
import re
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from state import StateFolder, files
from tests.faults.journalist import MESH, STEPS, grow
from tests.faults.tracing import FAMILIES, Traced, ensure_strace, traced

ALL = 1 + 2 * STEPS  # records
CALLS = [name for name in FAMILIES if name != "flock"]
# The core's sample are those that decide what a reader sees and what a disk holds.
KILLED_AT = [pytest.param(name, marks=[pytest.mark.core] if name in ("rename", "fsync") else []) for name in CALLS]
DISK = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EDQUOT", "EROFS")}

pytestmark = pytest.mark.usefixtures("strace")


@pytest.fixture(scope="module")
def strace(tmp_path_factory: pytest.TempPathFactory) -> None:
    ensure_strace(tmp_path_factory.getbasetemp().parent)


def recorded(folder: StateFolder, call: str, inject: str, into: Path) -> Traced:
    done = traced(
        ["tests.faults.journalist", str(folder.folder)], f"{FAMILIES[call]},writev",
        f"{FAMILIES[call]}:{inject}" if inject else "", into=into,
    )  # fmt: skip
    assert "Traceback" not in done.errors, done.errors
    return done


def spoken(done: Traced) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What was acknowledged, and what was refused."""
    told = [json.loads(line) for line in done.said]
    return [each for each in told if "serial" in each], [each for each in told if "failed" in each]


def each_fault(
    tmp_path: Path, call: str, inject: str, grown: bool
) -> Iterator[tuple[int, StateFolder, Traced, dict[str, bytes]]]:
    """The fault at call 1, 2, … until a run meets none, which is the last one given."""
    for number in count(1):
        folder = StateFolder(tmp_path / str(number))
        if grown:
            grow(folder)
        before = {entry.name: entry.read_bytes() for entry in folder.path_of(MESH).iterdir()} if grown else {}
        done = recorded(folder, call, f"{inject}:when={number}", tmp_path / f"{number}.trace")
        yield number, folder, done, before
        if done.code == 0 and not any("(INJECTED" in line for line in done.calls):
            assert number > (STEPS if grown else 0), "recording makes this call"
            return


def check_nothing_lost(folder: StateFolder, done: Traced) -> None:
    acknowledged, _ = spoken(done)
    state = folder.read(MESH)
    last = acknowledged[-1]["serial"] if acknowledged else 0
    assert (state.serial if state else 0) in (last, last + 1)
    final = {each["step"]: each["status"] for each in acknowledged if each["step"]}
    assert state is not None or not final
    for step, status in final.items():
        assert state is not None
        # The record after the last that was acknowledged may be there, too.
        assert state.steps[step].status in (status, "done"), (step, status)


@pytest.mark.promise(1, 2, 15)
@pytest.mark.parametrize("grown", [False, True], ids=["fresh", "grown"])
@pytest.mark.parametrize("call", KILLED_AT)
def test_killed_at_any_system_call_a_reader_sees_the_old_generation_or_the_new(
    tmp_path: Path, call: str, grown: bool, record_property: Callable[[str, object], None]
) -> None:
    kills = 0
    for number, folder, done, before in each_fault(tmp_path, call, "signal=SIGKILL", grown):
        assert done.code in (0, -signal.SIGKILL), (number, done.errors)
        kills += done.code != 0
        if grown and not spoken(done)[0]:
            names = ("state.json", "state.json.1")
            now = folder.path_of(MESH)
            assert any((now / name).read_bytes() == before["state.json"] for name in names if (now / name).exists())
        else:
            check_nothing_lost(folder, done)
        with folder.open(MESH) as journal:  # the dead one holds nothing, and left nothing that is not believed
            assert journal.recovered is None
            serial = journal.state.serial
            journal.start("apply", {"name": MESH}, {}, {})
            assert journal.state.serial == serial + 1
        left = [entry.name for entry in folder.path_of(MESH).iterdir()]
        assert not [name for name in left if name.startswith(files.TEMPORARY)]
    assert len(spoken(done)[0]) == ALL
    record_property("count:SIGKILL at a system call of the journal", kills)


@pytest.mark.promise(3)
@pytest.mark.parametrize("problem", list(DISK))
@pytest.mark.parametrize("call", [call for call in CALLS if call != "close"])
def test_a_disk_that_refuses_at_any_system_call_leaves_what_was_acknowledged(
    tmp_path: Path, call: str, problem: str, record_property: Callable[[str, object], None]
) -> None:
    faults = 0
    for number, folder, done, _ in each_fault(tmp_path, call, f"error={problem}", True):
        assert done.code == 0, (number, done.errors)
        acknowledged, refused = spoken(done)
        injected = sum("(INJECTED" in line for line in done.calls)
        assert injected <= 2, "at most once in each of two threads"
        assert len(refused) <= injected
        for each in refused:
            assert str(folder.folder) in each["what"]
            assert each["remedy"]
            if each["failed"] == "StateWriteFailed":
                assert each["errno"] == DISK[problem]
            else:  # it could not even be opened or read
                assert (each["failed"], call) == ("StateError", "open")
                assert not acknowledged
        faults += injected
        state = folder.read(MESH)
        assert state is not None
        if acknowledged:
            # The run went on after the fault: its last record stands, and so does every step that was acknowledged.
            assert state.serial in (acknowledged[-1]["serial"], acknowledged[-1]["serial"] + 1)
            assert {each["step"] for each in acknowledged if each["step"]} <= state.steps.keys()
        serials = [each["serial"] for each in acknowledged]
        assert serials == sorted(set(serials))
        with folder.open(MESH) as journal:
            assert journal.recovered is None
    assert len(acknowledged) == ALL
    record_property("count:ENOSPC, EIO, EDQUOT, EROFS at a system call of the journal", faults)


@pytest.mark.promise(13)
@pytest.mark.parametrize("problem", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_where_the_kernel_cannot_lock_nothing_is_recorded(tmp_path: Path, problem: str) -> None:
    folder = StateFolder(tmp_path / "state")
    done = recorded(folder, "flock", f"error={problem}", tmp_path / "trace")
    acknowledged, refused = spoken(done)
    assert acknowledged == []
    assert [each["failed"] for each in refused] == ["StateError"]
    assert "cannot lock files" in refused[0]["what"]
    assert "--state-dir" in refused[0]["remedy"]
    assert [entry.name for entry in folder.path_of(MESH).iterdir()] == ["lock"]


@pytest.mark.core
@pytest.mark.promise(2)
def test_before_each_answer_the_file_is_flushed_and_renamed_and_the_folder_flushed(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    done = traced(
        ["tests.faults.journalist", str(folder.folder)],
        ",".join(FAMILIES[each] for each in ("write", "fsync", "rename", "link", "unlink")) + ",writev",
        into=tmp_path / "trace",
    )
    place = re.escape(str(folder.path_of(MESH)))
    answers = 0
    dirty: set[str] = set()  # files written and not flushed, by name
    unsettled = renamed = False  # names changed and the folder not flushed; whether there is a new state at all
    for line in done.calls:
        if written := re.search(rf" p?write(?:64)?\(\d+<{place}/(\.writing-\w+)>", line):
            dirty.add(written[1])
        elif flushed := re.search(rf" fsync\(\d+<{place}(?:/(\.writing-\w+))?>\) += 0", line):
            dirty.discard(flushed[1])
            unsettled = unsettled and bool(flushed[1])
        elif moved := re.search(rf' renameat2?\(\d+<{place}>, "([^"]+)", \d+<{place}>, "([^"]+)"', line):
            if moved[2] == "state.json":
                assert moved[1] not in dirty, "renamed before it was flushed"
                renamed = True
            unsettled = True
        elif re.search(rf" (linkat|unlinkat)\(\d+<{place}>", line):
            unsettled = True
        elif " writev(1<" in line:
            assert renamed and not unsettled and not dirty, line
            renamed, answers = False, answers + 1
    assert answers == ALL
