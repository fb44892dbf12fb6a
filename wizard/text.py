"""The one place that turns foreign text into something safe to print.

Cluster labels, pod names, error texts and log lines come from machines we do not control. Terminals obey escape
sequences, and bidirectional marks reorder what a person reads, so every such string passes through here first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"  # marks that reorder or break lines
    "\ud800-\udfff]"  # lone surrogates cannot be encoded
)
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S)
_JWT = re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?")
_BEARER = re.compile(
    r"(?i)\b(bearer|token|password|client-key-data|client-certificate-data)([\"']?\s*[:=]\s*[\"']?|\s+)([^\s\"',;]{8,})"
)


def redact(text: str) -> str:
    """`text` without what looks like a private key, a token or a credential."""
    text = _PEM.sub("[private key withheld]", text)
    text = _JWT.sub("[token withheld]", text)
    return _BEARER.sub(lambda found: f"{found[1]}{found[2]}[withheld]", text)


def printable(text: object, limit: int = 4000) -> str:
    """Foreign text, safe for a terminal: control and reordering characters become `\N{REPLACEMENT CHARACTER}`,
    credentials are withheld, and more than `limit` characters are cut with a mark. Newlines and tabs stay.
    """
    # Cut first with a margin: a megabyte line must not be scanned three times.
    raw = str(text)[: limit * 2 + 4096]
    clean = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", redact(raw.replace("\r\n", "\n")))
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def one_line(text: object, limit: int = 300) -> str:
    """`printable`, on a single line."""
    return printable(" ".join(str(text)[: limit * 4 + 4096].split()), limit)


def listing(names: Iterable[str], *, last: str = "and") -> str:
    """`a, b and c`."""
    items = list(names)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `4 s`, `2 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
