"""Which values are secret in what the doors read: each door hands over what it read, and from then on no text of this program
holds them (see `state.withheld`). What is not understood is let be: who reads it says what is wrong with it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from state.withheld import hold

_OF_A_USER = ("token", "password", "client-key-data")
_OF_A_PROVIDER = ("access-token", "id-token", "refresh-token", "client-secret")
_NAMED = re.compile(r"(?i)token|secret|passw|credential|(?:^|[_-])key\b|apikey|access_key(?!_id)")
_OPAQUE = re.compile(r"(?=[\w+=-]*[0-9])(?=[\w+=-]*[A-Za-z])[\w+=-]{16,}")
_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END|\Z)", re.S)
# Of a kubeconfig, in YAML or JSON.
_LINE = re.compile(rb"""["']?(?:token|password|client-key-data)["']?: *["']?([^\s"',}]+)""")


def hold_url(url: object) -> None:
    """User and password in a URL, such as a server's or a proxy's."""
    user, at, _ = str(url or "").partition("://")[2].rpartition("@")
    if at:
        for value in (user, user.partition(":")[2]):
            hold(value)
            hold(unquote(value))


def hold_user(user: Mapping[str, Any]) -> None:
    """The credentials of a user of a kubeconfig, with what it hands to a command for them."""
    for key in _OF_A_USER:
        hold(str(user.get(key) or ""))
    hold(_decoded(user.get("client-key-data")))
    if user.get("password"):
        hold_pair(f"{user.get('username') or ''}:{user['password']}")
    provider = user.get("auth-provider")
    told = provider.get("config") if isinstance(provider, Mapping) else None
    for key in _OF_A_PROVIDER:
        hold(str((told if isinstance(told, Mapping) else {}).get(key) or ""))
    run = user.get("exec")
    for name, value in _handed_over(run) if isinstance(run, Mapping) else ():
        if _NAMED.search(name):
            hold(value)


def _handed_over(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, value) of each variable and option of a command."""
    for each in run.get("env") or ():
        if isinstance(each, Mapping):
            yield str(each.get("name")), str(each.get("value"))
    before = ""
    for word in map(str, run.get("args") or ()):
        name, equals, value = word.partition("=")
        if equals:
            yield name, value
        elif before.startswith("--") and not word.startswith("-"):
            yield before, word
        before = "" if equals else word


def hold_pair(pair: str) -> None:
    """`user:password`, also as it is sent: in base64."""
    hold(pair.partition(":")[2])
    hold(base64.b64encode(pair.encode(errors="replace")))


def hold_header(value: str) -> None:
    """What a request carries in `Authorization`, such as `Bearer TOKEN`."""
    kind, _, credential = value.partition(" ")
    hold(credential or value)
    if kind.lower() == "basic":
        hold_pair(_decoded(credential).decode(errors="replace"))


def hold_answer(stdout: str) -> None:
    """The credentials in what a command for them printed, whether or not it can be used."""
    try:
        status = json.loads(stdout)["status"]
        values = [status.get(key) for key in ("token", "clientKeyData")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    for value in values:
        hold(str(value or ""))


def opaque_withheld(said: str) -> str:
    """What a command for credentials says, without words that may be some: whatever mixes letters and digits for long."""
    return _OPAQUE.sub("[withheld]", said)


def hold_key(content: bytes) -> None:
    """The private keys in this PEM."""
    for key in _KEY.findall(content):
        hold(key.removesuffix(b"-----END"))


def hold_docker(content: bytes | str) -> None:
    """The passwords in a Docker config.json."""
    try:
        auths = json.loads(content)["auths"]
        entries = [entry for entry in auths.values() if isinstance(entry, Mapping)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    for entry in entries:
        for key in ("password", "identitytoken", "registrytoken", "auth"):
            hold(str(entry.get(key) or ""))
        hold_pair(_decoded(entry.get("auth")).decode(errors="replace"))


def hold_secret(live: Mapping[str, Any]) -> None:
    """What is secret in a Secret: keys, the token of an account, a registry's passwords, the token in a kubeconfig."""
    for texts, decode in (("data", _decoded), ("stringData", lambda text: str(text).encode(errors="replace"))):
        table = live.get(texts)
        for name, text in table.items() if isinstance(table, Mapping) else ():
            content = decode(text)
            hold_key(content)
            if name == "token":
                hold(content)
            elif name == ".dockerconfigjson":
                hold_docker(content)
            elif b"users" in content and b"current-context" in content:
                for found in _LINE.findall(content):
                    hold(found)


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(str(text or ""))
    except (binascii.Error, ValueError):
        return b""
