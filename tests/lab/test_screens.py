"""The wizard's screens in a real terminal (tmux), by keys alone, over real clusters: from the start screen to verified."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.wizard import Wizard, assert_verified

pytestmark = pytest.mark.proves("A mesh set up by keys alone, in a terminal of 80x24 and of 120x40")
SECONDS = 60  # for a screen to show what is waited for
INSTALL_SECONDS = 300


class Terminal:
    """One tmux session of a server of its own."""

    def __init__(self, columns: int, rows: int) -> None:
        self._socket = f"meshwizard-{os.getpid()}-{columns}"
        self._size = ["-x", str(columns), "-y", str(rows)]

    def start(self, command: str, environment: dict[str, str]) -> None:
        settings = [f"{key}={value}" for key, value in environment.items() if key != "TERM"]
        line = shlex.join(
            [
                "env",
                "-i",
                "TERM=tmux-256color",
                "LANG=C.UTF-8",
                *settings,
                "sh",
                "-c",
                f"{command}; echo ended $?; sleep 600",
            ]
        )
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "w", *self._size, line)

    def tmux(self, *words: str) -> str:
        return subprocess.run(["tmux", "-L", self._socket, *words], capture_output=True, text=True, check=True).stdout

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.tmux("send-keys", "-t", "w", key)
            time.sleep(0.1)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-t", "w", "-p")

    def until(self, *texts: str, seconds: float = SECONDS) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            shown = self.screen()
            if all(text in shown for text in texts):
                return shown
            time.sleep(0.3)
        raise AssertionError(f"{texts} did not come; the screen shows:\n{self.screen()}")

    def close(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False)


@pytest.fixture(params=[pytest.param((80, 24), marks=pytest.mark.core), (120, 40)], ids=["80x24", "120x40"])
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    made = Terminal(*request.param)
    yield made
    made.close()


def test_the_mesh_is_set_up_by_keys_alone(fresh_lab: Lab, tmp_path: Path, terminal: Terminal) -> None:
    wizard = Wizard(fresh_lab, tmp_path)
    words = ["--kubeconfig", str(fresh_lab.kubeconfig), "--istio-overlays", str(fresh_lab.overlay)]
    terminal.start(shlex.join(wizard.argv(*words)), wizard.environment)
    terminal.until("New mesh")
    terminal.keys("Enter")
    terminal.until("Which clusters?", "cluster1", "cluster2", "v1.34.4")
    terminal.keys("Space", "Down", "Space", "C-n")
    terminal.until("Topology")
    terminal.keys("C-n")
    terminal.until("Mesh name")
    terminal.keys("C-n")
    terminal.until("istioctl", "1.29.1")
    terminal.keys("C-n")
    addresses = [cluster.address for cluster in fresh_lab.clusters]
    terminal.until("31443", *addresses)
    terminal.keys("C-n")
    terminal.until("21 to do")
    terminal.keys("C-n")
    terminal.until("Install", "running")
    terminal.until("Verified", seconds=INSTALL_SECONDS)
    terminal.keys("C-n")
    terminal.until("Mesh mesh1 is verified")
    terminal.keys("C-n")
    shown = terminal.until("ended 0")
    assert "mesh1" in shown
    assert_verified(wizard)
