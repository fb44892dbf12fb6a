"""What changes in a file, line by line, and nothing else of it: not a blank, not a quote, not a comment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher


def merged(text: str, before: str, after: str) -> str | None:
    """`text` with the lines changed in which `after` differs from `before`, which is `text` as a program writes it. All
    comments on lines of their own stay. None where the program breaks lines elsewhere.
    """
    lines, known, wanted = (each.removesuffix("\n").split("\n") for each in (text, before, after))
    if [_is_comment(each) for each in lines] != [_is_comment(each) for each in known]:
        return None
    lost = _comments(lines) - _comments(wanted)
    result: list[str] = []
    for kind, start, end, first, last in SequenceMatcher(None, known, wanted, autojunk=False).get_opcodes():
        if kind == "equal":
            result += lines[start:end]
            continue
        new = wanted[first:last]
        behind = _passed(result, new) if kind == "insert" else []
        result += new + behind
        for line in filter(_is_comment, lines[start:end]):
            if lost[line.strip()]:
                lost[line.strip()] -= 1
                result.append(line)
    return "\n".join(result) + "\n"


def lacks_comments(text: str, than: str) -> bool:
    """Whether a comment that stands on a line of its own in the other text is not in this one."""
    return bool(_comments(than.split("\n")) - _comments(text.split("\n")))


def _passed(result: list[str], new: Sequence[str]) -> list[str]:
    """Takes off the end of `result` what lines that are put in there come before: a comment belongs to what follows it, unless
    it is indented more deeply than what is new.
    """
    depth = next((_depth(line) for line in new if line.strip()), 0)
    count = len(result)
    while count and (
        not result[count - 1].strip() or (_is_comment(result[count - 1]) and _depth(result[count - 1]) <= depth)
    ):
        count -= 1
    if not count:
        return []
    behind = result[count:]
    del result[count:]
    return behind


def _comments(lines: Iterable[str]) -> Counter[str]:
    return Counter(line.strip() for line in lines if _is_comment(line))


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
