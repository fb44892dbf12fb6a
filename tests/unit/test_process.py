"""Starting programs: output as it comes, an end that is an end, no shell, no orphan."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from wizard import process
from wizard.errors import Failed

PYTHON = sys.executable


def python(code: str) -> list[str]:
    return [PYTHON, "-c", code]


def test_both_outputs_and_the_code() -> None:
    done = process.run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"), seconds=30)
    assert (done.code, done.stdout, done.stderr, done.stopped) == (3, "out\n", "err\n", False)


def test_stdin_reaches_it_and_no_shell_reads_its_words() -> None:
    done = process.run(
        [*python("import sys; print(sys.argv[1], sys.stdin.read())"), "$(touch x); *"], stdin="hello", seconds=30
    )
    assert done.stdout == "$(touch x); * hello\n"


def test_lines_come_while_it_runs_also_with_the_newline_first() -> None:
    code = (
        "import sys, time\n"
        "for word in ('one', 'two', 'three'):\n"
        "    sys.stderr.write('\\n' + word); sys.stderr.flush(); time.sleep(0.3)\n"
    )
    told: list[tuple[str, float]] = []
    began = time.monotonic()
    process.run(python(code), seconds=30, line=lambda text: told.append((text, time.monotonic() - began)))
    assert [text for text, _ in told] == ["one", "two", "three"]
    assert told[2][1] - told[0][1] > 0.3


def test_a_flood_does_not_block_and_is_capped() -> None:
    code = "import sys\nfor _ in range(700): sys.stdout.write('x' * 100_000)\nprint('done', file=sys.stderr)"
    done = process.run(python(code), seconds=60)
    assert done.code == 0
    assert len(done.stdout) == process.MAX_OUTPUT
    assert done.stderr == "done\n"


def test_too_long_is_ended_with_all_its_children(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen(['sleep', '60']); open({str(pidfile)!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    began = time.monotonic()
    done = process.run(python(code), seconds=1)
    assert done.stopped
    assert done.code < 0
    assert time.monotonic() - began < 20
    assert gone(int(pidfile.read_text()))


def test_what_ignores_term_is_killed() -> None:
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
    done = process.run(python(code), seconds=1)
    assert done.code == -9


def test_cancelled_ends_it() -> None:
    stop = time.monotonic() + 0.5
    done = process.run(python("import time; time.sleep(60)"), seconds=60, cancelled=lambda: time.monotonic() > stop)
    assert done.stopped


def test_no_child_survives_an_error_in_the_one_who_waits(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"

    def broken() -> bool:
        if pidfile.exists() and pidfile.read_text():
            raise ZeroDivisionError
        return False

    code = f"import os, time; open({str(pidfile)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(ZeroDivisionError):
        process.run(python(code), seconds=60, cancelled=broken)
    assert gone(int(pidfile.read_text()))


def test_what_cannot_be_started_is_told() -> None:
    with pytest.raises(Failed, match="cannot be started"):
        process.run(["/nonexistent/istioctl"], seconds=1)


def test_only_what_is_held_is_inherited(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        code = f"import os\ntry:\n    os.fstat({descriptor}); print('open')\nexcept OSError:\n    print('closed')"
        assert process.run(python(code), seconds=30).stdout == "closed\n"
        with process.holding(descriptor):
            assert process.run(python(code), seconds=30).stdout == "open\n"
        assert process.run(python(code), seconds=30).stdout == "closed\n"
    finally:
        os.close(descriptor)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
