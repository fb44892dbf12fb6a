"""Keeps secrets, and anything that is not plain JSON data, out of the state before it gets near the disk."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from math import isfinite
from typing import Any

from .withheld import NAMELIKE, holds, withhold

DEEPEST = 64
WIDEST_INTEGER = 2**63

_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL)
# What goes on after its first part is a token; matched with or without that, so that no text is looked at again and again.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)?")
_BEARER = re.compile(r"(?<=bearer )\s*[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE)
_ENCODED_PEM = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]*")
_KUBECONFIG = re.compile(r"(?:client-key|client-certificate|certificate-authority)-data[\"']?\s*[:=]\s*\S*")
_KEYS = re.compile(
    "client-?key-?data|client-?certificate-?data|certificate-?authority-?data|((id|access|refresh|bearer)[-_]?)?token"
    "|password|passphrase|private[-_]?key|client[-_]?secret",
    re.IGNORECASE,
)
_REPLACEMENT = "[secret removed]"


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """A fresh copy of plain JSON data (tuples become lists).

    Raises ValueError, naming the place and never the value, for a secret and for what JSON cannot carry faithfully.
    """
    if depth > DEEPEST:
        raise ValueError(f"{where} is nested more than {DEEPEST} deep")
    match value:
        case None | bool():
            return value
        case str():
            return text(value, where)
        case int() if abs(value) < WIDEST_INTEGER:
            return int(value)
        case float() if isfinite(value):
            return float(value)
        case Mapping():
            return {_key(k, v, where): plain(v, f"{where}.{k}", depth + 1) for k, v in value.items()}
        case list() | tuple():
            return [plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    raise ValueError(f"{where} is not plain JSON data ({type(value).__name__})")


def text(value: str, where: str) -> str:
    """`value` itself as a plain str; ValueError if it holds something that looks like a secret."""
    secret = _secret_in(value)
    if secret:
        raise ValueError(f"{where} holds {secret}, which may not be stored")
    return str.__str__(value)


def redact(value: str) -> str:
    """`value` with everything that `text` would refuse replaced. For foreign messages, before they are recorded."""
    value = _KUBECONFIG.sub(_REPLACEMENT, _PEM.sub(_REPLACEMENT, withhold(value)))
    value = _TOKEN.sub(lambda found: _REPLACEMENT if found[1] else found[0], value)
    value = _BEARER.sub(_REPLACEMENT, value)
    return _ENCODED_PEM.sub(lambda found: _REPLACEMENT if _encodes_key(found[0]) else found[0], value)


def _key(key: object, value: object, where: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"a key of {where} is not a string ({type(key).__name__})")  # noqa: TRY004 - one kind of refusal
    if isinstance(value, str) and value and _KEYS.fullmatch(key):
        raise ValueError(f"{where}.{key} is a credential, which may not be stored")
    return text(key, f"a key of {where}")


def _secret_in(value: str) -> str | None:
    if _PEM.search(value) or any(map(_encodes_key, _ENCODED_PEM.findall(value))):
        return "a private key"
    if any(found[1] for found in _TOKEN.finditer(value)) or _BEARER.search(value):
        return "a token"
    if _KUBECONFIG.search(value):
        return "credentials of a kubeconfig"
    # A shorter one may be the name of a mesh or a folder, too; it is withheld from messages only.
    return "a credential that this program holds" if holds(value, NAMELIKE) else None


def _encodes_key(encoded: str) -> bool:
    """Whether base64 text that starts with "-----BEGIN " goes on to a private key: its first line tells."""
    head = encoded[:64].rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b"PRIVATE KEY" in b64decode(head[: len(head) // 4 * 4])
    except NotBase64:
        return False
