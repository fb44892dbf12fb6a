"""A folder of finished builds: an entry is there completely or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.lab.proc import locked, say

_KEPT_UNUSED = 14 * 24 * 3600.0


def digest(parts: Iterable[str | Path]) -> str:
    """A short hash over strings and over the contents of files."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:12]


def ensure(cache: Path, name: str, inputs: Iterable[str | Path], build: Callable[[Path], None]) -> Path:
    """The cache folder of `name` for these inputs, built first if it is missing.

    It is built beside its final place and renamed, so a build that was killed is never taken for a finished
    one; its rest is removed by the next build of that name.
    """
    final = cache / f"{name}-{digest(inputs)}"
    if final.is_dir():
        os.utime(final)
        return final
    with locked(cache / "locks" / name):
        if final.is_dir():
            return final
        for stale in cache.glob(f"building-{name}-*"):
            shutil.rmtree(stale)
        temporary = cache / f"building-{name}-{os.getpid()}"
        temporary.mkdir(parents=True)
        say(f"building {name} (once; kept in {final})")
        start = time.monotonic()
        build(temporary)
        temporary.rename(final)
        say(f"built {name} in {time.monotonic() - start:.0f} s")
        _forget(cache, name)
    return final


def _forget(cache: Path, name: str) -> None:
    """Remove builds of that name from other inputs that nobody has used for long."""
    for sibling in cache.glob(f"{name}-{'?' * 12}"):
        if time.time() - sibling.stat().st_mtime > _KEPT_UNUSED:
            say(f"removing {sibling}, unused for two weeks")
            shutil.rmtree(sibling)
