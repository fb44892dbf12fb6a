"""Meshes to record, processes to kill, and an `os` that fails where it is told to."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from state import Journal, StateFolder, files

MESH = "mesh1"
DOCUMENT = {"name": MESH, "clusters": [{"name": "cluster1", "gateway": {"port": 31443}}]}
CLUSTERS = {"cluster1": {"uid": "11111111-2222"}}


def start(folder: StateFolder, name: str = MESH) -> Journal:
    """An open journal of a mesh with one finished step."""
    journal = folder.open(name)
    journal.start("apply", {**DOCUMENT, "name": name}, {"istioctl": "/usr/bin/istioctl"}, CLUSTERS)
    journal.begin("namespace/cluster1", "abc")
    journal.end("namespace/cluster1", "done", "made")
    return journal


def remember(folder: StateFolder, name: str = MESH) -> None:
    with start(folder, name):
        pass


def forget(folder: StateFolder, name: str = MESH) -> None:
    with folder.open(name) as journal:
        journal.forget()


class FaultyOs:
    """Stands for `os` inside a module of `state`: at the N-th call of one function it does what it is told."""

    def __init__(self, function: str, at: int, act: Callable[[], None]) -> None:
        self.function, self.at, self.act = function, at, act
        self.calls = 0

    @property
    def fired(self) -> bool:
        return self.calls >= self.at

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name != self.function:
            return real

        def counted(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self.at:
                self.act()
            return real(*args, **options)

        return counted


def failing(number: int) -> Callable[[], None]:
    def act() -> None:
        raise OSError(number, os.strerror(number))

    return act


def killing() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def install(monkeypatch: pytest.MonkeyPatch, shim: FaultyOs) -> None:
    monkeypatch.setattr(files, "os", shim)
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)  # so that macOS counts fsync too


def fork(work: Callable[[], None]) -> int:
    """Run `work` in a child of its own; exit status 0 if it returned, 1 if it raised."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def wait(pid: int) -> int:
    """The exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def contents(path: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in path.iterdir()}
