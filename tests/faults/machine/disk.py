"""Stands for module `os` where the state is written: every change of a file is a door that may be the last."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tests.faults.machine.process import Process

T = TypeVar("T")


class Disk:
    """The disk of the process that is alive."""

    def __init__(self) -> None:
        self.process: Process | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        def effect() -> int:
            return os.open(path, flags, mode, dir_fd=dir_fd)

        return self._door("create", effect) if flags & os.O_EXCL else effect()

    def write(self, fd: int, data: Any) -> int:
        half = memoryview(data)[: len(data) // 2]
        return self._door("write", lambda: os.write(fd, data), half=lambda: os.write(fd, half))

    def fsync(self, fd: int) -> None:
        self._door("fsync", lambda: os.fsync(fd))

    def rename(self, old: Any, new: Any, **folders: int) -> None:
        self._door("rename", lambda: os.rename(old, new, **folders))  # noqa: PTH104 - by descriptor

    def link(self, old: Any, new: Any, **options: Any) -> None:
        self._door("link", lambda: os.link(old, new, **options))

    def unlink(self, path: Any, **folders: int) -> None:
        self._door("unlink", lambda: os.unlink(path, **folders))

    def _door(self, name: str, effect: Callable[[], T], *, half: Callable[[], object] | None = None) -> T:
        process = self.process
        return effect() if process is None else process.on_disk(name, effect, half)
