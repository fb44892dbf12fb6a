"""In a real (pseudo-)terminal: signals and breakdowns give the terminal back, end in a sentence, and leave nothing running."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.core
SECONDS = 60.0  # a hung program fails the test; how fast it is, is not asked here
ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"

APP = """
import os, sys, time
from pathlib import Path
from screens.app import WizardApp
from state import StateFolder
from wizard.simulated.outside import SimulatedOutside
"""
MAIN = """
import sys
from wizard.__main__ import main
sys.argv = ["meshwizard", "demo", *sys.argv[2:]]
"""


class Terminal:
    """A program in a pseudo-terminal of its own."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.seen = b""
        self.child, self.fd = pty.fork()
        if self.child == 0:
            os.chdir(ROOT)
            os.environ |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "TEXTUAL_ANIMATIONS": "none"}
            os.execv(sys.executable, [sys.executable, "-c", code, *arguments])  # noqa: S606
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.fd)

    def read(self, seconds: float = 0.1) -> bool:
        """Take what is painted; False where the program has closed the terminal."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                return False
            self.seen += more
            return bool(more)
        return True

    def until(self, text: bytes) -> None:
        end = time.monotonic() + SECONDS
        while text not in self.seen:
            assert self.read() and time.monotonic() < end, self.seen[-3000:]

    def keys(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def ended(self) -> int:
        """The exit code."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if self.fd >= 0:
                self.read(0.05)
            else:
                time.sleep(0.05)
            done, status = os.waitpid(self.child, os.WNOHANG)
            if done:
                self.child = 0
                while self.fd >= 0 and select.select([self.fd], [], [], 0)[0] and self.read(0):
                    pass
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it does not end: {self.seen[-3000:]!r}")

    def hang_up(self) -> None:
        """The window is closed: the kernel sends SIGHUP, and nothing can be read or written any more."""
        os.close(self.fd)
        self.fd = -1

    def close(self) -> None:
        if self.child:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        if self.fd >= 0:
            os.close(self.fd)

    @property
    def after(self) -> str:
        """What is on the normal screen after the wizard has left."""
        assert ENTERED in self.seen and LEFT in self.seen
        return self.seen.rpartition(LEFT)[2].decode(errors="replace")


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for terminal in made:
        terminal.close()


def opened(terminals: list[Terminal], code: str, *arguments: str) -> Terminal:
    terminals.append(Terminal(code, *arguments))
    return terminals[-1]


def whole(terminal: Terminal) -> None:
    """No traceback, nothing of Textual's, and the terminal's modes as they were."""
    assert b"Traceback" not in terminal.seen and b"Error" not in terminal.seen
    assert terminal.seen.count(ENTERED) == terminal.seen.count(LEFT) == 1
    assert "\x1b[?25h" in terminal.after  # the cursor is shown
    assert termios.tcgetattr(terminal.fd)[3] == terminal.before[3]  # echo, line by line


@pytest.mark.promise(33)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_on_the_first_screen(terminals: list[Terminal], tmp_path: Path, number: signal.Signals) -> None:
    terminal = opened(terminals, f"{MAIN}main()", str(tmp_path))
    terminal.until(b"New mesh")
    os.kill(terminal.child, number)
    assert terminal.ended() == 130
    whole(terminal)
    assert "Nothing was changed." in terminal.after


INSTALLING = f"""{APP}
class Real(SimulatedOutside):
    simulated = False  # so that the farewell is that of real clusters
app = WizardApp(Real(speed=3), StateFolder(Path(sys.argv[1])), auto=True, auto_pause=0)
try:
    code = app.run_wizard()
finally:
    print("alive" if app.active_run and app.active_run._thread.is_alive() else "all ended", app.farewell)
sys.exit(code)
"""


@pytest.mark.promise(33)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_install(terminals: list[Terminal], tmp_path: Path, number: signal.Signals) -> None:
    terminal = opened(terminals, INSTALLING, str(tmp_path))
    terminal.until(b"at work")
    os.kill(terminal.child, number)
    assert terminal.ended() == 130
    whole(terminal)
    assert "all ended" in terminal.after
    assert "Stopped by a signal" in terminal.after
    assert f"meshwizard resume mesh1 --state-dir {tmp_path}" in terminal.after


@pytest.mark.promise(33)
def test_the_window_is_closed_during_the_install(terminals: list[Terminal], tmp_path: Path) -> None:
    terminal = opened(terminals, INSTALLING, str(tmp_path))
    terminal.until(b"at work")
    terminal.hang_up()
    assert terminal.ended() == 130
    from state import StateFolder

    found = StateFolder(tmp_path).read("mesh1")
    assert found is not None
    assert not found.finished


BREAKS = f"""{APP}
class Broken(SimulatedOutside):
    def contexts(self, kubeconfigs=()):
        return [object()]  # a mistake of ours: what it is used for raises in a handler
from wizard.__main__ import main
import wizard.commands.demo
wizard.commands.demo.simulated_outside = Broken
sys.argv = ["meshwizard", "demo", "--log", sys.argv[1]]
main()
"""


def test_a_breakdown_is_one_sentence(terminals: list[Terminal], tmp_path: Path) -> None:
    log = tmp_path / "log"
    terminal = opened(terminals, BREAKS, str(log))
    terminal.until(b"New mesh")
    terminal.keys(b"\r")
    terminal.until(b"Write a report")  # on the normal screen, with the terminal as it was
    terminal.keys(b"n\r")
    assert terminal.ended() == 1
    assert b"Traceback" not in terminal.seen
    assert "unexpected AttributeError" in terminal.after
    assert "Please report this" in terminal.after
    assert "Traceback" in log.read_text()
