"""The wheel, installed as the README says, runs outside the checkout and for another user than the one who installed it.

Needs a package index. As root the other user is `nobody`; without root it is the same user with another home.
"""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wizard import __version__

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NOBODY = 65534
SECONDS = 180
MESH = """\
apiVersion: meshwizard/v1
kind: Mesh
name: mesh1
clusters:
- {name: cluster1, kubeconfig: one, context: one, network: network1}
- {name: cluster2, kubeconfig: one, context: one, network: network2}
"""


@dataclass
class Place:
    """A folder that every user may read, below it the wheel and what is installed, and a home of the other user's."""

    folder: Path
    wheel: Path
    python: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm-256color"}

    def install(self, *argv: str | Path, **environment: str) -> None:
        """Run one of the installers, as a person does."""
        done = subprocess.run(
            argv, cwd=self.folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *argv: str | Path) -> tuple[int, str]:
        """Run a program as the other user, from that user's home: exit code, and what it wrote."""
        done = subprocess.run(
            [*_as_other(), *argv], cwd=self.home, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def run_in_terminal(self, *argv: str | Path) -> tuple[int, str]:
        """The same in a terminal of 80x24."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        child = subprocess.Popen(
            [*_as_other(), "setsid", "--ctty", "--wait", *argv], cwd=self.home, env=self.environment(), stdin=theirs,
            stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        written = b""
        try:
            while some := os.read(ours, 65536):
                written += some
        except OSError:  # nobody holds the other end any more
            pass
        finally:
            os.close(ours)
        return child.wait(SECONDS), written.decode(errors="replace")


def _as_other() -> list[str]:
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"] if os.geteuid() == 0 else []


def _python() -> str:
    """An interpreter that the other user may run."""
    own = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    for each in ("/usr/bin/python3", str(own.resolve())):
        code = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
        if Path(each).exists() and subprocess.run([*_as_other(), each, "-c", code], check=False).returncode == 0:
            return each
    pytest.fail("no Python of 3.11 or newer here can be run by another user")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="meshwizard-package-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
        (wheel,) = folder.glob("*.whl")
        made = Place(folder, wheel, _python())
        made.home.mkdir()
        if os.geteuid() == 0:
            os.chown(made.home, NOBODY, NOBODY)
        yield made
    finally:
        shutil.rmtree(folder)


class Installed:
    """What must hold however it was installed. Each way is a class, so that each can have one of xdist's workers."""

    @pytest.fixture(scope="class")
    @classmethod
    def command(cls, place: Place) -> Path:
        return cls.install(place) / "meshwizard"

    @classmethod
    def install(cls, place: Place) -> Path:
        """Install the wheel; the folder that the command is in."""
        raise NotImplementedError

    def test_it_says_its_version(self, place: Place, command: Path) -> None:
        assert place.run(command, "--version") == (0, f"meshwizard {__version__}\n")

    def test_the_demo_plays_by_itself_on_its_screens(self, place: Place, command: Path) -> None:
        code, written = place.run_in_terminal(command, "demo", "--auto")
        assert code == 0, written[-3000:]
        assert "is verified" in written

    def test_a_check_names_what_is_wrong(self, place: Place, command: Path) -> None:
        file = place.folder / "mesh.yaml"
        file.write_text(MESH)
        code, written = place.run(command, "check", "-f", file)
        assert code == 2, written
        assert str(place.folder / "one") in written
        assert "Traceback" not in written


class TestByPip(Installed):
    @classmethod
    def install(cls, place: Place) -> Path:
        place.install(place.python, "-m", "venv", place.folder / "venv")
        place.install(place.folder / "venv/bin/python", "-m", "pip", "install", "--quiet", place.wheel)
        return place.folder / "venv/bin"


class TestByUv(Installed):
    @classmethod
    def install(cls, place: Place) -> Path:
        places = {"UV_TOOL_DIR": str(place.folder / "uv/tools"), "UV_TOOL_BIN_DIR": str(place.folder / "uv/bin")}
        how = {"UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "copy", **places}
        place.install(BIN / "uv", "tool", "install", "--python", place.python, place.wheel, **how)
        return place.folder / "uv/bin"


class TestByPipx(Installed):
    @classmethod
    def install(cls, place: Place) -> Path:
        places = {"PIPX_HOME": str(place.folder / "pipx/home"), "PIPX_BIN_DIR": str(place.folder / "pipx/bin")}
        place.install(BIN / "pipx", "install", "--python", place.python, place.wheel, **places)
        return place.folder / "pipx/bin"


def test_nothing_but_the_program_is_in_the_wheel(place: Place) -> None:
    names = zipfile.ZipFile(place.wheel).namelist()
    assert {name.partition("/")[0] for name in names} - {f"meshwizard-{__version__}.dist-info"} == {
        "wizard", "screens", "state",
    }  # fmt: skip
    in_checkout = {
        path.relative_to(ROOT).as_posix()
        for room in ("wizard", "screens", "state")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert in_checkout - set(names) == set()
