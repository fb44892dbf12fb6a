"""How much of what an API server says is taken in. One that answers without end costs a sentence, not the machine's memory."""

from __future__ import annotations

import json
import sys
from typing import Any

from wizard.messages import msg

MAX_ANSWER = 16 << 20  # bytes of one answer; etcd takes no object above some 1.5 MiB
MAX_PARSED = 64 << 20  # bytes of memory that one answer may come to
MAX_LIST = 96 << 20  # bytes of memory that all pages of a list may come to
MAX_FRAME = 1 << 20  # bytes of one message of a command; API servers send 32 KiB at a time
MAX_GREETING = 1 << 18  # bytes of the answer to what begins a command
PAGES = (500, 100, 20, 4)  # objects of one page of a list; fewer where they are too large


class TooMuch(ValueError):
    """More than is taken in; the words say what, and how much may be."""


def parsed(data: bytes) -> Any:
    """What JSON says. Raises TooMuch before anything is made of it, ValueError or RecursionError where it is none."""
    if _weight(data) > MAX_PARSED:
        raise TooMuch(msg("its answer comes to more than {limit} MiB", limit=MAX_PARSED >> 20))
    return json.loads(data)


def _weight(data: bytes) -> int:
    """At least the bytes that JSON takes as objects. Two bytes may become seventy: `{}`."""
    texts = len(data) * (2 if data.isascii() else 8)  # as a whole and in parts
    return texts + 240 * data.count(b"{") + 64 * data.count(b"[") + 160 * data.count(b":") + 64 * data.count(b",")


def size(value: Any) -> int:
    """The bytes that what was parsed takes; what is there more than once counts each time."""
    total, left = 0, [value]
    while left:
        each = left.pop()
        total += sys.getsizeof(each)
        if isinstance(each, dict):
            left += each.values()
        elif isinstance(each, list):
            left += each
    return total
