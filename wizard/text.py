"""The one place that turns foreign text into something safe to print.

Cluster labels, pod names, error texts and log lines come from machines we do not control. Terminals obey escape
sequences, and bidirectional marks reorder what a person reads, so every such string passes through here first.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from state.message import Message, joined, msg
from state.withheld import withhold

_UNSAFE_CHARACTERS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"  # marks that reorder or break lines
    # That show nothing: what Unicode calls default-ignorable, marks of notations, and blanks that count as letters or symbols.
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u2800"
    "\ud800-\udfff"  # lone surrogates cannot be encoded
)
_UNSAFE = re.compile(f"[{_UNSAFE_CHARACTERS}]")
_UNSAFE_OR_BREAK = re.compile(f"[\t\n{_UNSAFE_CHARACTERS}]")
# What `click.style` makes of a colour is let through by `shown`.
_UNSAFE_BUT_COLOURS = re.compile(rf"(?!\x1b\[(?:3[0-7]|0|1|22)m)[{_UNSAFE_CHARACTERS}]")
# It asks for the picture of the symbol before it, as in istioctl's own lines: without it nothing is lost.
_PICTURED = re.compile("(?<=[\u2190-\u2bff])\ufe0f")
# No pattern looks at the same text again and again, or foreign text could keep the program busy for minutes: what begins like a
# credential is taken as far as it goes, and then it is decided whether it is one.
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S)
_JWT = re.compile(r"\beyJ[\w-]{5,}(\.[\w-]{5,}(?:\.[\w-]*)?)?")
_ANNOUNCED = re.compile(  # one such word may stand after the other: `token: bearer …`
    r"(?i)(?:\b(?:bearer|token|password|client-key-data|client-certificate-data)(?:[\"']?\s*[:=]\s*[\"']?|\s+))+"
)
_VALUE = re.compile(r"[^\s\"',;]{8,}")
_IN_URL = re.compile(r"(\b(?:https?|wss?|socks5h?)://)[^/?#\s@]*@", re.I)


def redact(text: str) -> str:
    """`text` without any credential that the program holds, in whatever encoding (see `state.withheld`), and without what looks
    like one or like a private key; in time that grows as the text does.
    """
    text = _PEM.sub("[private key withheld]", withhold(text))
    text = _IN_URL.sub(lambda found: f"{found[1]}[withheld]@", text)
    text = _JWT.sub(lambda found: "[token withheld]" if found[1] else found[0], text)
    parts, at = [], 0
    while words := _ANNOUNCED.search(text, at):
        value = _VALUE.match(text, words.end()) or _begun(text, words)
        end = value.end() if value else words.end()
        parts.append(f"{text[at : value.start()]}[withheld]" if value else text[at:end])
        at = end
    return "".join(parts) + text[at:]


def _begun(text: str, words: re.Match[str]) -> re.Match[str] | None:
    """The value that the last of these words is a part of, as in `token: password=short`."""
    start = words.end()
    while start > words.start() and not (text[start - 1].isspace() or text[start - 1] in "\"',;"):
        start -= 1
    return _VALUE.match(text, start) if start > words.start() else None


def printable(text: object, limit: int = 4000) -> str:
    """Foreign text, safe for a terminal: control and reordering characters become `\N{REPLACEMENT CHARACTER}`,
    credentials are withheld, and more than `limit` characters are cut with a mark. Newlines and tabs stay. A message stays one.
    """
    clean = _printable(text, limit)
    return _still_a_message(text, clean, limit, lambda value: printable(value, limit))


def _printable(text: object, limit: int) -> str:
    # Cut first with a margin: a megabyte line must not be scanned three times.
    raw = str(text)[: limit * 2 + 4096]
    clean = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", _PICTURED.sub("", redact(raw.replace("\r\n", "\n"))))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def shown(text: str) -> str:
    """`text` as it goes to a terminal: the last gate, behind which no control or reordering character is left but colours, and no
    credential that the program holds.
    """
    return _UNSAFE_BUT_COLOURS.sub("\N{REPLACEMENT CHARACTER}", withhold(text))


def as_json(value: Any, *, indent: int | None = None) -> str:
    """JSON that reads well and holds no control or reordering character raw: they are escaped, so that none is lost."""
    raw = json.dumps(value, ensure_ascii=False, indent=indent, default=printable)
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], raw)


def tamed(value: Any, limit: int) -> Any:
    """Plain data with every text in it printable and not longer than that."""
    if isinstance(value, Mapping):
        return {one_line(key): tamed(each, limit) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [tamed(each, limit) for each in value]
    return printable(value, limit) if isinstance(value, str) else value


def quoted(value: object) -> str:
    """One word on one line for a shell, whatever it holds. Every value in a command that is printed or exported passes here."""
    return _UNSAFE_OR_BREAK.sub(_spelled, shlex.quote(str(value)))


def word(value: str) -> str:
    """One word for any POSIX shell, on as many lines as it has: for a script that nobody is shown."""
    return shlex.quote(value)


def here_document(command: str, text: str, then: str = "") -> str:
    """The command with this text, which ends with a newline, as its input; `then`: what follows on its line. Nothing of the text
    is expanded, and no line of it ends it.
    """
    end = "EOF"
    while end in text.split("\n"):
        end += "_"
    return f"{command} <<'{end}'{then}\n{text}{end}"


def for_bash(script: str) -> str:
    """A script with every control or reordering character spelled out: they can only stand in single quotes, since nothing
    else of it is foreign. What the program holds of credentials is withheld from it, too.
    """
    return _UNSAFE.sub(_spelled, withhold(script))


def harmless(text: str) -> bool:
    """Whether no control, reordering or invisible character is in it."""
    return _UNSAFE.search(text) is None


def _spelled(found: re.Match[str]) -> str:
    # A file's name that is no UTF-8 has its bytes in the first kind of surrogates.
    surrogates = "surrogateescape" if "\udc80" <= found[0] <= "\udcff" else "surrogatepass"
    return "'$'" + "".join(f"\\x{byte:02x}" for byte in found[0].encode("utf-8", surrogates)) + "''"


def one_line(text: object, limit: int = 300) -> str:
    """`printable`, on a single line."""
    clean = _printable(" ".join(str(text)[: limit * 4 + 4096].split()), limit)
    return _still_a_message(text, clean, limit, lambda value: one_line(value, limit), one_line=True)


def _still_a_message(
    text: object, clean: str, limit: int, change: Callable[[str], str], *, one_line: bool = False
) -> str:
    """The message with its values made clean one by one, where that says what `clean` does: a credential, say, may be found only
    by the words before it.
    """
    if not isinstance(text, Message):
        return clean
    told = text.mapped(change, limit, one_line=one_line)
    return told if told == clean else clean


def listing(names: Iterable[str], *, last: str = "and") -> str:
    """`a, b and c`, or `a, b or c`."""
    items = list(names)
    if len(items) < 2:
        return joined(items)
    rest, end = joined(items[:-1], ", "), items[-1]
    return msg("{rest} or {end}", rest=rest, end=end) if last == "or" else msg("{rest} and {end}", rest=rest, end=end)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `4 s`, `2 min 05 s`."""
    if seconds < 10:
        return msg("{seconds:.1f} s", seconds=seconds)
    if seconds < 60:
        return msg("{seconds:.0f} s", seconds=seconds)
    return msg("{minutes} min {seconds:02d} s", minutes=int(seconds) // 60, seconds=int(seconds) % 60)
