"""What can go wrong with the state, as sentences a person can act on."""

from __future__ import annotations

import errno


class StateError(Exception):
    """The state cannot be used as it is.

    `what` says what is wrong and names the file; `remedy` says what to do next. Neither ever holds file content.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


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


def look_failed(path: object, error: OSError) -> StateError:
    """The sentence for an OSError met while looking at `path`."""
    reason = error.strerror or type(error).__name__
    return StateError(
        f"{path} cannot be read: {reason}.",
        "Make it readable for you, or choose another folder with --state-dir DIR.",
    )


_ELSEWHERE = "Choose another folder with --state-dir DIR, then run the same command again."
_REMEDIES = {
    errno.ENOSPC: "Free some space there, then run the same command again: it goes on where it stopped.",
    errno.EDQUOT: "Your disk quota is used up: free some space, then run the same command again.",
    errno.EFBIG: "The limit on file sizes (ulimit -f) is too low for it: raise it, then run the same command again.",
    errno.EROFS: f"This file system is read-only. {_ELSEWHERE}",
    errno.EACCES: f"You may not write there. {_ELSEWHERE}",
    errno.EPERM: f"You may not write there. {_ELSEWHERE}",
    errno.EIO: f"The disk reports an error; look at the system log. {_ELSEWHERE}",
}


def write_failed(path: object, error: OSError) -> StateWriteFailed:
    """The sentence for an OSError met while writing `path`."""
    reason = error.strerror or type(error).__name__
    remedy = _REMEDIES.get(error.errno or 0, f"Check this folder. {_ELSEWHERE}")
    return StateWriteFailed(f"The state could not be written to {path}: {reason}.", remedy, error.errno)
