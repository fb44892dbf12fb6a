"""Questions as numbered lines: works over a pipe, on a dumb terminal, with a screen reader."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

from wizard.plain.asking import Option
from wizard.text import one_line


def read_line() -> str:
    """The next line of stdin, without its end. EOFError where there is none."""
    line = sys.stdin.readline() if sys.stdin is not None else ""
    if not line:
        raise EOFError
    return line.rstrip("\r\n")


class Numbered:
    """Asks with printed lines and reads answers a line at a time. Implements `Asker`."""

    def __init__(self, say: Callable[[str], None], read: Callable[[], str] = read_line) -> None:
        self._say = say
        self._read = read

    def text(self, title: str, *, default: str, hint: str, check: Callable[[str], str | None]) -> str:
        if hint:
            self._say(f"  {hint}")
        while True:
            answer = self._ask(title, default) or default
            wrong = check(answer)
            if wrong is None:
                return answer
            self._say(f"  {one_line(wrong)}")

    def choose(self, title: str, options: Sequence[Option], *, default: int = 0, hint: str = "") -> int:
        self._list(options, hint)
        while True:
            answer = self._ask(title, str(default + 1))
            found = self._numbers(answer or str(default + 1), options)
            if isinstance(found, list) and len(found) == 1:
                return found[0]
            self._say(f"  {found if isinstance(found, str) else 'one number, please'}")

    def choose_many(
        self, title: str, options: Sequence[Option], *, check: Callable[[list[int]], str | None], hint: str = ""
    ) -> list[int]:
        self._list(options, hint)
        while True:
            found = self._numbers(self._ask(f"{title} (numbers, such as 1 2)", ""), options)
            wrong = found if isinstance(found, str) else check(found)
            if wrong is None and not isinstance(found, str):
                return found
            self._say(f"  {one_line(wrong)}")

    def _ask(self, title: str, default: str) -> str:
        self._say(f"{title} [{one_line(default)}]:" if default else f"{title}:")
        return self._read().strip()

    def _list(self, options: Sequence[Option], hint: str) -> None:
        if hint:
            self._say(f"  {hint}")
        for number, option in enumerate(options, 1):
            why = f" (not available: {option.unavailable})" if option.unavailable else ""
            self._say(f"  {number}) {option.title}{why}")

    @staticmethod
    def _numbers(answer: str, options: Sequence[Option]) -> list[int] | str:
        """The indexes typed, or what is wrong with them."""
        words = re.split(r"[\s,]+", answer.strip()) if answer.strip() else []
        found = set()
        for word in words:
            if not re.fullmatch(r"[0-9]{1,6}", word) or not 1 <= int(word) <= len(options):
                return f"{one_line(word, 40)!r} is no number from 1 to {len(options)}"
            option = options[int(word) - 1]
            if option.unavailable:
                return f"{word} cannot be chosen: {option.unavailable}"
            found.add(int(word) - 1)
        return sorted(found)
