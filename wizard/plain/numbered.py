"""Questions as numbered lines: works over a pipe, on a dumb terminal, with a screen reader."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence

from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr
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
        self._hint(hint)
        while True:
            answer = self._ask(title, default) or default
            wrong = check(answer)
            if wrong is None:
                return answer
            self._hint(one_line(wrong))

    def choose(self, title: str, options: Sequence[Option], *, default: int = 0, hint: str = "") -> int:
        self._list(options, hint)
        while True:
            answer = self._ask(title, str(default + 1))
            found = self._numbers(answer or str(default + 1), options)
            if isinstance(found, list) and len(found) == 1:
                return found[0]
            self._hint(found if isinstance(found, str) else msg("one number, please"))

    def choose_many(
        self, title: str, options: Sequence[Option], *, check: Callable[[list[int]], str | None], hint: str = ""
    ) -> list[int]:
        self._list(options, hint)
        while True:
            found = self._numbers(self._ask(msg("{question} (numbers, such as 1 2)", question=title), ""), options)
            wrong = found if isinstance(found, str) else check(found)
            if wrong is None and not isinstance(found, str):
                return found
            self._hint(one_line(wrong))

    def _ask(self, title: str, default: str) -> str:
        self._say(
            tr("{question} [{default}]:", question=title, default=one_line(default))
            if default
            else tr("{question}:", question=title)
        )
        return self._read().strip()

    def _hint(self, text: str) -> None:
        if text:
            self._say(f"  {rendered(text)}")

    def _list(self, options: Sequence[Option], hint: str) -> None:
        self._hint(hint)
        for number, option in enumerate(options, 1):
            told = option.title
            if option.unavailable:
                told = msg("{title} (not available: {reason})", title=told, reason=option.unavailable)
            self._say(f"  {number}) {rendered(told)}")

    @staticmethod
    def _numbers(answer: str, options: Sequence[Option]) -> list[int] | str:
        """The indexes typed, or what is wrong with them."""
        words = re.split(r"[\s,]+", answer.strip()) if answer.strip() else []
        found = set()
        for word in words:
            if not re.fullmatch(r"[0-9]{1,6}", word) or not 1 <= int(word) <= len(options):
                typed = repr(one_line(word, 40))
                return msg("{answer} is no number from 1 to {most}", answer=typed, most=len(options))
            option = options[int(word) - 1]
            if option.unavailable:
                return msg("{number} cannot be chosen: {reason}", number=word, reason=option.unavailable)
            found.add(int(word) - 1)
        return sorted(found)
