"""From the start of the process to the first painted screen: the wizard's against a Textual app with one label.

`python -m tests.bench.first_paint` prints the ratio in one line. Both run in turns in a pseudo-terminal of 80×24, so that
what else the machine does meets both alike; the median of each counts.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

TIMES = 7
REACH = 1.5
GIVE_UP = 30.0  # seconds
ROOT = Path(__file__).parents[2]

LABEL = """
from textual.app import App
from textual.widgets import Label
class One(App):
    def compose(self):
        yield Label("painted")
One().run()
"""
WIZARD = """
import sys
from pathlib import Path
from screens.app import WizardApp
from state import StateFolder
from wizard.simulated.outside import SimulatedOutside
WizardApp(SimulatedOutside(), StateFolder(Path(sys.argv[1]))).run()
"""


def painted(code: str, text: bytes, folder: str) -> float:
    """Seconds until this code has painted that text."""
    began = time.monotonic()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-c", code, folder])  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen = b""
    try:
        while text not in seen:
            if time.monotonic() - began > GIVE_UP or not select.select([terminal], [], [], GIVE_UP)[0]:
                raise SystemExit(f"nothing was painted within {GIVE_UP:.0f} s")
            seen += os.read(terminal, 65536)
        return time.monotonic() - began
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def main() -> int:
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(TIMES + 1):  # the first round warms the caches
            theirs.append(painted(LABEL, b"painted", folder))
            ours.append(painted(WIZARD, b"New mesh", folder))
    mine, other = statistics.median(ours[1:]), statistics.median(theirs[1:])
    ratio = mine / other
    verdict = "reached" if ratio <= REACH else "NOT reached"
    sys.stdout.write(
        f"first painted screen {mine:.2f} s   a Textual app with one label {other:.2f} s   "
        f"ratio {ratio:.2f} (≤ {REACH}: {verdict})\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
