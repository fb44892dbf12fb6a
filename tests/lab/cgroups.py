"""Control groups: how the lab knows its own processes, whoever started them and whatever became of the parent."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.lab.proc import LabError


def _hierarchies() -> tuple[list[Path], Path]:
    """All cgroup file systems here, and the one by which processes are found again."""
    every: list[Path] = []
    tracking: Path | None = None
    unified: Path | None = None
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, options, *_ = line.split()
        if kind == "cgroup":
            every.append(Path(target))
            if "pids" in options.split(","):
                tracking = Path(target)
        elif kind == "cgroup2":
            every.append(Path(target))
            unified = Path(target)
    chosen = tracking or unified
    if chosen is None:
        raise LabError("the lab needs a cgroup file system with the pids controller")
    return every, chosen


def _folders(base: Path) -> list[Path]:
    """The folder and everything below it, deepest first."""
    return [Path(folder) for folder, _, _ in os.walk(base, topdown=False)]


def create(group: str) -> Path:
    """Make the group and return its cgroup.procs file, to which a process writes itself."""
    folder = _hierarchies()[1] / group
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "cgroup.procs"


def create_everywhere(group: str) -> None:
    """Make the group in every hierarchy, ready to take processes: kubelet asks for that."""
    for base in _hierarchies()[0]:
        folder = base
        for part in Path(group).parts:
            parent, folder = folder, folder / part
            folder.mkdir(exist_ok=True)
            # In cgroup v1 a new cpuset has no processors and no memory, and takes no process until it does.
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (folder / name).exists() and not (folder / name).read_text().strip():
                    (folder / name).write_text((parent / name).read_text())


def processes(group: str) -> list[int]:
    """The processes in the group and in all groups below it."""
    found: list[int] = []
    for folder in _folders(_hierarchies()[1] / group):
        try:
            found += [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
        except (FileNotFoundError, OSError):
            continue
    return found


def kill(group: str, sig: signal.Signals = signal.SIGKILL, timeout: float = 20) -> None:
    """Signal every process of the group until none is left; after the time is over, raise."""
    end = time.monotonic() + timeout
    sent: set[int] = set()
    while pids := processes(group):
        for pid in pids:
            if pid not in sent or sig == signal.SIGKILL:
                sent.add(pid)
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    continue
        if time.monotonic() > end:
            raise LabError(f"processes of {group} do not end: {pids}")
        time.sleep(0.02)


def remove(group: str) -> None:
    """Remove the group from every hierarchy; container runtimes make it in all of them."""
    for base in _hierarchies()[0]:
        for folder in _folders(base / group):
            for _ in range(50):
                try:
                    folder.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:  # a process that has just died leaves a moment later
                    time.sleep(0.02)


def left(prefix: str) -> list[Path]:
    """Groups at the top whose name is exactly `prefix`, in any hierarchy."""
    return [base / prefix for base in _hierarchies()[0] if (base / prefix).is_dir()]
