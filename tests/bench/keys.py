"""From a key to what it paints, in the demo with fifty clusters: the wizard's own process in a pseudo-terminal.

`python -m tests.bench.keys` prints, for each kind of key, how long until the first and until the last byte that it painted.
Nobody else's program does the same, so there is no ratio; a tenth of a second is what a person takes for at once.
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

ROOT = Path(__file__).parents[2]
CLUSTERS = 50
TIMES = 7
QUIET = 0.15  # seconds without a byte after which a key has painted all it paints
SETTLE = 2.5  # seconds for a screen to come up and its background work to end
DOWN, TAB, ENTER, NEXT = b"\x1b[B", b"\t", b"\r", b"\x0e"


class Terminal:
    """The demo, driven by keys."""

    def __init__(self, size: tuple[int, int], folder: str) -> None:
        self._child, self._fd = pty.fork()
        if self._child == 0:
            os.chdir(ROOT)
            os.environ |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "TEXTUAL_ANIMATIONS": "none"}
            argv = [sys.executable, "-m", "wizard", "demo", "--clusters", str(CLUSTERS), "--state-dir", folder]
            os.execv(sys.executable, argv)  # noqa: S606
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def painted(self, quiet: float) -> float:
        """Seconds until the last byte before a pause that long; a cursor that blinks makes shorter ones."""
        began, last = time.monotonic(), 0.0
        while select.select([self._fd], [], [], quiet)[0]:
            os.read(self._fd, 65536)
            last = time.monotonic() - began
        return last

    def drain(self, seconds: float) -> None:
        """Read for that long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._fd], [], [], left)[0]:
                os.read(self._fd, 65536)

    def press(self, *keys: bytes) -> None:
        """Press them one after the other, each when what came before is painted."""
        for key in keys:
            os.write(self._fd, key)
            self.drain(SETTLE if key in (NEXT, ENTER) else 0.5)

    def measure(self, key: bytes) -> tuple[float, float]:
        """Medians over some presses: until the first byte, and until the last."""
        first, last = [], []
        for _ in range(TIMES):
            self.drain(0.5)
            began = time.monotonic()
            os.write(self._fd, key)
            if select.select([self._fd], [], [], 10)[0]:
                first.append(time.monotonic() - began)
                last.append(first[-1] + self.painted(QUIET))
        return statistics.median(first), statistics.median(last)

    def close(self) -> None:
        """End it."""
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)
        os.close(self._fd)


def tell(what: str, found: tuple[float, float]) -> None:
    """One line of the result."""
    sys.stdout.write(f"{what:<34} first {found[0] * 1000:4.0f} ms   all {found[1] * 1000:4.0f} ms\n")
    sys.stdout.flush()


def main() -> int:
    for size in ((80, 24), (120, 40)):
        with tempfile.TemporaryDirectory() as folder:
            terminal = Terminal(size, folder)
            try:
                sys.stdout.write(f"{size[0]}×{size[1]}, {CLUSTERS} clusters\n")
                terminal.drain(SETTLE)
                terminal.press(ENTER, b"a")
                tell("contexts: another row", terminal.measure(DOWN))
                terminal.press(NEXT, DOWN, ENTER, TAB)
                tell("topology: another cluster", terminal.measure(DOWN))
                tell("topology: mark one", terminal.measure(b" "))
                terminal.press(b"a", TAB, TAB)
                tell("topology: network of all marked", terminal.measure(b"x"))
                terminal.press(NEXT, TAB, TAB, ENTER)
                tell("names: a cluster's name", terminal.measure(b"y"))
                terminal.press(NEXT, NEXT)
                tell("networks: another cluster", terminal.measure(DOWN))
            finally:
                terminal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
