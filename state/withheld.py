"""The secret values that this process holds, so that what it writes can leave them out: by value, whatever stands before them.

It is the lowest module because the state refuses them, too. Values are never forgotten while the process lives, and only
hashes of them are kept: nothing here can be shown.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from string import ascii_letters, digits

SHORTEST = 8  # characters of a value that is withheld; a shorter one would take ordinary words away
NAMELIKE = 16  # shorter than this, a value may also be somebody's name for something
PIECE = 32  # characters; of a longer value each such piece is known, so that half of it is not let through
_MARK = "[withheld]"
_RUN = re.compile(rf"\S{{{SHORTEST},}}")
_ENCODED = frozenset(ascii_letters + digits + "+/=_-")  # what base64, in both of its alphabets, is written in


class Withheld:
    """A set of values. Thread-safe; looking is as much work as the text is long, however many values there are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[int] = set()  # hashes of values, so that one that is read again costs nothing
        self._heads: set[int] = set()  # hashes of how what is looked for begins: one question a character
        self._pieces: set[int] = set()  # hashes of what is looked for
        self._sizes: tuple[int, ...] = ()  # the lengths of that
        self._anywhere = False  # whether one holds a blank: then words alone are not enough

    def hold(self, value: str | bytes) -> None:
        """Withhold this value from now on: as it is, and in base64 (also within more of it), hexadecimal and the escapes of JSON,
        URLs, XML and shells. Of several lines each is one. What is shorter than `SHORTEST` is not held.
        """
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        if len(text.strip()) < SHORTEST or hash(text) in self._seen:
            return
        forms = _forms(text.strip()) | _encodings(text)
        pieces = {piece for form in forms if len(form) >= SHORTEST for piece in _cut(form)}
        with self._lock:
            self._pieces |= {hash(piece) for piece in pieces}
            self._sizes = tuple(sorted({*self._sizes, *map(len, pieces)}, reverse=True))
            self._anywhere |= any(len(piece.split()) > 1 for piece in pieces)
            # Last: who looks meanwhile, without the lock, finds whole what he finds.
            self._heads |= {hash(piece[:SHORTEST]) for piece in pieces}
            self._seen.add(hash(text))

    def withhold(self, text: str) -> str:
        """The text without them."""
        if not self._heads:
            return text
        parts: list[str] = []
        done = 0
        for start, end in self._spans(text):
            parts += [text[done:start], "" if parts and start == done else _MARK]
            done = end
        return "".join(parts) + text[done:] if parts else text

    def holds(self, text: str, least: int = SHORTEST) -> bool:
        """Whether one of at least so many characters is in the text."""
        return bool(self._heads) and any(end - start >= least for start, end in self._spans(text))

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they are, in order and apart; what overlaps is one."""
        heads, done = self._heads, 0
        for start, end in [(0, len(text))] if self._anywhere else [found.span() for found in _RUN.finditer(text)]:
            first = last = start
            for at in range(start, end - SHORTEST + 1):
                if hash(text[at : at + SHORTEST]) not in heads or not (size := self._size(text, at, end)):
                    continue
                if at >= last:
                    if last > first:
                        yield first, last
                        done = last
                    first = at
                last = max(last, at + size)
                if size == PIECE:
                    # The rest of the word is the rest of the value, or was encoded together with it.
                    while last < end and text[last] in _ENCODED:
                        last += 1
                    while first > done and text[first - 1] in _ENCODED:
                        first -= 1
            if last > first:
                yield first, last
                done = last

    def _size(self, text: str, at: int, end: int) -> int:
        """How long the longest is that stands there; 0 where none does."""
        fit = (size for size in self._sizes if at + size <= end and hash(text[at : at + size]) in self._pieces)
        return next(fit, 0)


def _cut(form: str) -> Iterator[str]:
    """What is looked for of this form of a value: all of a shorter one."""
    for at in range(0, len(form) - PIECE, PIECE):
        yield form[at : at + PIECE]
    yield form[-PIECE:]


def _forms(text: str) -> set[str]:
    """A value as texts may hold it, but for encodings: as it is, on one line, and with the escapes of what it is put into."""
    if "\n" in text:
        # Armour tells what a key is, and is none itself.
        lines = [line.strip() for line in text.splitlines() if not line.startswith("-----")]
        return {form for line in lines if len(line) >= NAMELIKE for form in _forms(line)}
    from urllib.parse import quote, quote_plus

    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    in_url = quote(text, safe="", errors="replace")  # JSON may hold half a character, which has no encoding
    return {
        text,
        " ".join(text.split()),
        escaped,
        escaped.replace("/", "\\/"),
        json.dumps(text)[1:-1],
        json.dumps(json.dumps(text)[1:-1])[1:-1],
        escaped.translate({ord(each): f"\\u{ord(each):04x}" for each in "<>&"}),  # as Go does it
        repr(text)[1:-1],
        in_url,
        re.sub("%..", lambda found: found[0].lower(), in_url),
        quote(text, errors="replace"),
        quote_plus(text, errors="replace"),
        text.replace("'", "'\"'\"'"),
        text.replace("'", "'\\''"),
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;"),
    }


def _encodings(text: str) -> set[str]:
    """In base64 it depends on what stands before the value how it looks: there are three ways."""
    forms = set()
    for data in {text.encode(errors="replace"), text.strip().encode(errors="replace")}:
        for before in range(3):
            # The characters at both ends are also of what stands beside the value.
            first, last = (before * 8 + 5) // 6, (before + len(data)) * 8 // 6
            plain = b64encode(bytes(before) + data).decode()[first:last]
            forms |= {plain, plain.translate(_URL_SAFE)}
        if len(data) <= 4 * PIECE:
            forms |= {data.hex(), data.hex().upper()}
    return forms


_URL_SAFE = str.maketrans("+/", "-_")
held = Withheld()


def hold(value: str | bytes) -> None:
    """`Withheld.hold`, for all that this process writes."""
    held.hold(value)


def withhold(text: str) -> str:
    """`Withheld.withhold`, of all that this process holds."""
    return held.withhold(text)


def holds(text: str, least: int = SHORTEST) -> bool:
    """`Withheld.holds`, of all that this process holds."""
    return held.holds(text, least)
