"""Starting programs: output as it comes, an end that is an end, no shell, no orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from wizard import process
from wizard.errors import Failed

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
pytestmark = pytest.mark.promise(31)
GRACE = 1.0  # seconds that these deaf programs have after TERM
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


def python(code: str) -> list[str]:
    return [PYTHON, "-c", code]


@pytest.fixture
def _less_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "end", partial(process.end, grace=GRACE))


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


def test_a_flood_of_gigabytes_fills_no_memory() -> None:
    # In a process of its own, whose memory can be measured: 2 GB on both pipes, half of it without a line's end.
    code = """
import resource, sys
from wizard import process
told = []
flood = (
    "import os, threading\\n"
    "def pour(fd, chunk):\\n"
    "    for _ in range(16_000): os.write(fd, chunk)\\n"
    "threads = [threading.Thread(target=pour, args=each) for each in ((1, b'x' * 65536), (2, b'y\\\\n' * 32768))]\\n"
    "[each.start() for each in threads]; [each.join() for each in threads]\\n"
    "os.write(2, b'the last words')\\n"
)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = process.run([sys.executable, "-c", flood], seconds=200, line=told.append)
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
print(done.code, len(done.stdout), len(done.stderr), done.stderr.endswith("the last words"), grown, len(told))
"""
    said = subprocess.run(
        [PYTHON, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True, timeout=250
    ).stdout
    status, kept, tail, last, grown, told = said.split()
    assert (status, int(kept), int(tail), last) == ("0", process.MAX_OUTPUT, process.MAX_SAID, "True")
    assert int(grown) < 200  # MiB, of which the output that is kept and its text are a hundred
    assert int(told) < 200 * process.LINES_A_SECOND


def test_of_a_flood_of_lines_it_is_told_how_many_were_not() -> None:
    told: list[str] = []
    process.run(python("import sys\nsys.stderr.write('word\\n' * 10_000)"), seconds=60, line=told.append)
    assert told[:2] == ["word", "word"]
    assert "lines more" in told[-1]
    assert len(told) < 5000


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


@pytest.mark.usefixtures("_less_grace")
def test_what_ignores_term_is_killed() -> None:
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
    done = process.run(python(code), seconds=1)
    assert done.code == -9


def test_cancelled_ends_it() -> None:
    stop = time.monotonic() + 0.5
    done = process.run(python("import time; time.sleep(60)"), seconds=60, cancelled=lambda: time.monotonic() > stop)
    assert done.stopped


def running(code: str, *words: str) -> str:
    """Code that starts this as a child of its own, which writes its number into the file named first."""
    return f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {code!r}, *{list(words)!r}]); "


def stay(pidfile: Path, before: str = "") -> str:
    return f"{before}import os, time; open({str(pidfile)!r}, 'w').write(str(os.getpid())); time.sleep(60)"


def written(pidfile: Path) -> str:
    """Code that waits until somebody wrote the file."""
    return f"import os, time\nwhile not (os.path.exists({str(pidfile)!r}) and open({str(pidfile)!r}).read()): time.sleep(0.02)\n"


@pytest.mark.usefixtures("_less_grace")
@pytest.mark.parametrize("deaf", [False, True])
def test_what_a_child_left_behind_ends_with_it(tmp_path: Path, deaf: bool) -> None:
    pidfile = tmp_path / "pid"
    code = running(stay(pidfile, DEAF if deaf else "")) + f"\n{written(pidfile)}print('mine')"
    began = time.monotonic()
    done = process.run(python(code), seconds=50)
    assert (done.code, done.stdout, done.stopped) == (0, "mine\n", False)
    assert time.monotonic() - began < 40
    assert gone(int(pidfile.read_text()), within=0)


@pytest.mark.usefixtures("_less_grace")
def test_what_ignores_term_in_a_group_of_its_own_is_killed_though_its_parent_obeyed(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    code = running(stay(pidfile, f"import os; os.setpgid(0, 0); {DEAF}")) + f"\n{written(pidfile)}time.sleep(60)"
    done = process.run(python(code), seconds=60, cancelled=lambda: pidfile.exists() and bool(pidfile.read_text()))
    assert done.stopped
    assert done.code == -signal.SIGTERM
    assert gone(int(pidfile.read_text()), within=0)


def test_a_child_that_closes_its_pipes_is_still_waited_for() -> None:
    code = "import os, time; os.close(0); os.close(1); os.close(2); time.sleep(1); os._exit(7)"
    done = process.run(python(code), stdin="x" * (1 << 20), seconds=50)
    assert (done.code, done.stopped) == (7, False)


def test_a_daemon_that_holds_the_pipe_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HELD_OPEN", 1.0)  # its threads look twice a second whether it is enough
    pidfile = tmp_path / "pid"
    code = running(stay(pidfile, "import os; os.setsid(); ")) + f"\n{written(pidfile)}print('mine')"
    threads, open_before = threading.active_count(), descriptors()
    try:
        done = process.run(python(code), seconds=50)
        assert (done.code, done.stdout) == (0, "mine\n")
        # No thread of ours goes on reading, and nothing stays open for it.
        assert threading.active_count() == threads
        assert descriptors() == open_before
    finally:
        os.kill(int(pidfile.read_text()), signal.SIGKILL)  # a session of its own: a daemon is left alone


LEAVES = """
import os, sys, threading, time
from wizard import process
def start():
    process.run([sys.executable, "-c", {code!r}], seconds=60)
