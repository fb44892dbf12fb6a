"""Names in few cells that still can be told apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile

from rich.cells import cell_len, set_cell_size

CUT = "…"


def told_apart(names: Sequence[str], width: int) -> list[str]:
    """Each of these names in at most `width` cells (8 or more), no two alike. What is too long is cut in the middle; where that
    hides how names differ, the cut moves; a number tells the rest apart, such as names that are the same.
    """
    shown = {name: _middle(name, width) for name in set(names)}
    for alike in _alike(shown):
        _move_cut(alike, shown, width)
    return _numbered([shown[name] for name in names], width)


def _alike(shown: dict[str, str]) -> list[list[str]]:
    groups = defaultdict(list)
    for name, text in shown.items():
        groups[text].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _move_cut(alike: list[str], shown: dict[str, str], width: int) -> None:
    """Show of each of these names what follows all that they have in common."""
    start = _in_common(alike)
    head = max(2, width // 4)
    for name in alike:
        shown[name] = _from(name, start, head, width)
    for rest in _alike({name: shown[name] for name in alike}):
        # Each has more in common than all together had, so this ends; but where nothing is left to differ, no cut helps.
        if _in_common(rest) > start:
            _move_cut(rest, shown, width)


def _in_common(names: Sequence[str]) -> int:
    """With how many characters all of these begin alike."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False)))


def _from(name: str, start: int, head: int, width: int) -> str:
    left = _fit(name, head) + CUT
    rest = name[max(0, start - 1) :]
    if cell_len(left + rest) <= width:
        return left + rest
    return left + _fit(rest, width - cell_len(left) - 1) + CUT


def _middle(name: str, width: int) -> str:
    if cell_len(name) <= width:
        return name
    head = _fit(name, (width - 1) // 2)
    return head + CUT + _fit(name[::-1], width - 1 - cell_len(head))[::-1]


def _fit(name: str, width: int) -> str:
    """As many characters as fit. A wide one that fits only half is left out."""
    return set_cell_size(name, width).rstrip(" ") if cell_len(name) > width else name


def _numbered(texts: Iterable[str], width: int) -> list[str]:
    given: set[str] = set()
    numbered = []
    for text in texts:
        one, number = text, 1
        while one in given:
            number += 1
            mark = f"~{number}"
            one = _fit(text, width - len(mark)) + mark
        given.add(one)
        numbered.append(one)
    return numbered
