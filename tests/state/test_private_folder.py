"""What a folder of private files promises, each once. What a kill leaves anywhere: test_private.py."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest

from state import files, private, whole
from state.errors import StateBusy, StateError
from state.private import PENDING
from tests.state.helpers import contents
from tests.state.test_private import PAIR, PURPOSE, opened

OTHERS = {"key": b"another key", "certificate": b"another"}


def leave_pending(folder: Path) -> None:
    """As a writer does that is killed before the first of its files has its name."""
    (folder / PENDING).write_text(json.dumps({name: data.decode("latin-1") for name, data in PAIR.items()}))


@pytest.fixture
def held(tmp_path: Path) -> int:
    """The folder is locked by somebody else, until this descriptor is closed."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_a_file_is_made_once_and_private(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        assert folder.create("key", b"first") is True
        assert folder.create("key", b"second") is False
        assert [folder.has(name) for name in ("key", "other")] == [True, False]
        assert folder.read("key", len(b"first"), secret=True) == b"first"
        assert folder.read("other", 100, secret=True) is None
        with pytest.raises(StateError, match="key is larger than"):
            folder.read("key", 1, secret=True)
    assert contents(tmp_path) == {"key": b"first"}
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_one_that_is_replaced_has_the_new_content(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        for content in (b"first", b"second"):
            folder.replace("request", content)
            assert contents(tmp_path) == {"request": content}


@pytest.mark.parametrize("again", [PAIR, OTHERS, {"key": b"k", "more": b""}], ids=["same", "others", "more"])
def test_files_that_belong_together_are_made_once(tmp_path: Path, again: dict[str, bytes]) -> None:
    with opened(tmp_path) as folder:
        assert folder.create_together(PAIR) is True
        assert folder.create_together(again) is False
    assert contents(tmp_path) == PAIR


def test_what_a_killed_writer_began_comes_before_other_files(tmp_path: Path) -> None:
    leave_pending(tmp_path)
    with opened(tmp_path) as folder:
        assert folder.create_together(OTHERS) is False
    assert contents(tmp_path) == PAIR


@pytest.mark.parametrize("name", PAIR)
def test_what_it_had_made_already_is_completed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PAIR[name])
    leave_pending(tmp_path)
    with opened(tmp_path) as folder:
        folder.settle()
    assert contents(tmp_path) == PAIR


@pytest.mark.parametrize("name", PAIR)
def test_nothing_of_it_is_made_beside_a_file_that_is_not_its_own(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"theirs")
    leave_pending(tmp_path)
    with opened(tmp_path) as folder:
        folder.settle()
    assert contents(tmp_path) == {name: b"theirs"}


@pytest.mark.parametrize("left", [".old", f"{whole.TEMPORARY}1"])
def test_what_others_left_is_removed(tmp_path: Path, left: str) -> None:
    (tmp_path / left).write_bytes(b"half a key")
    with opened(tmp_path) as folder:
        folder.settle([".old", ".absent"])
    assert contents(tmp_path) == {}


def test_the_end_survives_a_loss_of_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    monkeypatch.setattr(files, "flush_folder", lambda fd: flushed.append(set(os.listdir(fd))))  # noqa: PTH208
    with opened(tmp_path) as folder:
        folder.create_together(PAIR)
    assert flushed[-1:] == [set(PAIR)]


def test_who_has_nothing_to_settle_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(private, "PATIENCE", 0.0)
    (tmp_path / "mine").write_bytes(b"")
    with opened(tmp_path) as folder:
        folder.settle([".old"])
    os.close(held)


def test_a_writer_waits_until_another_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(private, "PATIENCE", 2.0)
    monkeypatch.setattr(time, "sleep", lambda _: os.close(held))
    with opened(tmp_path) as folder:
        assert folder.create("key", b"")


def test_but_not_for_longer_than_that_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(private, "PATIENCE", -1.0)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with opened(tmp_path) as folder, pytest.raises(StateBusy, match="Another run is writing"):
        folder.create("key", b"")
    os.close(held)


def test_a_writer_that_has_ended_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "PATIENCE", 0.0)
    with opened(tmp_path) as first, opened(tmp_path) as second:
        assert first.create("key", b"")
        assert second.create("certificate", b"")


def test_a_file_system_without_locks_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_: int, __: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with opened(tmp_path) as folder, pytest.raises(StateError, match=r"cannot lock folders \(No locks") as told:
        folder.create("key", b"")
    assert told.value.remedy == PURPOSE.elsewhere
    assert contents(tmp_path) == {}


def test_a_folder_that_others_can_list_is_not_closed_to_them(tmp_path: Path) -> None:
    for mode, refused in ((0o755, True), (0o710, True), (0o700, False)):
        tmp_path.chmod(mode)
        with opened(tmp_path) as folder:
            if refused:
                with pytest.raises(StateError, match="can be read by others"):
                    folder.must_be_closed_to_others()
            else:
                folder.must_be_closed_to_others()


def test_a_folder_is_held_open_no_longer_than_it_is_used(tmp_path: Path) -> None:
    def is_open() -> bool:
        for name in os.listdir("/dev/fd"):  # noqa: PTH208
            with suppress(OSError):  # the one that lists them is closed by now
                if os.path.samestat(os.fstat(int(name)), tmp_path.stat()):
                    return True
        return False

    with opened(tmp_path) as folder:
        assert is_open()
        folder.create("key", b"")
    assert not is_open()
