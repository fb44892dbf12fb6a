"""strace attached to a process that waits for it: faults at the N-th system call of the real interpreter, and their order.

A call's `when` counts for each thread by itself, and from the moment strace is attached: what the interpreter did before, to load
modules, is not counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.proc import locked, run

ROOT = Path(__file__).parents[2]
# The binary itself: what is on the PATH, or in a virtual environment, may be a program that forks it.
PYTHON = str(Path("/proc/self/exe").readlink())
FAMILIES = {
    "open": "open,openat,openat2",
    "write": "write,pwrite64",
    "fsync": "fsync,fdatasync",
    "close": "close",
    "rename": "rename,renameat,renameat2",
    "link": "link,linkat",
    "unlink": "unlink,unlinkat",
    "flock": "flock",
}


def ensure_strace(folder: Path) -> None:
    """Install Debian's strace where there is none. `folder` holds the lock of those who install at once."""
    with locked(folder / "apt"):
        if shutil.which("strace"):
            return
        install = ["apt-get", "install", "-y", "--no-install-recommends", "strace"]
        env = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        run(["apt-get", "update"], env=env, timeout=300)
        run(install, env=env, timeout=300)


@dataclass(frozen=True)
class Traced:
    """How a traced process ended."""

    code: int  # negative: by that signal
    said: list[str]  # the lines of its stdout after "ready"
    errors: str
    calls: list[str]  # strace's lines


def traced(arguments: Sequence[str], trace: str, inject: str = "", *, into: Path) -> Traced:
    """Run a Python module that says "ready" and waits for a byte before it works, with strace attached meanwhile. `into`: a
    file for the trace.
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.Popen(
        [PYTHON, "-S", "-m", *arguments],
        cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdin and child.stdout and child.stderr
    assert child.stdout.readline() == "ready\n", child.stderr.read()
    options = ["-f", "-y", "-s", "16", "-e", f"trace={trace}", *(["-e", f"inject={inject}"] if inject else [])]
    tracer = subprocess.Popen(
        ["strace", *options, "-o", str(into), "-p", str(child.pid)], stderr=subprocess.PIPE, text=True
    )
    assert tracer.stderr
    heard = tracer.stderr.readline()
    try:
        assert "attached" in heard, heard
        out, errors = child.communicate("g", timeout=120)
    finally:
        child.kill()
        tracer.communicate(timeout=30)
    return Traced(child.returncode, out.splitlines(), errors, into.read_text().splitlines())
