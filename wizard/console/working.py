"""Runs a session's engine for the commands: progress as it comes, signals obeyed, the outcome told at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wizard import process
from wizard.console.background import in_background, reading
from wizard.console.consent import consenting
from wizard.console.output import Output, has_terminal, losable
from wizard.console.progress import JsonLines, Lines
from wizard.console.report import TRAIL
from wizard.engine.delivery import Unheard
from wizard.engine.engine import Engine
from wizard.engine.events import Event
from wizard.engine.outcome import Outcome
from wizard.engine.progress import Look
from wizard.session import Session
from wizard.text import printable

TOLD_SECONDS = 0.5  # that a signal's words may take


def prepared(session: Session, *, undo: bool = False) -> None:
    """Prepare the session; Ctrl-C gives up at once. `undo`: to take back, which needs no files of the person's."""
    TRAIL.of(session)
    consenting(lambda: reading(lambda: session.prepare(undo=undo)))
    TRAIL.of(session)


def looked(session: Session) -> dict[str, Look]:
    """Prepare the session and look at every step; Ctrl-C gives up at once."""

    def both() -> dict[str, Look]:
        session.prepare()
        TRAIL.of(session)
        return session.look()

    TRAIL.of(session)
    return consenting(lambda: reading(both))


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
            self._tell("Stopping: nothing new starts, what runs comes to its end. Once more to end it now.")
        elif count == 2:
            later = f"; then go on with: {self._resume}" if self._resume else "."
            self._tell(f"Ending what runs. Once more to leave without waiting{later}")
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


def work(session: Session, out: Output, *, operation: str = "apply", json: bool = False) -> int:
    """Do the operation of a prepared session, shown as lines or as JSON; gives the exit code. The outcome is told: on
    stdout where all went well, else on stderr with what to do next.
    """
    lines = Lines(out, session.mesh)
    listener: Callable[[Event], None] = JsonLines() if json else lines
    brake = Brake(out.remark, session.resume_command)

    def body() -> Outcome:
        attended = has_terminal() and not json
        with shown(), session.engine(TRAIL.watch(session, listener), attended=attended, operation=operation) as engine:
            brake.attach(engine)
            outcome = engine.undo() if operation == "uninstall" else engine.run()
        # Here, where a signal is heard but ends nothing: it must not take the last words away.
        with losable():
            if not json and operation == "apply":
                lines.picture()
            tell(outcome, out, json=json)
        return outcome

    return in_background(body, brake.press).exit_code


def tell(outcome: Outcome, out: Output, *, json: bool = False) -> None:
    """Say how it went and what to do next. With `json`, only what went wrong, on stderr."""
    if outcome.ok:
        if not json:
            out.line(f"{out.style('✔', 'green')} {printable(outcome.what)}")
        return
    out.remark(f"{out.style('✘', 'red')} {printable(outcome.what)}")
    out.remedy(outcome.remedy)
