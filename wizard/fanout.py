"""Many are asked side by side, because each of them may take as long as its deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 32  # so many TLS handshakes a small machine does at once without missing deadlines


def of_each(items: Iterable[T], ask: Callable[[T], R], *, at_once: int = AT_ONCE, name: str = "ask") -> list[R]:
    """What `ask` gives of each item, in their order; at most `at_once` are asked at a time, in threads of that `name`. Raises
    what the first in that order raised, once all that had begun have ended; those that had not are not asked. How long one
    takes is bounded by `ask` alone.
    """
    asked = list(items)
    if not asked:
        return []
    with ThreadPoolExecutor(max_workers=min(at_once, len(asked)), thread_name_prefix=name) as pool:
        return list(pool.map(ask, asked))
