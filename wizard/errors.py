"""What can go wrong, as the person at the terminal needs to hear it.

Every trouble says what happened and where (`what`) and what to do next (`remedy`), and carries the exit code that
the command line promises: 1 failed, 2 bad input, 3 a person is needed, 4 verification failed or a cause was found, 5 busy,
130 interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.messages import Message, msg
from wizard.text import quoted

if TYPE_CHECKING:
    from state import StateError


class Trouble(Exception):
    """A failure with a sentence and a way on. Never shown as a traceback."""

    exit_code = 1

    def __init__(self, what: str, remedy: str = "", *, peers: tuple[str, ...] = ()) -> None:
        """`peers`: of a failure that befell some of several clusters, which."""
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.peers = peers


class Failed(Trouble):
    """Something outside did not do what it should; the run can be resumed."""


class Unreachable(Failed):
    """A cluster's API server did not answer."""


class NotAllowed(Failed):
    """The cluster answered, and said no to this user."""


class NotKnown(NotAllowed):
    """The cluster does not accept the credentials: who asks is not known, so nothing is told about what they may."""


class NeedsPerson(Trouble):
    """Only a person can decide: a conflict, a consent, work on a host."""

    exit_code = 3


class VerificationFailed(Trouble):
    """The mesh stands, but traffic does not reach every cluster."""

    exit_code = 4


class Busy(Trouble):
    """Another run holds this mesh."""

    exit_code = 5


class Interrupted(Trouble):
    """The person stopped it; what was done is recorded."""

    exit_code = 130


@dataclass(frozen=True)
class Mistake:
    """One thing wrong in what the user gave: the field's path, the line (1-based) where known, and a sentence."""

    path: str
    text: str
    line: int | None = None

    @property
    def told(self) -> str:
        """All of it as one text."""
        if self.line and self.path:
            return msg("line {line}: {field}: {mistake}", line=self.line, field=self.path, mistake=self.text)
        if self.line:
            return msg("line {line}: {mistake}", line=self.line, mistake=self.text)
        return msg("{field}: {mistake}", field=self.path, mistake=self.text) if self.path else self.text

    def __str__(self) -> str:
        return self.told


class BadInput(Trouble):
    """Input was refused before anything was touched; every mistake found is listed."""

    exit_code = 2

    def __init__(self, what: str, remedy: str = "", mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(what, remedy)
        self.mistakes = mistakes


@contextmanager
def befalling(*peers: str) -> Iterator[None]:
    """Trouble from within befell these clusters, where it does not tell of others itself."""
    try:
        yield
    except Trouble as trouble:
        trouble.peers = trouble.peers or peers
        raise


def words_of(error: BaseException) -> str:
    """What an exception says: the message that it was raised with, which `str` would make a plain text of."""
    said = error.args[0] if error.args else ""
    return said if isinstance(said, Message) else str(error)


def remedy_of(error: StateError) -> str:
    """What to do about what the state refused: the command, where there is one."""
    return msg("Run: {command}", command=" ".join(map(quoted, error.mend))) if error.mend else error.remedy


def state_trouble(error: StateError) -> Trouble:
    """What the state refused, with the exit code that it has everywhere: Busy where another run holds the mesh, BadInput for what
    is no name of a mesh, cannot be believed, or was written by a newer release (nothing is touched), Failed where it cannot be
    read or written now.
    """
    from state import NotAName, StateBusy, StateDamaged, StateTooNew

    if isinstance(error, StateBusy):
        return Busy(error.what, error.remedy)
    return (BadInput if isinstance(error, NotAName | StateDamaged | StateTooNew) else Failed)(
        error.what, remedy_of(error)
    )
