"""Kubeconfigs as kubectl finds them: one file, or those of $KUBECONFIG merged. Each file is read and parsed once, and anew only
where it has changed; nothing in one is run, followed or written back.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wizard.clusters import clientcmd
from wizard.clusters.clientcmd import Item, Unloadable
from wizard.clusters.yamllines import Lines
from wizard.errors import BadInput, words_of
from wizard.messages import counted, msg
from wizard.paths import expanded, is_there
from wizard.reading import opened
from wizard.text import listing, one_line

MAX_BYTES = 8 << 20  # hundreds of clusters with their certificates inline
REMEDY = msg("Give another kubeconfig, or correct this one.")
_FILES = (
    "certificate-authority",
    "client-certificate",
    "client-key",
    "tokenFile",
)  # name files, relative to their file's folder


@dataclass(frozen=True)
class Kubeconfig:
    """One file: what it names, by name. `relative` paths in it are taken from its folder."""

    path: Path
    contexts: Mapping[str, Item]
    clusters: Mapping[str, Item]
    users: Mapping[str, Item]
    current: str = ""
    lines: Mapping[tuple[str, str], Lines] = field(default_factory=dict)  # (table, name) → field → line


class NotLoaded(BadInput):
    """A file that client-go would not load. `names`: the contexts that it seems to hold."""

    names: tuple[str, ...] = ()


def default_files() -> list[Path]:
    """The files that kubectl would use and that exist. Raises BadInput where there are none."""
    told = [expanded(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    files = told or [expanded("~/.kube/config")]
    found = [path for path in dict.fromkeys(files) if is_there(path)]
    if not found:
        names = listing(map(one_line, files))
        raise BadInput(
            counted(
                "no kubeconfig found: {files} of $KUBECONFIG does not exist",
                "no kubeconfig found: {files} of $KUBECONFIG do not exist",
                len(files),
                files=names,
            )
            if told
            else msg("no kubeconfig found: {file} does not exist", file=names),
            msg("Name one with --kubeconfig FILE, or set KUBECONFIG."),
        )
    return found


# -- files


@dataclass(frozen=True)
class _Known:
    """A file as it was read. `settled`: when it was read it had been as it was for so long that a later change shows."""

    stamp: tuple[int, ...]
    settled: bool
    digest: bytes
    said: Kubeconfig | Unloadable


_GRAIN = 2.0  # seconds within which two changes of a file may leave it with the same time: what file systems keep is that coarse
_MANY = 64  # files that are kept
_known: dict[Path, _Known] = {}
_reading = threading.Lock()


def read(path: Path) -> Kubeconfig:
    """What this file names. Raises BadInput, naming the file and the lines, where it is no kubeconfig."""
    typed, path = path, expanded(path).absolute()
    with _reading:
        said = _said(path, typed)
    if isinstance(said, Unloadable):
        what = msg("{file} cannot be used as a kubeconfig", file=one_line(typed))
        refused = NotLoaded(what, REMEDY, said.mistakes)
        refused.names = said.names
        raise refused
    return said


def _said(path: Path, typed: Path) -> Kubeconfig | Unloadable:
    known = _known.get(path)
    if known is not None and known.settled and _stamp_now(path) == known.stamp:
        return known.said
    try:
        found, raw = opened(path, MAX_BYTES)
    except ValueError as error:
        _known.pop(path, None)
        what = msg("the kubeconfig {file} {problem}", file=one_line(typed), problem=words_of(error))
        raise BadInput(what, REMEDY) from error
    digest = hashlib.sha256(raw).digest()
    said = known.said if known is not None and known.digest == digest else parsed(path, raw)
    if len(_known) >= _MANY:
        _known.clear()
    settled = time.time() - max(found.st_mtime, found.st_ctime) > _GRAIN
    _known[path] = _Known(_stamp(found), settled, digest, said)
    return said


def parsed(path: Path, raw: bytes) -> Kubeconfig | Unloadable:
    """What this text of a file says."""
    try:
        said = clientcmd.loaded(raw)
    except Unloadable as refused:
        return refused
    return Kubeconfig(path, said.contexts, said.clusters, said.users, said.current, said.lines)


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _stamp_now(path: Path) -> tuple[int, ...]:
    try:
        return _stamp(path.stat())
    except OSError:
        return ()


def absolute(body: Item, folder: Path) -> Item:
    """An entry whose paths do not depend on where its file stands."""
    moved: Item = {key: str(folder / value) if key in _FILES and value else value for key, value in body.items()}
    run = moved.get("exec")
    # A command without a slash is looked up on the PATH; with one, client-go takes it from the file's folder.
    if run and "/" in run.get("command", ""):
        moved["exec"] = run | {"command": str(folder / run["command"])}
    return moved


# -- one context


@dataclass(frozen=True)
class Entry:
    """A cluster or a user where it stands. `body`: with absolute paths; None where no file has it."""

    name: str
    body: Item | None
    path: Path
    lines: Lines

    def at(self, key: str = "") -> str:
        """Where this field stands, in words."""
        line = self.lines.get(key) or self.lines.get("")
        file = one_line(self.path)
        return msg("line {line} of {file}", line=line, file=file) if line else file


@dataclass(frozen=True)
class Found:
    """A context with the cluster and the user that kubectl would take for it."""

    context: Entry
    cluster: Entry
    user: Entry


def files_of(kubeconfig: Path | None) -> list[Kubeconfig]:
    """The one file, or those that kubectl would merge. Raises BadInput where one cannot be read: then kubectl uses none."""
    return [read(each) for each in ([kubeconfig] if kubeconfig else default_files())]


def found_in(configs: Sequence[Kubeconfig], context: str) -> Found | None:
    """A context of these files, merged as kubectl does it: of each name the first counts, whole. None: there is no such."""
    holder = next((config for config in configs if context in config.contexts), None)
    if holder is None:
        return None
    body = holder.contexts[context]
    return Found(
        Entry(context, body, holder.path, holder.lines.get(("contexts", context), {})),
        _entry(configs, "clusters", body.get("cluster", ""), holder),
        _entry(configs, "users", body.get("user", ""), holder),
    )


def _entry(configs: Sequence[Kubeconfig], table: str, name: str, holder: Kubeconfig) -> Entry:
    for config in configs:
        body = getattr(config, table).get(name)
        if body is not None:
            return Entry(name, absolute(body, config.path.parent), config.path, config.lines.get((table, name), {}))
    return Entry(name, None, holder.path, {})
