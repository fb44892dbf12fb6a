"""A program that crashes may leave an image of its memory on the disk. No root key must be in one."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache

_PR_SET_DUMPABLE = 4  # linux/prctl.h


@cache
def write_no_core() -> None:
    """From now on this process leaves no core dump: what held a key once may hold it until the end. Never raises.

    On Linux also no other process of this user can look into its memory. The limit alone would not do: collectors of crashes
    that the kernel starts (core_pattern with a `|`) may ignore it.
    """
    import ctypes
    import resource

    with suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
