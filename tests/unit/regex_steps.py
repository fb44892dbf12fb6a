"""Counts what a regular expression does: Python's own parse of it, matched by backtracking, each look at a character a step."""

from __future__ import annotations

import re
import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

_CATEGORIES = {
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_DIGIT: str.isdigit,
    op.CATEGORY_WORD: lambda character: character.isalnum() or character == "_",
}
_NEGATED = {
    op.CATEGORY_NOT_SPACE: op.CATEGORY_SPACE,
    op.CATEGORY_NOT_DIGIT: op.CATEGORY_DIGIT,
    op.CATEGORY_NOT_WORD: op.CATEGORY_WORD,
}


class Found:
    """As much of `re.Match` as is asked of it."""

    def __init__(self, string: str, spans: dict[int, tuple[int, int]]) -> None:
        self.string = string
        self._spans = spans

    def __getitem__(self, group: int) -> str | None:
        return self.string[slice(*self._spans[group])] if group in self._spans else None

    def start(self) -> int:
        return self._spans[0][0]

    def end(self) -> int:
        return self._spans[0][1]


class Counted:
    """As much of `re.Pattern` as is asked of it; `count` is called at each step."""

    def __init__(self, pattern: re.Pattern[str], count: Callable[[], None]) -> None:
        self._tree = list(parser.parse(pattern.pattern, pattern.flags))
        self._lower = bool(pattern.flags & re.I)
        self._all = bool(pattern.flags & re.S)
        self._count = count

    def match(self, text: str, at: int = 0) -> Found | None:
        for end, spans in self._run(self._tree, 0, text, at, {}):
            return Found(text, {**spans, 0: (at, end)})
        return None

    def search(self, text: str, at: int = 0) -> Found | None:
        return next((found for start in range(at, len(text) + 1) if (found := self.match(text, start))), None)

    def finditer(self, text: str) -> Iterator[Found]:
        at = 0
        while at <= len(text) and (found := self.search(text, at)):
            yield found
            at = max(found.end(), found.start() + 1)

    def findall(self, text: str) -> list[str | None]:
        return [found[0] for found in self.finditer(text)]

    def sub(self, by: str | Callable[[Any], str], text: str) -> str:
        parts, at = [], 0
        for found in self.finditer(text):
            parts += [text[at : found.start()], by if isinstance(by, str) else by(found)]
            at = found.end()
        return "".join(parts) + text[at:]

    def _run(self, tree: Any, node: int, text: str, at: int, spans: dict[int, tuple[int, int]]) -> Iterator[Any]:
        """Every (end, groups) to which the nodes from this one on can be matched here, in the order of backtracking."""
        if node == len(tree):
            yield at, spans
            return
        for end, more in self._one(*tree[node], text, at, spans):
            yield from self._run(tree, node + 1, text, end, more)

    def _one(self, what: Any, value: Any, text: str, at: int, spans: dict[int, tuple[int, int]]) -> Iterator[Any]:
        if what in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
            if self._fits(what, value, text, at):
                yield at + 1, spans
        elif what is op.AT:
            if self._stands(value, text, at):
                yield at, spans
        elif what is op.BRANCH:
            for each in value[1]:
                yield from self._run(each, 0, text, at, spans)
        elif what is op.SUBPATTERN:
            group, _, _, inner = value
            for end, more in self._run(inner, 0, text, at, spans):
                yield end, {**more, group: (at, end)} if group else more
        elif what in (op.ASSERT, op.ASSERT_NOT):
            direction, inner = value
            start = at if direction > 0 else at - inner.getwidth()[0]
            held = start >= 0 and any(True for _ in self._run(inner, 0, text, start, spans))
            if held is (what is op.ASSERT):
                yield at, spans
        elif what in (op.MAX_REPEAT, op.MIN_REPEAT):
            least, most, inner = value
            if len(inner) == 1 and inner[0][0] in (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN):
                yield from self._characters(what, least, most, inner[0], text, at, spans)
            else:
                assert what is op.MAX_REPEAT
                yield from self._groups(least, most, inner, text, at, spans)
        else:
            raise NotImplementedError(what)

    def _characters(
        self, what: Any, least: int, most: Any, inner: Any, text: str, at: int, spans: Any
    ) -> Iterator[Any]:
        end, seen = at, 0
        if what is op.MIN_REPEAT:
            while True:
                if seen >= least:
                    yield end, spans
                if seen == most or not self._fits(*inner, text, end):
                    return
                end, seen = end + 1, seen + 1
        while seen != most and self._fits(*inner, text, end):
            end, seen = end + 1, seen + 1
        for back in range(end, at + least - 1, -1):
            self._count()
            yield back, spans

    def _groups(self, least: int, most: Any, inner: Any, text: str, at: int, spans: Any) -> Iterator[Any]:
        if most:
            for end, more in self._run(inner, 0, text, at, spans):
                if end > at:
                    left = most if most is op.MAXREPEAT else most - 1
                    yield from self._groups(max(0, least - 1), left, inner, text, end, more)
        if least == 0:
            yield at, spans

    def _fits(self, what: Any, value: Any, text: str, at: int) -> bool:
        self._count()
        if at >= len(text):
            return False
        if what is op.ANY:
            return self._all or text[at] != "\n"
        cases = {text[at], text[at].lower(), text[at].upper()} if self._lower else {text[at]}
        if what is op.IN:
            negated = value[0][0] is op.NEGATE
            return negated is not any(_in_class(*each, case) for each in value for case in cases)
        return (what is op.LITERAL) is any(ord(case) == value for case in cases if len(case) == 1)

    def _stands(self, value: Any, text: str, at: int) -> bool:
        self._count()
        if value is op.AT_END_STRING:
            return at == len(text)
        assert value is op.AT_BOUNDARY
        word = _CATEGORIES[op.CATEGORY_WORD]
        return (at > 0 and word(text[at - 1])) is not (at < len(text) and word(text[at]))


def _in_class(what: Any, value: Any, character: str) -> bool:
    if what is op.LITERAL:
        return len(character) == 1 and ord(character) == value
    if what is op.RANGE:
        return len(character) == 1 and value[0] <= ord(character) <= value[1]
    if what is op.CATEGORY:
        return not _CATEGORIES[_NEGATED[value]](character) if value in _NEGATED else _CATEGORIES[value](character)
    return False  # NEGATE, which stands first


def steps(module: ModuleType, call: Callable[[str], object], text: str) -> int:
    """How many steps the module's patterns need while this is called with that text."""
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    before = sys.getrecursionlimit()
    with pytest.MonkeyPatch.context() as patch:
        for name, pattern in vars(module).items():
            if isinstance(pattern, re.Pattern):
                patch.setattr(module, name, Counted(pattern, count))
        sys.setrecursionlimit(20_000)
        try:
            call(text)
        finally:
            sys.setrecursionlimit(before)
    return counted
