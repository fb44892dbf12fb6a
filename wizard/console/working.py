"""Prepares and carries out operations for the commands: progress as it comes, signals obeyed, the outcome told at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from state import StateFolder
from wizard import process
from wizard.console import settings as doors
from wizard.console.background import in_background, reading
from wizard.console.consent import consenting
from wizard.console.output import Output, has_terminal, losable
from wizard.console.progress import JsonLines, Lines
from wizard.console.report import TRAIL
from wizard.console.settings import Settings
from wizard.engine.delivery import Unheard
from wizard.engine.engine import Engine
from wizard.engine.events import Event
from wizard.engine.outcome import Outcome
from wizard.engine.progress import Look
from wizard.mesh.model import Mesh
from wizard.messages import msg
from wizard.messages.catalogue import rendered
from wizard.operations.operation import Operation
from wizard.operations.options import RunOptions
from wizard.operations.prepared import Prepared, prepare
from wizard.operations.working import working
from wizard.outside import Outside
from wizard.text import printable

TOLD_SECONDS = 0.5  # that a signal's words may take


def prepared(
    settings: Settings,
    mesh: Mesh,
    options: RunOptions | None = None,
    *,
    outside: Outside | None = None,
    folder: StateFolder | None = None,
    undo: bool = False,
    looking: bool = False,
) -> Prepared:
    """The mesh prepared for an operation, to be closed; on this machine unless another outside is given. Ctrl-C gives up at once.
    `undo`, `looking`: as `wizard.operations.prepared.prepare` says.
    """
    TRAIL.of(mesh)
    place, states, given = (
        outside or doors.outside_of(settings),
        folder or settings.folder(),
        options or settings.options(),
    )
    made = consenting(lambda: reading(lambda: prepare(mesh, place, states, given, undo=undo, looking=looking)))
    TRAIL.of(made.mesh, made.plan)
    return made


def looked(
    settings: Settings,
    mesh: Mesh,
    options: RunOptions | None = None,
    *,
    outside: Outside | None = None,
    folder: StateFolder | None = None,
) -> tuple[Prepared, dict[str, Look]]:
    """The same, to be closed, and what every step looks like."""
    made = prepared(settings, mesh, options, outside=outside, folder=folder)
    try:
        return made, reading(made.look)
    except BaseException:
        made.close()
        raise


def leave_now(code: int) -> None:
    """End the process with this code, and every child with it. What is recorded is on the disk already."""
    process.end_all()
    os._exit(code)


class Brake:
    """What signals do to an engine: the first drains it, the second aborts what runs, the third leaves at once.

    May be pressed before there is an engine.
    """

    def __init__(self, say: Callable[[str], None], resume: str, leave: Callable[[int], object] = leave_now) -> None:
        """`resume`: the command that goes on later. It is told before the last signal, which has no time for words."""
        self._say = say
        self._resume = resume
        self._leave = leave
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._pressed = 0

    def attach(self, engine: Engine) -> None:
        """This engine obeys from now on."""
        with self._lock:
            self._engine = engine
            self._act()

    def press(self, count: int) -> None:
        """The signal arrived for the `count`th time."""
        with self._lock:
            self._pressed = count
            self._act()
        if count == 1:
            self._tell(msg("Stopping: nothing new starts, what runs comes to its end. Once more to end it now."))
        elif count == 2:
            if self._resume:
                self._tell(
                    msg(
                        "Ending what runs. Once more to leave without waiting; then go on with: {command}",
                        command=self._resume,
                    )
                )
            else:
                self._tell(msg("Ending what runs. Once more to leave without waiting."))
        else:
            self._leave(130)

    def _act(self) -> None:
        if self._engine and self._pressed == 1:
            self._engine.controls.drain()
        elif self._engine and self._pressed > 1:
            self._engine.controls.abort()

    def _tell(self, text: str) -> None:
        def say() -> None:
            with losable():  # the terminal may be gone, which may be why the signal came
                self._say(text)

        # Nobody may be reading any more, and then it never ends; the next signal must be heard all the same.
        thread = threading.Thread(target=say, name="told", daemon=True)
        thread.start()
        thread.join(TOLD_SECONDS)


@contextmanager
def shown() -> Iterator[None]:
    """Around work whose events are printed. Where it was aborted and nobody reads what is printed, the process ends here: another
    word would wait for ever.
    """
    try:
        yield
    except Unheard as unheard:
        leave_now(unheard.exit_code)


def carry_out(operation: Operation, out: Output, *, json: bool = False) -> Outcome:
    """Do the operation and what follows it, shown as lines or as JSON, until one does not end well; gives the last outcome. Each
    is told: on stdout where all went well, else on stderr with what to do next.
    """
    while True:
        outcome = _work(operation, out, json=json)
        following = operation.then() if outcome.ok else None
        if following is None:
            return outcome
        operation = following


def _work(operation: Operation, out: Output, *, json: bool) -> Outcome:
    lines = Lines(out, operation.mesh)
    listener: Callable[[Event], None] = JsonLines() if json else lines
    brake = Brake(out.remark, operation.prepared.resume_command)

    def body() -> Outcome:
        heard = TRAIL.watch(operation.mesh, operation.plan, listener)
        with shown(), working(operation, heard, attended=has_terminal() and not json) as engine:
            brake.attach(engine)
            outcome = operation.run(engine)
        # Here, where a signal is heard but ends nothing: it must not take the last words away.
        with losable():
            if not json and operation.direction == "forward":
                lines.picture()
            tell(outcome, out, json=json)
            _tell_more(operation.after(outcome), outcome, out, json=json)
        return outcome

    return in_background(body, brake.press)


def _tell_more(text: str, outcome: Outcome, out: Output, *, json: bool) -> None:
    if text and not outcome.ok:
        out.remark(text)
    elif text and not json:
        out.line(text)


def tell(outcome: Outcome, out: Output, *, json: bool = False) -> None:
    """Say how it went and what to do next. With `json`, only what went wrong, on stderr."""
    if outcome.ok:
        if not json:
            out.line(f"{out.style('✔', 'green')} {rendered(printable(outcome.what))}")
        return
    out.remark(f"{out.style('✘', 'red')} {rendered(printable(outcome.what))}")
    out.remedy(outcome.remedy)
