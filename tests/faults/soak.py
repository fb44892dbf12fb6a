"""Random sequences for as long as you like: `python -m tests.faults.soak --minutes 30 --jobs 4 --seed 1 --report soak.json`.

Each job is a process that draws batches of sequences, each batch from a seed of its own; a batch that broke is drawn again with
`--batch SEED`. Exits with 1 where anything was violated.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

BATCH = 20  # sequences that are drawn from one seed
ENOUGH = 3  # batches that broke, after which a job stops


@dataclass
class Report:
    """What happened, of all jobs."""

    seed: int
    jobs: int
    seconds: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)
    violations: list[dict[str, object]] = field(default_factory=list)

    @property
    def sequences(self) -> int:
        return self.happened["converged"]

    def total(self, kind: str) -> int:
        """How often anything of this kind happened."""
        return sum(times for what, times in self.happened.items() if what.startswith(f"{kind}:"))

    def lines(self) -> list[str]:
        """For people."""
        told = [
            f"seed {self.seed}, {self.jobs} jobs, {self.seconds:.0f} s: {self.sequences} sequences came right, "
            f"{self.happened['steps']} steps, {self.total('run')} runs, {len(self.violations)} batches broke"
        ]
        for kind in ("crash", "orphan", "rival", "fault", "ailment", "drift", "state", "mesh", "exit"):
            each = {
                what.partition(":")[2]: times
                for what, times in sorted(self.happened.items())
                if what.startswith(f"{kind}:")
            }
            told.append(f"{kind}: {self.total(kind)} ({', '.join(f'{name} {times}' for name, times in each.items())})")
        for broken in self.violations:
            told += [f"--- batch {broken['batch']}: draw it again with --batch {broken['batch']}", str(broken["story"])]
            told += [str(broken["told"])] if broken["told"] else []
        return told


def soak(*, seed: int, jobs: int, minutes: float = 0.0, sequences: int = 0, shrink: bool = True) -> Report:
    """Draw for so many minutes, or so many sequences in all."""
    report = Report(seed, jobs)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="meshwizard-soak-") as folder:
        files = [Path(folder) / f"{job}.json" for job in range(jobs)]
        share = -(-sequences // jobs)
        words = ["--minutes", str(minutes), "--sequences", str(share), *([] if shrink else ["--no-shrink"])]
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.soak", "--job", str(file), "--seed", f"{seed}{job:02}", *words],
                cwd=Path(__file__).parents[2],
            )
            for job, file in enumerate(files)
        ]
        codes = [child.wait() for child in children]
        for file, code in zip(files, codes, strict=True):
            if not file.exists():
                report.violations.append({"batch": 0, "story": f"a job ended with {code} and told nothing", "told": ""})
                continue
            told = json.loads(file.read_text())
            report.happened += Counter(told["happened"])
            report.violations += told["violations"]
    report.seconds = time.monotonic() - began
    return report


def job(file: Path, *, seed: int, minutes: float, sequences: int, shrink: bool) -> None:
    """One job: draw until time or number is up, and write down what happened."""
    from tests.faults.machine import convergence
    from tests.faults.machine.tally import happened

    _stay(int(file.stem))
    convergence.shelf = file.parent
    # Most of what a job holds it holds to its end: to look through it again and again is a tenth of the time.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    # Threads come and go by the hundred and never work side by side: to change between them, and to clear away large stacks,
    # is a twentieth.
    sys.setswitchinterval(0.05)
    threading.stack_size(512 * 1024)
    draw = random.Random(seed)
    end = time.monotonic() + minutes * 60
    violations: list[dict[str, object]] = []
    left = sequences
    while len(violations) < ENOUGH and (left > 0 if sequences else time.monotonic() < end):
        broken = batch(draw.randrange(1 << 31), min(BATCH, left) if sequences else BATCH, shrink=shrink)
        violations += [broken] if broken else []
        left -= BATCH
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps({"happened": happened, "violations": violations}))
        beside.replace(file)


def _stay(number: int) -> None:
    """On one processor: the threads of a job take turns, and lose time where they wander between processors."""
    if hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[number % len(processors)]})


def batch(seed: int, size: int = BATCH, *, shrink: bool = True) -> dict[str, object] | None:
    """Draw that many sequences from this seed. None where all came right."""
    import hypothesis
    from hypothesis.stateful import run_state_machine_as_test

    from tests.faults.machine.rules import Sequences, broke, how

    broke.clear()
    machine = type("Sequences", (Sequences,), {})
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=how(size, shrink=shrink))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        told = "".join(traceback.format_exception(error))
        first, shortest = (broke[0], min(broke, key=len)) if broke else (told, told)
        return {"batch": seed, "story": shortest, "first": first, "told": _rules(error)}
    return None


def _rules(error: BaseException) -> str:
    """The rules as Hypothesis shrank them."""
    notes = list(getattr(error, "__notes__", ()))
    for each in getattr(error, "exceptions", ()):
        notes += getattr(each, "__notes__", ())
    return "\n".join(notes)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Random sequences over simulated clusters.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--sequences", type=int, default=0, help="so many in all, instead of minutes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--report", type=Path, default=None, help="where to write it as JSON")
    parser.add_argument("--no-shrink", action="store_true", help="tell what broke as it was drawn")
    parser.add_argument("--batch", type=int, default=None, help="draw one batch again")
    parser.add_argument("--job", type=Path, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.job is not None:
        job(given.job, seed=given.seed, minutes=given.minutes, sequences=given.sequences, shrink=not given.no_shrink)
        return 0
    if given.batch is not None:
        broken = batch(given.batch, shrink=not given.no_shrink)
        print(f"{broken['story']}\n{broken['told']}" if broken else "all came right")
        return 1 if broken else 0
    seed = random.SystemRandom().randrange(1 << 24) if given.seed is None else given.seed
    report = soak(
        seed=seed, jobs=given.jobs, minutes=given.minutes, sequences=given.sequences, shrink=not given.no_shrink
    )
    print("\n".join(report.lines()))
    if given.report is not None:
        given.report.write_text(json.dumps({**vars(report), "sequences": report.sequences}, indent=1))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
