"""Files that a person names: bounded, never waited for, and what is wrong is the end of a sentence."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from wizard import reading
from wizard.commands.main import run
from wizard.console.planfile import load
from wizard.errors import BadInput
from wizard.istio.overlays import digest, unreadable_overlays
from wizard.mesh.meshfile import read_meshfile
from wizard.mesh.model import Cluster, Mesh
from wizard.reading import read, read_if_there
from wizard.steps.pullsecret import file_mistakes

pytestmark = pytest.mark.inputs("S13")

MESH = Mesh("mesh1", (Cluster("cluster1", "one", "network1"), Cluster("cluster2", "two", "network2")))


def pipe(place: Path) -> Path:
    os.mkfifo(place / "pipe")
    return place / "pipe"


def endless(place: Path) -> Path:
    (place / "zero").symlink_to("/dev/zero")
    return place / "zero"


def giant(place: Path) -> Path:
    with (place / "giant").open("wb") as file:
        file.truncate(1 << 40)
    return place / "giant"


def folder(place: Path) -> Path:
    (place / "folder").mkdir()
    return place / "folder"


HOSTILE = {pipe: "is no file but a pipe", endless: "is no file but a device", giant: "is larger than",
           folder: "is no file but a folder"}  # fmt: skip


def overlay(path: Path) -> str:
    (mistake,) = unreadable_overlays(replace(MESH, istio=replace(MESH.istio, overlays=(path,))))
    assert digest(path) == "gone"
    return mistake.text


def pull_secret(path: Path) -> str:
    (mistake,) = file_mistakes(replace(MESH, istio=replace(MESH.istio, pull_secret="pull", pull_secret_file=path)))
    return mistake.text


def plan(path: Path) -> str:
    with pytest.raises(BadInput) as raised:
        load(path, "mesh1", "Plan again.")
    return raised.value.what


def meshfile(path: Path) -> str:
    with pytest.raises(BadInput) as raised:
        read_meshfile(path)
    return raised.value.what


@pytest.mark.parametrize("reader", [overlay, pull_secret, plan, meshfile])
@pytest.mark.parametrize("make", HOSTILE)
def test_every_reader_names_the_file_and_what_it_is(
    tmp_path: Path, make: Callable[[Path], Path], reader: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.0)
    path = make(tmp_path)
    told = reader(path)
    assert told.startswith(f"{path} ")
    # A mesh file and a plan are read once: they may come through a pipe.
    piped = make is pipe and reader in (plan, meshfile)
    assert ("is empty" in told or "is no JSON" in told or "is no plan" in told) if piped else HOSTILE[make] in told


@pytest.mark.parametrize("make", [pipe, folder])
def test_a_log_that_nobody_reads_is_bad_input(
    tmp_path: Path, make: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    assert run(["--log", str(path), "status"]) == 2
    assert f"the log {path} cannot be written" in capsys.readouterr().err


def test_what_is_piped_in_is_read_to_its_end(tmp_path: Path) -> None:
    content = json.dumps({"apiVersion": "meshwizard/v1", "x": "y" * 200_000}).encode()
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(content)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert read(Path(f"/dev/fd/{reader}"), 1 << 20, piped=True) == content
    finally:
        thread.join()
        os.close(reader)


def test_a_pipe_that_gives_no_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.0)
    reader, writer = os.pipe()
    try:
        os.write(writer, b"a beginning")
        with pytest.raises(ValueError, match="gave no end"):
            read(Path(f"/dev/fd/{reader}"), 100, piped=True)
        with pytest.raises(ValueError, match="larger"):
            os.write(writer, b"x" * 200)
            read(Path(f"/dev/fd/{reader}"), 100, piped=True)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_file_that_grows_or_tells_no_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 101)
    real = os.fstat

    def small(fd: int) -> os.stat_result:
        fields = list(real(fd))
        fields[6] = 0
        return os.stat_result(fields)

    monkeypatch.setattr(reading.os, "fstat", small)
    with pytest.raises(ValueError, match="larger"):
        read(path, 100)
    assert read(path, 101) == b"x" * 101


def test_absent_is_none_and_a_dead_link_is_told(tmp_path: Path) -> None:
    assert read_if_there(tmp_path / "absent", 10) is None
    (tmp_path / "link").symlink_to("absent")
    with pytest.raises(ValueError, match="is a link to a file that is not there"):
        read_if_there(tmp_path / "link", 10)
    with pytest.raises(ValueError, match="NUL"):
        read(Path("a\0b"), 10)
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read(tmp_path / "absent", 10)
