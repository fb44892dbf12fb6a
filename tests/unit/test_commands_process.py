"""What only a process of its own can show: signals, closed pipes, full disks, a missing stdout."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.commands_fakes import MESH

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.yaml"
    path.write_text(MESH)
    return path


def start(mesh: Path, *arguments: str, stdout: int = subprocess.PIPE, **behaviours: str) -> subprocess.Popen[str]:
    """The command line in a child, on toy steps of these behaviours."""
    given = ["--state-dir", str(mesh.parent / "state"), *arguments]
    code = f"from tests.unit.commands_fakes import child; child({given!r}, **{behaviours!r})"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        text=True,
        stdout=stdout,
        stderr=subprocess.PIPE,
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
    process = start(mesh, "apply", "-f", str(mesh), a="lasting", b="lasting", c="lasting")
    read_until(process, "▸ Toy a")
    began = time.monotonic()
    for word in ("Stopping", "Ending"):
        process.send_signal(signal.SIGINT)
        read_until(process, word, stream="stderr")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - began < 0.9


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
    process.wait(timeout=30)
    assert "Traceback" not in err
    assert "Exception ignored" not in err
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
@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_missing_streams_are_survived(closing: str) -> None:
    line = f"{sys.executable} -m wizard plan -f /nonexistent {closing}"
    done = subprocess.run(["sh", "-c", line], check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
