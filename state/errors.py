"""What can go wrong with the state, as sentences a person can act on."""

from __future__ import annotations

import errno
from typing import NamedTuple


class Purpose(NamedTuple):
    """What a folder is for, in the words of its messages."""

    what: str  # what lies in it: begins a sentence
    elsewhere: str  # how to choose another one: a sentence


STATE = Purpose("The state", "Choose another folder with --state-dir DIR.")


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


def look_failed(path: object, error: OSError, purpose: Purpose = STATE) -> StateError:
    """The sentence for an OSError met while looking at `path`."""
    reason = error.strerror or type(error).__name__
    return StateError(
        f"{path} cannot be read: {reason}.",
        f"Make it readable for you, or {_lower(purpose.elsewhere)}",
    )


_REMEDIES = {
    errno.ENOSPC: "Free some space there, then run the same command again: it goes on where it stopped.",
    errno.EDQUOT: "Your disk quota is used up: free some space, then run the same command again.",
    errno.EFBIG: "The limit on file sizes (ulimit -f) is too low for it: raise it, then run the same command again.",
}
_REASONS = {  # for which another folder is the way out
    errno.EROFS: "This file system is read-only.",
    errno.EACCES: "You may not write there.",
    errno.EPERM: "You may not write there.",
    errno.EIO: "The disk reports an error; look at the system log.",
}


def write_failed(path: object, error: OSError, purpose: Purpose = STATE) -> StateWriteFailed:
    """The sentence for an OSError met while writing `path`."""
    reason = error.strerror or type(error).__name__
    number = error.errno or 0
    elsewhere = f"{purpose.elsewhere.removesuffix('.')}, then run the same command again."
    remedy = _REMEDIES.get(number) or f"{_REASONS.get(number, 'Check this folder.')} {elsewhere}"
    return StateWriteFailed(f"{purpose.what} could not be written to {path}: {reason}.", remedy, error.errno)


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
