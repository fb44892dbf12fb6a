"""The store for private files: what is refused, what a kill leaves, and two that write at once."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from state import files, private, whole
from state.errors import Purpose, StateBusy, StateError, StateWriteFailed
from state.private import PENDING, PrivateFolder
from state.scratch import scratch
from tests.state.helpers import contents, fork, killing, wait

PURPOSE = Purpose(
    "The key",
    "Name another folder in keys.path.",
    "Make it readable for you, or name another folder in keys.path.",
    "Name another folder in keys.path, then run the same command again.",
)
PAIR = {"key": b"a key \xff", "certificate": b"its certificate"}
CALLS = ("open", "write", "fsync", "fchmod", "close", "rename", "link", "unlink")


def opened(path: Path) -> PrivateFolder:
    folder = PrivateFolder.open(path, PURPOSE, create=True)
    assert folder is not None
    return folder


class EveryCall:
    """Stands for `os` inside the modules that write: at the N-th call that changes anything it does what it is told."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.left, self.act = at, act

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def counted(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.act()
            return real(*args, **options)

        return counted


@pytest.fixture(params=[True, False], ids=["nameless", "named"])
def nameless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file system can write files without a name, as on Linux; else as on macOS."""
    if not request.param:
        monkeypatch.setattr(whole, "_NAMELESS", 0)
    return bool(request.param)


def killed_at(number: int, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Do it in a process of its own, killed at this call; false where it was done before."""

    def dying() -> None:
        shim = EveryCall(number, killing)
        for module in (files, whole):
            monkeypatch.setattr(module, "os", shim)
        work()

    return wait(fork(dying)) == -signal.SIGKILL


@pytest.mark.inputs("S4", "S14")
def test_a_pair_is_whole_or_not_there_wherever_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    seen = set()
    for number in count(1):
        place = tmp_path / str(number)
        opened(place).close()
        killed = killed_at(number, lambda place=place: opened(place).create_together(PAIR), monkeypatch)
        with opened(place) as folder:
            folder.settle()
            left = contents(place)
            assert left in ({}, PAIR)
            seen.add(bool(left))
            assert folder.create_together({"key": b"k", "certificate": b"c"}) is not bool(left)
        assert set(contents(place)) == set(PAIR)
        if not killed:
            break
    assert number > 10
    assert seen == {True, False}


@pytest.mark.inputs("S14")
@pytest.mark.parametrize("over", [False, True])
def test_of_a_file_that_was_not_whole_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool, over: bool
) -> None:
    for number in count(1):
        place = tmp_path / str(number)
        place.mkdir()
        before = {"other": b"mine"} | ({"file": b"old"} if over else {})
        for name, content in before.items():
            (place / name).write_bytes(content)
        killed = killed_at(number, lambda place=place: whole.write(place / "file", b"secret", over=over), monkeypatch)
        assert {name: each for name, each in contents(place).items() if not name.startswith(whole.TEMPORARY)} in (
            before,
            {**before, "file": b"secret"},
        )
        if nameless and not over:
            assert not [name for name in contents(place) if name.startswith(whole.TEMPORARY)]
        whole.write(place / "next", b"")
        assert set(contents(place)) - {"file"} == {"other", "next"}
        if not killed:
            break


@pytest.mark.inputs("S14")
def test_what_is_being_written_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_NAMELESS", 0)
    flush = whole.flush_file
    swept = []

    def meanwhile(fd: int) -> None:
        if not swept:
            swept.append(True)
            whole.write(tmp_path / "other", b"")
        flush(fd)

    monkeypatch.setattr(whole, "flush_file", meanwhile)
    assert whole.write(tmp_path / "file", b"content")
    assert contents(tmp_path) == {"file": b"content", "other": b""}


