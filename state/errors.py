"""What can go wrong with the state, as sentences a person can act on."""

from __future__ import annotations

import errno
from typing import NamedTuple

from .message import Message, joined, msg


class Purpose(NamedTuple):
    """What a folder is for, in the words of its messages. But for the first they are whole sentences."""

    what: str  # what lies in it: begins a sentence
    elsewhere: str  # how to choose another one
    readable: str  # to make this one readable, or to choose another
    again: str  # how to choose another one and to go on


STATE = Purpose(
    what=msg("The state"),
    elsewhere=msg("Choose another folder with --state-dir DIR."),
    readable=msg("Make it readable for you, or choose another folder with --state-dir DIR."),
    again=msg("Choose another folder with --state-dir DIR, then run the same command again."),
)


class StateError(Exception):
    """The state cannot be used as it is.

    `what` says what is wrong and names the file; `remedy` says what to do next; `mend` is the command that does it, as arguments:
    whoever shows it quotes it. None ever holds file content.
    """

    def __init__(self, what: str, remedy: str = "", mend: tuple[str, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.mend = mend


class NotAName(StateError):
    """No state can be kept under this name."""


class StateBusy(StateError):
    """Another run holds this mesh. `pid` is the process that took the lock, where it is known."""

    def __init__(self, what: str, remedy: str = "", pid: int | None = None) -> None:
        super().__init__(what, remedy)
        self.pid = pid


class StateTooNew(StateError):
    """A newer release wrote this file. It was not touched."""


class StateDamaged(StateError):
    """State files exist, but none of them can be believed. `StateFolder.open` puts them aside and goes on."""


class WrongCluster(StateError):
    """A name that was pinned to one cluster (its kube-system UID) now leads to another one."""


class StateWriteFailed(StateError):
    """The disk refused. What was recorded before is intact; what was being recorded counts as not recorded.

    Where only the last flush of the directory failed, a reader may already see the new record: it is whole, and the
    next successful write builds on it. `errno` is the system's number.
    """

    def __init__(self, what: str, remedy: str = "", number: int | None = None) -> None:
        super().__init__(what, remedy)
        self.errno = number


def sentence(clause: str) -> Message:
    """The clause with a full stop."""
    return msg("{clause}.", clause=clause)


def unstopped(text: str) -> str:
    """A text without its full stop, so that another can go on after it. What `sentence` made stays open to every language."""
    if isinstance(text, Message) and text.code == sentence("").code:
        clause: str = text.values["clause"]
        return clause
    return text.removesuffix(".") if text.endswith(".") else text


def look_failed(path: object, error: OSError, purpose: Purpose = STATE) -> StateError:
    """The sentence for an OSError met while looking at `path`."""
    reason = error.strerror or type(error).__name__
    return StateError(sentence(msg("{path} cannot be read: {reason}", path=path, reason=reason)), purpose.readable)


_REMEDIES = {
    errno.ENOSPC: msg("Free some space there, then run the same command again: it goes on where it stopped."),
    errno.EDQUOT: msg("Your disk quota is used up: free some space, then run the same command again."),
    errno.EFBIG: msg(
        "The limit on file sizes (ulimit -f) is too low for it: raise it, then run the same command again."
    ),
}
_REASONS = {  # for which another folder is the way out
    errno.EROFS: msg("This file system is read-only."),
    errno.EACCES: msg("You may not write there."),
    errno.EPERM: msg("You may not write there."),
    errno.EIO: msg("The disk reports an error; look at the system log."),
}


def write_failed(path: object, error: OSError, purpose: Purpose = STATE) -> StateWriteFailed:
    """The sentence for an OSError met while writing `path`."""
    reason = error.strerror or type(error).__name__
    number = error.errno or 0
    why = _REASONS.get(number, msg("Check this folder."))
    what = msg("{content} could not be written to {path}: {reason}", content=purpose.what, path=path, reason=reason)
    return StateWriteFailed(sentence(what), _REMEDIES.get(number) or joined((why, purpose.again), " "), error.errno)
