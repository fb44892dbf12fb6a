"""Commands that kubeconfigs run for credentials. Nothing here runs one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wizard.credentials import hold_user
from wizard.messages import msg
from wizard.paths import is_file
from wizard.text import one_line, quoted

MAX_BYTES = 64 << 20  # of a program that is hashed


@dataclass(frozen=True)
class Plugin:
    """`words`: the command as one would type it. `path`: where that leads here; empty where it leads nowhere. `mark`: names just
    this, the file's path, its words and settings, and the program itself where no PATH leads to it.
    """

    kubeconfig: Path
    words: str
    path: str
    mark: str

    def __str__(self) -> str:
        words, path = one_line(self.words, 200), one_line(self.path)
        return f"`{words}` ({path})" if path else msg("`{command}` (which is not there)", command=words)


def plugin_of(user: Mapping[str, Any] | None, kubeconfig: Path) -> Plugin | None:
    """What this user of the kubeconfig runs for credentials; None where nothing."""
    user = user or {}
    run = _run_by(user)
    if run is None:
        return None
    hold_user(user)
    command, args = str(run.get("command") or ""), [str(each) for each in _list(run.get("args"))]
    path = shutil.which(str(kubeconfig.parent / command) if "/" in command else command) or ""
    programs = [path] if path and "/" in command else []
    # Its words go to it as they are, and it runs where we do: `sh ./login` is a script of this folder, not of the kubeconfig's.
    named = [*programs, *(each for each in args if "/" in each or is_file(Path(each)))]
    entry = [str(kubeconfig), path, run, [_hash(each) for each in named]]
    mark = hashlib.sha256(json.dumps(entry, sort_keys=True, default=str).encode()).hexdigest()
    return Plugin(kubeconfig, " ".join(map(quoted, (command, *args))), path, mark)


def _run_by(user: Mapping[str, Any]) -> Mapping[str, Any] | None:
    # As kubectl: these come before a command.
    given = ("token", "tokenFile", "username", "client-certificate", "client-certificate-data")
    run = user.get("exec")
    return run if isinstance(run, Mapping) and not any(user.get(key) for key in given) else None


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _hash(path: str) -> str:
    with suppress(OSError, ValueError):
        if is_file(Path(path)):
            with Path(path).open("rb") as file:
                return hashlib.sha256(file.read(MAX_BYTES)).hexdigest()
    return ""
