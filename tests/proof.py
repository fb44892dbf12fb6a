"""Runs the parts of the proof one after the other and says how long each took.

    python3 -m tests.proof commit   what CI runs at every commit: the core and one share; ends with the first part that fails
    python3 -m tests.proof all      everything, whatever fails; writes docs/proven.md and tests/times.json from what it saw

Needs Python and make, and nothing installed: the parts set up what they need.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = ".venv/bin/python"
PARTS = ("check", "test", "demo", "test-package", "test-faults", "test-lab")
LONG = ("test-faults", "test-lab")  # those that have a core and shares, see tests/shares.py
_TALLY = re.compile(r"=+ (\d+ (?:passed|failed|skipped|error|deselected)[^=\n]*) in [\d.]+s.*=+$", re.M)


@dataclass(frozen=True)
class Part:
    """How one part went: its seconds, its exit code, and pytest's own count where it ran tests."""

    name: str
    seconds: float
    code: int
    told: str


def _run(name: str, argv: Sequence[str], choice: str = "") -> Part:
    """Run a part, its output shown as it comes. `choice`: the SHARD that a long part is to take."""
    print(f"\n== {name}{f' ({choice})' if choice else ''}", flush=True)
    began, said = time.monotonic(), b""
    child = subprocess.Popen(
        argv, cwd=ROOT, env={**os.environ, "SHARD": choice}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert child.stdout
    while some := os.read(child.stdout.fileno(), 1 << 16):  # not by lines: pytest's dots tell that it goes on
        sys.stdout.buffer.write(some)
        sys.stdout.buffer.flush()
        said += some
    told = _TALLY.findall(said.decode(errors="replace"))
    return Part(name, time.monotonic() - began, child.wait(), told[-1] if told else "")


def _make(name: str, choice: str = "") -> Part:
    return _run(name, ["make", name], choice)


def _table(parts: Sequence[Part]) -> str:
    lines = [
        f"{part.name:<14}{part.seconds:6.0f} s  {'ok' if part.code == 0 else f'FAILED with {part.code}'}  {part.told}"
        for part in parts
    ]
    return "\n".join([*lines, f"{'in all':<14}{sum(part.seconds for part in parts):6.0f} s"])


def _told_by(*argv: str) -> str:
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def commit() -> int:
    """Run what CI runs, and compare what was seen on real clusters with docs/proven.md."""
    done: list[Part] = []
    choice = ""
    for name in PARTS:
        if name in LONG and not choice:
            choice = _told_by(PYTHON, "-m", "tests.shares", "--choice")
            print(f"\n{_told_by(PYTHON, '-m', 'tests.shares')}", flush=True)
        done.append(_make(name, choice if name in LONG else ""))
        if done[-1].code:
            break
    else:
        done.append(_run("proven", [PYTHON, "-m", "tests.lab.proven", "--check", ".proven.json"]))
    print(f"\n{_table(done)}")
    return done[-1].code


def everything() -> int:
    """Run all, and write down what it proved and how long each test took."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    changes = " with changes" if _told_by("git", "status", "--porcelain") else ""
    named = _told_by("git", "rev-parse", "--short=10", "HEAD") + changes
    done = [_make(name) for name in PARTS]
    record = {"date": today, "commit": named, "parts": [asdict(part) for part in done]}
    (ROOT / ".proof.json").write_text(json.dumps(record, indent=1))
    done.append(_run("proven", [PYTHON, "-m", "tests.lab.proven", "--write", ".proven.json", ".proof.json"]))
    times = [f".times-{name.removeprefix('test-')}.json" for name in LONG]
    done.append(_run("times", [PYTHON, "-m", "tests.shares", "--remember", *times]))
    print(f"\n{_table(done)}")
    return max(part.code for part in done)


def main() -> int:
    """Run the parts that were asked for; the exit code of what failed."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.proof", description=main.__doc__)
    parser.add_argument("what", choices=("commit", "all"))
    return commit() if parser.parse_args().what == "commit" else everything()


if __name__ == "__main__":
    sys.exit(main())
