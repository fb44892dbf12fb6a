"""What only a process of its own can show: signals, closed pipes, full disks, a missing stdout."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from state import StateFolder
from tests.unit.commands_fakes import MESH
from tests.unit.test_engine import until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.yaml"
    path.write_text(MESH)
    return path


def start(
    mesh: Path,
    *arguments: str,
    stdout: IO[str] | int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    **behaviours: str,
) -> subprocess.Popen[str]:
    """The command line in a child, on toy steps of these behaviours."""
    given = ["--state-dir", str(mesh.parent / "state"), *arguments]
    code = f"from tests.unit.commands_fakes import child; child({given!r}, **{behaviours!r})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        text=True,
        stdout=stdout,
        stderr=stderr,
        stdin=subprocess.DEVNULL,
    )


def read_until(process: subprocess.Popen[str], text: str, *, stream: str = "stdout") -> str:
    """What the child printed until `text` stood there."""
    pipe = getattr(process, stream)
    seen, deadline = "", time.monotonic() + 30
    while text not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([pipe], [], [], 0.1)[0]:
            chunk = os.read(pipe.fileno(), 4096).decode()
            assert chunk, seen
            seen += chunk
    return seen


@pytest.mark.promise(32, 33)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_drains(mesh: Path, number: signal.Signals) -> None:
    process = start(mesh, "apply", "-f", str(mesh), a="lasting")
    read_until(process, "▸ Toy a")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    # What ran came to its end, and with it there was nothing left to do.
    assert process.returncode == 0, err
    assert "Stopping" in err
    assert "✔ Toy a" in out


@pytest.mark.promise(32)
def test_the_second_signal_aborts(mesh: Path) -> None:
    process = start(mesh, "apply", "-f", str(mesh), a="slow")
    read_until(process, "▸ Toy a")
    process.send_signal(signal.SIGINT)
    read_until(process, "Stopping", stream="stderr")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Go on with: meshwizard resume mesh1" in err
    assert "Traceback" not in err


@pytest.mark.promise(32)
def test_the_third_signal_leaves(mesh: Path) -> None:
    process = start(mesh, "apply", "-f", str(mesh), a="stuck", b="lasting")
    read_until(process, "▸ Toy a")
    for word in ("Stopping", "Ending"):
        process.send_signal(signal.SIGINT)
        read_until(process, word, stream="stderr")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)  # what is at work goes on for longer
    assert process.returncode == 130


def recorded(mesh: Path) -> str:
    """What the state on the disk says of the toy; empty while there is none."""
    state = StateFolder(mesh.parent / "state").read("mesh1")
    step = state.steps.get("cluster1/a") if state else None
    return step.status if step else ""


def finished(mesh: Path) -> bool:
    """Whether the state on the disk says that the run came to its end."""
    state = StateFolder(mesh.parent / "state").read("mesh1")
    return state is not None and state.finished


@pytest.mark.promise(32, 35)
def test_the_work_does_not_wait_for_a_reader_that_stands_still(mesh: Path) -> None:
    process = start(mesh, "apply", "-f", str(mesh), a="chatty")
    until(lambda: finished(mesh), 30)
    assert process.poll() is None  # it has not said all
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "999: word" in out
    assert "all 1 steps done" in out


@pytest.mark.promise(32)
def test_before_a_reader_that_stands_still_the_second_signal_ends_it(mesh: Path) -> None:
    process = start(mesh, "apply", "-f", str(mesh), a="endless")
    until(lambda: recorded(mesh) == "running", 30)
    for word in (
        "Stopping",
        "Ending what runs. Once more to leave without waiting; then go on with: meshwizard resume",
    ):
        process.send_signal(signal.SIGINT)
        read_until(process, word, stream="stderr")
    assert process.wait(timeout=30) == 130
    assert recorded(mesh) == "failed"
    process.communicate()


@pytest.mark.promise(32)
def test_where_not_even_stderr_is_read_the_third_signal_leaves(mesh: Path) -> None:
    reading, writing = os.pipe()
    process = start(mesh, "apply", "-f", str(mesh), stdout=writing, stderr=writing, a="endless", b="lasting")
    os.close(writing)
    until(lambda: recorded(mesh) == "running", 30)
    for _ in range(3):
        time.sleep(0.3)  # a second signal of one kind that comes before the first was taken is none
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    os.close(reading)


@pytest.mark.promise(32)
def test_an_interrupt_while_looking_leaves_at_once(mesh: Path) -> None:
    code = f"""
import time, sys
import tests.unit.commands_fakes as fakes
fakes.Toy.probe = lambda self, world: (print('looking', flush=True), time.sleep(20))
fakes.child(['--state-dir', {str(mesh.parent / "state")!r}, 'plan', '-f', {str(mesh)!r}], a='works')
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    read_until(process, "looking")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "nothing was changed" in err
    assert "Traceback" not in err
    assert time.monotonic() - began < 5


@pytest.mark.promise(35)
def test_a_closed_pipe_is_no_trouble_for_the_work(mesh: Path) -> None:
    process = start(mesh, "apply", "-f", str(mesh), a="lasting", b="works")
    assert process.stdout
    assert process.stderr
    read_until(process, "▸ Toy a")
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=30) == 0
    assert err == ""
    status = start(mesh, "status", a="done", b="done")
    assert status.communicate(timeout=30)[0].count("done 20") == 2  # both were done and recorded


@pytest.mark.promise(35)
def test_a_reader_that_has_enough_ends_the_command_quietly(mesh: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start(mesh, "plan", "-f", str(mesh), stdout=writing, a="works")
    os.close(writing)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err == ""


@pytest.mark.promise(3)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--version"], ["-h"], ["plan", "-h"]])
def test_a_full_disk_is_a_sentence_at_most(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "wizard", *arguments],
            check=False,
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.promise(35)
@pytest.mark.parametrize(("behaviour", "code"), [("works", 0), ("fails", 1), ("conflict", 3), ("silent", 4)])
def test_where_nobody_reads_anything_the_exit_code_says_how_it_went(mesh: Path, behaviour: str, code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = start(mesh, "apply", "-f", str(mesh), stdout=writing, stderr=writing, a=behaviour)
    os.close(writing)
    assert process.wait(timeout=30) == code


@pytest.mark.promise(3, 35)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_on_a_full_disk_the_work_is_done_and_an_uninstalled_mesh_forgotten(mesh: Path) -> None:
    for arguments, behaviour in (["apply", "-f", str(mesh)], "works"), (["uninstall", "--yes"], "done"):
        with Path("/dev/full").open("w") as full:
            process = start(mesh, *arguments, stdout=full, a=behaviour)
            err = process.communicate(timeout=30)[1]
        assert (process.returncode, err) == (0, "")
    assert not list((mesh.parent / "state" / "mesh1").glob("state.json*"))
    with Path("/dev/full").open("w") as full:
        process = start(mesh, "plan", "-f", str(mesh), stdout=full, a="works")
        err = process.communicate(timeout=30)[1]
    assert (process.returncode, err) == (1, "Error: the output cannot be written: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_on_a_full_disk_takes_nothing_with_it(mesh: Path) -> None:
    process = start(mesh, "apply", "-f", str(mesh), "--log", "/dev/full", a="works")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "all 1 steps done" in out
    assert err == "The log is not whole: [Errno 28] No space left on device\n"


@pytest.mark.promise(35)
@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_missing_streams_are_survived(closing: str) -> None:
    line = f"{sys.executable} -m wizard plan -f /nonexistent {closing}"
    done = subprocess.run(["sh", "-c", line], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