def test_only_what_is_ours_is_swept(tmp_path: Path) -> None:
    for number, kind in enumerate(("folder", "link", "pipe")):
        name = tmp_path / f"{whole.TEMPORARY}{number}"
        if kind == "folder":
            name.mkdir()
        elif kind == "link":
            name.symlink_to("elsewhere")
        else:
            os.mkfifo(name)
    whole.write(tmp_path / "file", b"")
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.inputs("S4")
def test_two_that_write_at_once_leave_one_pair(tmp_path: Path) -> None:
    pairs = [{"key": f"key{number}".encode(), "certificate": f"of key{number}".encode()} for number in range(8)]

    def save(pair: dict[str, bytes]) -> bool:
        with opened(tmp_path / "store") as folder:
            return folder.create_together(pair)

    opened(tmp_path / "store").close()
    with ThreadPoolExecutor(len(pairs)) as pool:
        assert sum(pool.map(save, pairs)) == 1
    assert contents(tmp_path / "store") in pairs


@pytest.mark.inputs("S4")
def test_a_file_of_somebody_elses_making_stays_and_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = whole.write_in

    def late(folder: int, name: str, data: bytes, **how: Any) -> bool:
        if name == "certificate":
            (tmp_path / "certificate").write_bytes(b"theirs")
        return real(folder, name, data, **how)

    monkeypatch.setattr(whole, "write_in", late)
    with opened(tmp_path) as folder:
        assert folder.create_together(PAIR) is False
    assert contents(tmp_path) == {"certificate": b"theirs"}


def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "PATIENCE", 0.0)
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with opened(tmp_path) as folder, pytest.raises(StateBusy, match="Another run"):
            folder.create("key", b"")
    finally:
        os.close(held)


def test_a_full_disk_is_told_in_the_words_of_the_purpose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(whole, "flush_file", full)
    with opened(tmp_path) as folder, pytest.raises(StateWriteFailed) as raised:
        folder.create("key", b"secret")
    assert raised.value.what == f"The key could not be written to {tmp_path}: Input/output error."
    assert "Name another folder in keys.path, then run" in raised.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.inputs("S4")
@pytest.mark.parametrize("secret", [True, False])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666, 0o600])
def test_who_may_read_and_write_a_file_counts(tmp_path: Path, mode: int, secret: bool) -> None:
    path = tmp_path / "it's a key"
    path.write_bytes(b"content")
    path.chmod(mode)
    with opened(tmp_path) as folder:
        if mode & 0o022 or (secret and mode & 0o077):
            with pytest.raises(StateError, match=r"can be (read|written)") as raised:
                folder.read(path.name, 100, secret=secret)
            assert str(path) in raised.value.what
            # The cure is one command, and it cures.
            subprocess.run(raised.value.mend, check=True)
        if not mode & 0o022:
            assert folder.read(path.name, 100, secret=secret) == b"content"
        with pytest.raises(StateError, match="larger"):
            folder.read(path.name, 3, secret=False)


class TestScratch:
    @pytest.mark.inputs("S14")
    def test_what_a_killed_run_left_is_swept_by_the_next(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

        def killed() -> None:
            with scratch("ours-") as place:
                (place / "below").mkdir()
                (place / "below" / "file").write_text("left")
                killing()

        assert wait(fork(killed)) == -signal.SIGKILL
        (left,) = tmp_path.iterdir()
        with scratch("ours-") as place:
            assert list(tmp_path.iterdir()) == [place]
            assert stat.S_IMODE(place.stat().st_mode) == 0o700
            with scratch("ours-") as other:  # what is held stays
                assert sorted(tmp_path.iterdir()) == sorted([place, other])
        assert left != place
        assert list(tmp_path.iterdir()) == []

    def test_only_private_folders_of_that_name_are(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        (tmp_path / "ours-open").mkdir(mode=0o755)
        (tmp_path / "ours-link").symlink_to(tmp_path / "ours-open")
        (tmp_path / "ours-file").write_text("")
        (tmp_path / "theirs").mkdir(mode=0o700)
        before = sorted(tmp_path.iterdir())
        with scratch("ours-"):
            pass
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.inputs("S14")
def test_a_pending_file_of_another_kind_is_told(tmp_path: Path) -> None:
    (tmp_path / PENDING).write_text("no JSON")
    with opened(tmp_path) as folder, pytest.raises(StateError, match="is damaged"):
        folder.settle()
