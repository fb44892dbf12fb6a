"""The crash report: by consent, private, without a single value, and never in the way of the first error."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.commands_fakes import MESH, Toy, put_in_place
from wizard.commands import main
from wizard.commands.main import run
from wizard.console import report
from wizard.console.report import Trail, keeping, write
from wizard.engine.step import Job
from wizard.world import World

pytestmark = pytest.mark.promise(39)
ROOT = Path(__file__).parents[2]

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIcanarykeycanarykeycanarykey\n-----END EC PRIVATE KEY-----"
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canarysignaturecanary"
CANARIES = {
    "key": KEY,
    "token": TOKEN,
    "data": "client-key-data: Q0FOQVJZY2FuYXJ5Q0FOQVJZ",
    "password": "password: canary-hunter2",
    "bare": "canaryXyzzy42",
    "short": "cnry7",
    "host": "canary.example.org",
    "address": "203.0.113.77",
    "unicode": "кана\u0301рейка",
}
# What must be found nowhere: whole lines, and the pieces of which they are made.
PIECES = [piece for canary in CANARIES.values() for piece in re.findall(r"[\w\u0301]{5,}", canary)]
PIECES = [piece for piece in PIECES if piece not in ("BEGIN", "PRIVATE", "password", "client", "example")]


class Breaks(Toy):
    """A defect of ours in the middle of a step, with all that is secret at hand."""

    def apply(self, world: World, job: Job) -> None:
        kept = dict(CANARIES)
        try:
            raise KeyError(" ".join(CANARIES.values()))
        except KeyError as error:
            raise ValueError(f"{TOKEN} {KEY} {kept} password is canaryXyzzy42") from error


class Looks(Toy):
    def probe(self, world: World) -> None:  # type: ignore[override]
        raise TypeError(f"'NoneType' object has no attribute 'canaryXyzzy42' {KEY}")


@pytest.fixture
def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, canary in CANARIES.items():
        monkeypatch.setenv(f"CANARY_{name.upper()}", canary)
    place = tmp_path / "canaryXyzzy42"
    place.mkdir()
    monkeypatch.chdir(place)
    put_in_place([Breaks("canaryxyzzy1/a"), Toy("cluster2/b")], put=lambda m, n, v: monkeypatch.setattr(f"{m}.{n}", v))
    path = place / "mesh.yaml"
    text = MESH.replace("cluster1", "canaryxyzzy1").replace("admin1@one", "canaryXyzzy42@one")
    path.write_text(text.replace("network1", "canarynet"))
    return path


def apply(mesh: Path, *more: str) -> int:
    return run(["--state-dir", str(mesh.parent / "state"), "apply", "-f", str(mesh), *more])


def test_no_canary_is_in_it_and_all_that_helps_is(mesh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = mesh.parent / "report.txt"
    assert apply(mesh, "--report", str(file), "--remove=", "-v", "--yes") == 2  # nothing leaves: bad input, no defect
    assert not file.exists()
    assert apply(mesh, f"--report={file}", "-v", "--yes") == 1
    shown = capsys.readouterr().err
    assert f"The report is in {file}" in shown
    text = file.read_text()
    for piece in (*PIECES, *CANARIES.values(), str(mesh.parent), "canarynet", "admin2@two", "cluster2/b", "mesh1"):
        assert piece not in text, piece
    assert "apply --report --verbose --yes" not in text  # as they were given: the folder came first
    assert "apply --state-dir --file --report --verbose --yes" in text
    assert "exit code 1" in text
    for line in (
        r"topology multi-primary, clusters 2, networks 2", r"role primary: 2", r"exposure node-port: 2",
        r"cluster1/Breaks: failed", r"RunStarted", r"StepChanged failed", r"RunEnded 1",
        r"wizard/engine/worker.py:\d+:Worker.apply", r"\(elsewhere\)", r"ValueError: ", r"KeyError: ",
        r"meshwizard \d", r"CPython 3", r"textual \d", r"kubernetes \d", r"Linux",
        r"stdin no terminal",
    ):  # fmt: skip
        assert re.search(line, text), line


def test_of_what_broke_the_command_itself_the_place_is_told(mesh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.operations.prepared.resolve", lambda mesh, *_, **__: mesh.nothing_of_this_name)
    assert apply(mesh, "--report", "report.txt") == 1
    text = Path("report.txt").read_text()
    assert re.search(r"wizard/operations/prepared.py:\d+:_settled", text)
    # Of its words, those that stand in the source or are Python's own.
    assert re.search(r"AttributeError: '…' object has no attribute '…'", text)


def test_it_is_private_new_and_no_link_is_followed(mesh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.umask(0)
    try:
        assert apply(mesh, "--report", "new") == 1
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("new").stat().st_mode) == 0o600
    Path("link").symlink_to("elsewhere")
    Path("dangling").symlink_to("nowhere")
    Path("elsewhere").write_text("mine")
    os.mkfifo("pipe")
    Path("folder").mkdir()
    capsys.readouterr()
    for name in ("link", "dangling", "elsewhere", "pipe", "folder", "absent/report", "a\0b", "x" * 300):
        assert apply(mesh, "--report", name) in (1, 2)  # the same failure as without; a NUL is refused as input
        shown = capsys.readouterr().err
        assert "unexpected ValueError" in shown or "\0" in name
        assert "Go on with: meshwizard resume mesh1" in shown or "\0" in name
        assert "the report could not be written to" in shown or "\0" in name
        assert "Traceback" not in shown
    assert Path("elsewhere").read_text() == "mine"
    assert not Path("nowhere").exists()


def test_without_consent_nothing_is_written(mesh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in mesh.parent.iterdir())
    assert apply(mesh) == 1
    assert "--report FILE" in capsys.readouterr().err
    assert sorted(path.name for path in mesh.parent.iterdir()) == sorted([*before, "state"])


@pytest.mark.parametrize(("answer", "files"), [("y\n", 1), ("n\n", 0), ("\n", 0), ("", 0)])
def test_who_has_a_terminal_is_asked(
    mesh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, files: int
) -> None:
    import io

    monkeypatch.setattr(main, "has_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert apply(mesh) == 1
    assert "Write a report without names and secrets to meshwizard-report-" in capsys.readouterr().err
    assert len(list(mesh.parent.glob("meshwizard-report-*.txt"))) == files


@pytest.mark.parametrize("breaking", ["text", "write", "_asked", "proposed"])
@pytest.mark.parametrize("error", [RuntimeError("canary"), OSError(28, "full"), KeyboardInterrupt(), RecursionError()])
def test_what_goes_wrong_with_it_never_hides_the_first_error(
    mesh: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    breaking: str,
    error: BaseException,
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(Trail if breaking == "text" else main, breaking, broken)
    assert apply(mesh, *(["--report", "new"] if breaking != "proposed" else [])) == 1
    shown = capsys.readouterr().err
    assert "unexpected ValueError" in shown
    assert "Go on with: meshwizard resume mesh1" in shown
    assert "Traceback" not in shown
    assert "[Errno" not in shown


def test_a_full_disk_is_half_a_sentence_and_half_a_report_is_none(tmp_path: Path) -> None:
    # A file size limit is the same to a program as a full disk, and every user may set it.
    code = (
        "import resource, signal; from pathlib import Path; from wizard.console.report import write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"print(write(Path({str(tmp_path / 'report')!r}), 'x' * 100_000))"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said == "File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_it_holds_on_to_nothing() -> None:
    import gc
    import weakref

    class Local:
        pass

    def breaks() -> weakref.ref[Local]:
        local = Local()
        found = weakref.ref(local)
        try:
            raise ValueError("x", local)
        except ValueError as error:
            trail.met(error, "here")
        return found

    trail = Trail()
    found = breaks()
    gc.collect()
    assert trail.defects
    assert found() is None


def test_only_defects_count_and_only_the_first_few() -> None:
    import logging

    log = logging.getLogger("wizard.engine.engine")
    with keeping() as trail:
        log.error("no exception")
        log.warning("no error", exc_info=ValueError("x"))
        assert trail.defects == []
        for _ in range(20):
            log.error("one", exc_info=ValueError("x"))
        assert len(trail.defects) == report.MOST_DEFECTS
    log.error("outside", exc_info=ValueError("x"))
    with keeping() as trail:
        assert trail.defects == []


@given(st.text(max_size=200))
def test_of_a_message_only_known_words_remain(message: str) -> None:
    trail = Trail()
    try:
        raise ValueError(message)
    except ValueError as error:
        trail.met(error, "here")
    ((_, words, _),) = trail.defects[0].chain
    # This file is not the program's source: its words count as values, too.
    unknown = [word for word in re.findall(r"\w+", words) if word not in report.ENGLISH | set(dir(__builtins__))]
    import builtins
    import keyword

    assert [word for word in unknown if word not in {*keyword.kwlist, *dir(builtins)}] == []
    words.encode()


def test_what_is_in_the_way_of_its_making_is_survived() -> None:
    class Evil(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    loop: BaseException = ValueError("a")
    loop.__cause__ = KeyError("b")
    loop.__cause__.__cause__ = loop
    trail = Trail()
    trail.met(Evil(), "here")
    trail.met(loop, "here")
    assert "KeyError" in trail.text(1)


def test_write_says_nothing_where_all_is_well(tmp_path: Path) -> None:
    assert write(tmp_path / "report", "text") == ""
    assert (tmp_path / "report").read_text() == "text"
