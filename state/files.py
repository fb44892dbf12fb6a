"""The state's files: whole reads, atomic writes, and folders that nobody else can meddle with."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL, ELOOP, EMLINK, ENOSYS, ENOTSUP, ENXIO, EOPNOTSUPP, EPERM
from pathlib import Path

from .checks import check_file, check_folder, check_mode, refused
from .errors import STATE, Purpose, look_failed, write_failed
from .message import msg

TEMPORARY = ".writing-"  # begins the name of every file that is not yet whole
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # O_NONBLOCK: a planted FIFO must not hang us
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NO_LINKS = frozenset((EPERM, ENOTSUP, EOPNOTSUPP, EMLINK, ENOSYS))  # what file systems without hard links answer

Stamp = tuple[int, int, int, int]  # device, inode, size, time of change in ns: the same as long as nobody replaced it


class Directory:
    """A checked folder, held open: everything goes to this very folder, even if its path is bent meanwhile."""

    def __init__(self, path: Path, fd: int, purpose: Purpose = STATE) -> None:
        self.path = path
        self.fd = fd
        self.purpose = purpose

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def label(self, name: str = "") -> str:
        return str(self.path / name)

    def names(self) -> list[str]:
        """What lies in it. StateError where it cannot be read."""
        try:
            return os.listdir(self.fd)  # noqa: PTH208 - by descriptor
        except OSError as error:
            raise look_failed(self.path, error, self.purpose) from error

    def stamp(self, name: str) -> Stamp | None:
        """Tells one content of a file from another; None if there is none. StateError where it cannot be looked at."""
        try:
            return self._stamp(name)
        except OSError as error:
            raise look_failed(self.path / name, error, self.purpose) from error

    def _stamp(self, name: str) -> Stamp | None:
        try:
            found = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def read(self, name: str, limit: int, *, secret: bool | None = None) -> bytes | None:
        """The file's bytes, at most `limit` + 1 of them; None if there is none. StateError if it is not ours; and, where
        `secret` is given, if others can change it or (true) read it.
        """
        try:
            fd = self.open_file(name, _READ)
            try:
                if secret is not None:
                    check_mode(self.path / name, os.fstat(fd), secret=secret)
                parts: list[bytes] = []
                size = 0
                while size <= limit and (part := os.read(fd, min(1 << 20, limit + 1 - size))):
                    parts.append(part)
                    size += len(part)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise look_failed(self.path / name, error, self.purpose) from error
        return b"".join(parts)

    def open_file(self, name: str, flags: int) -> int:
        """A descriptor of a regular file of ours here. OSError as it comes, StateError for what is refused."""
        try:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600, dir_fd=self.fd)
        except OSError as error:
            if error.errno in (ELOOP, EMLINK):
                raise refused(self.path / name, msg("is a symbolic link"), self.purpose) from error
            if error.errno in (ENXIO, EOPNOTSUPP):
                raise refused(self.path / name, msg("is not a regular file"), self.purpose) from error
            raise
        try:
            check_file(self.path / name, os.fstat(fd), self.purpose)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def replace(self, name: str, data: bytes, keep: int) -> None:
        """Make `data` the content of `name`, durably, moving up to `keep` earlier ones to `name.1`, `name.2`, ….

        At every moment `name` is the old file or the new one. Raises StateWriteFailed.
        """
        temporary = f"{TEMPORARY}{os.urandom(8).hex()}"
        with self.writing():
            try:
                fd = os.open(temporary, _NEW, 0o600, dir_fd=self.fd)
                try:
                    rest = memoryview(data)
                    while rest:
                        rest = rest[os.write(fd, rest) :]
                    flush_file(fd)  # once only: after a failure the kernel may call lost pages clean
                finally:
                    os.close(fd)
                self._keep(name, keep)
                self._rename(temporary, name)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=self.fd)
                raise
            self.flush()

    def _keep(self, name: str, keep: int) -> None:
        """Give `name` the second name `name.1`, the earlier ones moving up as far as needed."""
        current = self._stamp(name)
        first = f"{name}.1"
        if keep < 1 or current is None or self._stamp(first) == current:
            return
        gap = next((i for i in range(1, keep + 1) if self._stamp(f"{name}.{i}") is None), keep)
        for number in range(gap, 1, -1):
            self._rename(f"{name}.{number - 1}", f"{name}.{number}")
        if not self.link(name, first):
            self._rename(name, first)  # a moment without `name`; readers then take the first generation

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def link(self, name: str, second: str) -> bool:
        """Give a file a second name, replacing what had it. False where the file system has no hard links."""
        with suppress(FileNotFoundError):
            os.unlink(second, dir_fd=self.fd)
        try:
            os.link(name, second, src_dir_fd=self.fd, dst_dir_fd=self.fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in NO_LINKS:
                return False
            raise write_failed(self.path, error, self.purpose) from error
        return True

    def move(self, old: str, new: str) -> None:
        with self.writing():
            self._rename(old, new)

    def remove(self, name: str) -> None:
        """Remove one file; fine if it is gone already."""
        with self.writing(), suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def sweep(self) -> None:
        """Remove what writers left that died. Only for the holder of the lock."""
        for name in self.names():
            if name.startswith(TEMPORARY):
                with suppress(OSError):  # litter is no reason to refuse work
                    os.unlink(name, dir_fd=self.fd)

    def flush(self) -> None:
        """Make the names in this folder durable."""
        with self.writing():
            flush_folder(self.fd)

    @contextmanager
    def writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_failed(self.path, error, self.purpose) from error


def open_folder(path: Path, *, create: bool, purpose: Purpose = STATE) -> Directory | None:
    """The folder, checked; None if it is absent and not to be created.

    Refused (StateError): a symbolic link, another user's, one that group or others can write, one that lies in a
    folder anybody can write (unless sticky, like /tmp). StateWriteFailed if it cannot be created.
    """
    path = path.absolute()
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        if not create:
            return None
        _make(path, purpose)
        found = os.lstat(path)
    except OSError as error:
        raise look_failed(path, error, purpose) from error
    if stat.S_ISLNK(found.st_mode):
        raise refused(path, msg("is a symbolic link"), purpose)
    try:
        fd = os.open(path, _FOLDER)
    except OSError as error:
        why = msg("cannot be used as a folder ({reason})", reason=error.strerror)
        raise refused(path, why, purpose) from error
    try:
        check_folder(path, os.fstat(fd), purpose)
    except BaseException:
        os.close(fd)
        raise
    return Directory(path, fd, purpose)


def _make(path: Path, purpose: Purpose) -> None:
    try:
        if not path.parent.is_dir():
            _make(path.parent, purpose)
        path.mkdir(0o700, exist_ok=True)
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            flush_folder(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise write_failed(path, error, purpose) from error


def flush_file(fd: int) -> None:
    """Make what a file holds durable. Raises OSError."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone stops at the drive's own cache
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
        except OSError as error:
            if error.errno not in (ENOTSUP, EOPNOTSUPP, EINVAL):
                raise
    os.fsync(fd)


def flush_folder(fd: int) -> None:
    """Make the names in a folder durable. Raises OSError."""
    try:
        flush_file(fd)
    except OSError as error:
        if error.errno != EINVAL:  # this file system has no such thing as flushing a folder
            raise