threading.Thread(target=start, daemon=True).start()
os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", {plugin!r}])  # as a library does
{wait}
{how}
"""


@pytest.mark.parametrize(
    "how",
    [
        "from wizard.__main__ import leave; leave(0)",
        "from wizard.__main__ import leave; leave(130)",
        "from wizard.console.working import leave_now; leave_now(130)",
    ],
)
def test_nothing_is_left_when_the_program_leaves_in_the_middle(tmp_path: Path, how: str) -> None:
    one, two, plugin = (tmp_path / name for name in ("one", "two", "plugin"))
    code = running(stay(two, DEAF)) + "\n" + stay(one, DEAF)
    wait = "".join(map(written, (one, two, plugin)))
    script = LEAVES.format(code=code, plugin=stay(plugin), wait=wait, how=how)
    subprocess.run([PYTHON, "-c", script], check=False, cwd=ROOT, timeout=60)
    for each in (one, two, plugin):
        assert gone(int(each.read_text()))


def test_none_is_started_once_the_program_leaves() -> None:
    code = (
        "from wizard import process\nfrom wizard.errors import Interrupted\nprocess.end_all()\n"
        "try:\n    process.run(['true'], seconds=1)\nexcept Interrupted: print('refused')"
    )
    assert process.run(python(code), seconds=30).stdout == "refused\n"


def test_a_stop_of_the_program_is_not_counted_against_the_child() -> None:
    # Stopped for longer than the child may take; the child itself is blocked meanwhile, for nobody reads its pipe.
    code = """
import sys
from wizard import process
process.STOPPED = 0.5
child = "import os, time\\nos.write(2, b'up\\\\n'); time.sleep(0.3)\\nos.write(1, b'x' * 200_000); time.sleep(0.2)"
done = process.run([sys.executable, "-c", child], seconds=2, line=lambda text: print(text, flush=True))
print(done.code, done.stopped, len(done.stdout))
"""
    with subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert program.stdout.readline() == "up\n"
        program.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        program.send_signal(signal.SIGCONT)
        assert program.stdout.read() == "0 False 200000\n"


def test_the_environment_is_ours_and_a_session_is_its_own() -> None:
    code = "import os; print(os.environ.get('HOME'), os.environ.get('PATH'), os.getsid(0) == os.getpid())"
    assert process.run(python(code), seconds=30).stdout == f"{os.environ.get('HOME')} {os.environ['PATH']} True\n"
    names = process.run(python("import os; print(sorted(os.environ))"), seconds=30).stdout
    assert "MESHWIZARD" not in names


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
    for argv in (["/nonexistent/istioctl"], ["true", "a\0b"], ["true", "\ud800"]):
        with pytest.raises(Failed, match="cannot be started"):
            process.run(argv, seconds=1)


@pytest.mark.promise(11, 12)
def test_only_what_changes_something_inherits_what_is_held(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        code = f"import os\ntry:\n    os.fstat({descriptor}); print('open')\nexcept OSError:\n    print('closed')"
        assert process.run(python(code), seconds=30, changes=True).stdout == "closed\n"
        with process.holding(descriptor):
            assert process.run(python(code), seconds=30, changes=True).stdout == "open\n"
            assert process.run(python(code), seconds=30).stdout == "closed\n"
        assert process.run(python(code), seconds=30, changes=True).stdout == "closed\n"
    finally:
        os.close(descriptor)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def gone(pid: int, within: float = 5) -> bool:
    deadline = time.monotonic() + within
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
