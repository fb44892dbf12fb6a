"""A process that records and does nothing else: `python -m tests.faults.journalist FOLDER`.

It says what was acknowledged, one JSON object a line, with `writev`, which nothing else here uses: no fault hits it. What fails
is told, too, and the next record is tried, as by a run on whose disk space was freed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from state import Journal, StateError, StateFolder

MESH = "mesh1"
STEPS = 4  # each is begun and ended: two records


def records(journal: Journal, detail: str = "") -> list[tuple[str, Callable[[], None]]]:
    """What is recorded, one after the other: the step's name, or nothing for the start."""
    made: list[tuple[str, Callable[[], None]]] = [
        ("", lambda: journal.start("apply", {"name": MESH}, {}, {"cluster1": {"uid": "u1"}}))
    ]
    for number in range(STEPS):
        made.append((f"s{number}", lambda number=number: journal.begin(f"s{number}", "inputs")))  # type: ignore[misc]
        made.append((f"s{number}", lambda number=number: journal.end(f"s{number}", "done", detail)))  # type: ignore[misc]
    return made


def grow(folder: StateFolder) -> None:
    """A history, so that every generation is there; its steps ended otherwise than those to come, so that all is written."""
    with folder.open(MESH) as journal:
        for _, record in records(journal, "before"):
            record()


def _say(**what: Any) -> None:
    os.writev(1, [f"{json.dumps(what)}\n".encode()])


def _failed(error: StateError) -> None:
    number = getattr(error, "errno", None)
    _say(failed=type(error).__name__, errno=number, what=error.what, remedy=error.remedy)


def work(folder: StateFolder) -> None:
    """Record all, and tell."""
    try:
        journal = folder.open(MESH)
    except StateError as error:
        _failed(error)
        return
    with journal:
        tasks = records(journal)
        while tasks:
            step, record = tasks[0]
            try:
                record()
            except StateError as error:
                _failed(error)
                if step:
                    tasks.pop(0)
                continue
            tasks.pop(0)
            state = journal.state
            _say(serial=state.serial, step=step, status=state.steps[step].status if step else "")


def main() -> None:
    """Wait until somebody traces this, then record."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:  # all that is loaded late is loaded now
        grow(StateFolder(Path(place) / "state"))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    os.read(0, 1)
    work(StateFolder(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
