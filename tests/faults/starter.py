"""A machine on which runs are started again and again: `python -m tests.faults.starter FOLDER STARTS SEED`.

Each start is a process of its own: it takes the mesh or is told that it is held, looks whether it is really alone, records,
starts a command that inherits the lock, and ends well or is killed. How the starts ended is printed as one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from state import StateBusy, StateFolder

MESH = "mesh1"
DONE, HELD, NOT_ALONE, UNMADE = 0, 5, 7, 8
_WORDS = {DONE: "done", HELD: "held", NOT_ALONE: "not alone", UNMADE: "a record was lost", -signal.SIGKILL: "killed"}


def main() -> None:
    """Start that often, and say how often each start ended how."""
    folder, starts, dice = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    met: Counter[str] = Counter()
    for _ in range(starts):
        pid = os.fork()
        if pid == 0:
            os._exit(_run(folder, random.Random(dice.random())))
        dice.random()  # the next start is another one
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        met[_WORDS.get(code, f"exit {code}")] += 1
        time.sleep(dice.random() / 50)
    print(json.dumps(met))


def _run(folder: Path, dice: random.Random) -> int:
    """One run, as far as the state is concerned."""
    inside = folder / "inside"
    me = inside / str(os.getpid())
    try:
        journal = StateFolder(folder / "state").open(MESH)
    except StateBusy:
        return HELD
    if not _alone(inside):
        return NOT_ALONE
    me.touch()
    before = journal.state.serial
    journal.start("apply", {"name": MESH}, {}, {"cluster1": {"uid": "u1"}})
    journal.begin("step", "inputs")
    if journal.state.serial != before + 2:
        return UNMADE
    if dice.random() < 0.5:
        command = subprocess.Popen(["sleep", f"{dice.random() / 20:.3f}"], pass_fds=(journal.lock_fd,))
        (inside / f"{command.pid}").touch()
    if dice.random() < 0.3:
        os.kill(os.getpid(), signal.SIGKILL)
    journal.end("step", "done")
    me.unlink()
    journal.close()
    return DONE


def _alone(inside: Path) -> bool:
    """Whether nobody who took the mesh before still lives: neither a run nor a command of one."""
    others = [entry for entry in inside.iterdir() if entry.name != str(os.getpid())]
    for each in others:
        if _holds(int(each.name)):
            return False
        each.unlink(missing_ok=True)
    return True


def _holds(pid: int) -> bool:
    """Whether it has files open. One that was killed may be there for a moment after it gave them back."""
    try:
        return any(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


if __name__ == "__main__":
    main()
