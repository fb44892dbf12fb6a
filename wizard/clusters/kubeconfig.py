"""Reads kubeconfigs, and only reads: nothing in one is run, followed or written back.

Enough to show a person what there is to choose from and to find mistakes before any cluster is asked. Connecting is
left to the Kubernetes client.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wizard.clusters.contexts import ContextEntry
from wizard.clusters.plugins import plugin_of
from wizard.errors import BadInput, Mistake, Trouble
from wizard.mesh.meshfile import parse
from wizard.mesh.model import Mesh
from wizard.paths import expanded, is_there
from wizard.text import listing, one_line, printable

log = logging.getLogger(__name__)

MAX_BYTES = 8 << 20  # hundreds of clusters with their certificates inline
Item = dict[str, Any]


@dataclass(frozen=True)
class Kubeconfig:
    """One file: what it names, by name. `relative` paths in it are taken from its folder."""

    path: Path
    contexts: Mapping[str, Item]
    clusters: Mapping[str, Item]
    users: Mapping[str, Item]
    current: str = ""


def default_files() -> list[Path]:
    """The files that kubectl would use and that exist. Raises BadInput where there are none."""
    told = [expanded(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    files = told or [expanded("~/.kube/config")]
    found = [path for path in dict.fromkeys(files) if is_there(path)]
    if not found:
        where = "of $KUBECONFIG " if told else ""
        raise BadInput(
            f"no kubeconfig found: {listing(map(one_line, files))} {where}{'do' if len(files) > 1 else 'does'} not exist",
            "Name one with --kubeconfig FILE, or set KUBECONFIG.",
        )
    return found


def read(path: Path) -> Kubeconfig:
    """What this file names. Raises BadInput, naming the file and the lines, where it is no kubeconfig."""
    name = one_line(path)
    path = expanded(path).absolute()
    remedy = "Give another kubeconfig, or correct this one."
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # the latter: a NUL in it
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"the kubeconfig {name} cannot be read: {why}", remedy) from error
    if len(raw) > MAX_BYTES:
        raise BadInput(f"{name} is larger than {MAX_BYTES >> 20} MiB, which no kubeconfig is", remedy)
    if not raw.strip():
        return Kubeconfig(path, {}, {}, {})
    try:
        data, lines = parse(raw, name)
    except BadInput as error:
        raise BadInput(error.what, remedy, error.mistakes) from error
    mistakes: list[Mistake] = []
    if not isinstance(data, dict):
        raise BadInput(f"{name} is no kubeconfig", remedy, (Mistake("", "must be a mapping", 1),))
    tables = {key: _table(data, key, one, lines, mistakes) for key, one in _TABLES.items()}
    if mistakes:
        raise BadInput(f"{name} is no kubeconfig", remedy, tuple(mistakes))
    return Kubeconfig(path, **tables, current=str(data.get("current-context") or ""))


_TABLES = {"contexts": "context", "clusters": "cluster", "users": "user"}


def _table(data: Item, key: str, one: str, lines: Mapping[str, int], mistakes: list[Mistake]) -> dict[str, Item]:
    table: dict[str, Item] = {}
    entries = data.get(key)
    if entries is not None and not isinstance(entries, list):
        mistakes.append(Mistake(key, "must be a list", lines.get(key)))
        return table
    for index, entry in enumerate(entries or ()):
        path = f"{key}[{index}]"
        name = entry.get("name") if isinstance(entry, dict) else None
        body = entry.get(one) if isinstance(entry, dict) else None
        if not isinstance(name, str | int) or isinstance(name, bool) or not isinstance(body, dict | None):
            mistakes.append(Mistake(path, f"must have a name and a {one}", lines.get(path)))
            continue
        # As kubectl: the first of that name counts.
        table.setdefault(str(name), body or {})
    return table


def entries(paths: Sequence[Path] = ()) -> list[ContextEntry]:
    """The contexts of these files, or of those that kubectl would use, in their order. Raises BadInput naming the file
    that cannot be read. A context with a name that is not printable is left out: nobody could confirm it.
    """
    found = []
    for path in paths or default_files():
        config = read(path)
        for name, context in config.contexts.items():
            if printable(name) != name or not name.strip():
                log.warning("%s: a context with an unprintable name is left out", path)
                continue
            server, user = config.clusters.get(str(context.get("cluster"))), config.users.get(str(context.get("user")))
            found.append(
                ContextEntry(
                    context=name,
                    kubeconfig=config.path,
                    server=one_line((server or {}).get("server") or ""),
                    user=one_line(context.get("user") or ""),
                    credentials=credentials(user),
                    current=name == config.current,
                    plugin=plugin_of(user, config.path),
                )
            )
    return found


def credentials(user: Mapping[str, Any] | None) -> str:
    """What kind of credentials this user has, in words; never the credentials themselves."""
    if user is None:
        return "none: this user is not in the file"
    if isinstance(run := user.get("exec"), Mapping):
        return f"runs {one_line(run.get('command') or 'a command', 120)}"
    if isinstance(provider := user.get("auth-provider"), Mapping):
        return f"auth provider {one_line(provider.get('name') or '', 80)}"
    for keys, words in (
        (("client-certificate-data", "client-certificate"), "client certificate"),
        (("token", "tokenFile"), "token"),
        (("username",), "password"),
    ):
        if any(user.get(key) for key in keys):
            return words
    return "none"


def static_identity(entry: ContextEntry) -> tuple[str, str, str] | None:
    """(server, hash of its certificate authority, proxy): two contexts with the same lead to one cluster. Asks nobody;
    None where the file does not tell.
    """
    config = read(entry.kubeconfig)
    return _identity(config, entry.context)


def _identity(config: Kubeconfig, context: str) -> tuple[str, str, str] | None:
    cluster = config.clusters.get(str(config.contexts.get(context, {}).get("cluster")))
    server = str((cluster or {}).get("server") or "")
    if cluster is None or not server:
        return None
    try:
        parts = urlsplit(server.strip())
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    normal = f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}:{port}{parts.path.rstrip('/')}"
    return normal, _authority(config, cluster), str(cluster.get("proxy-url") or "")


def _authority(config: Kubeconfig, cluster: Item) -> str:
    data: bytes = b""
    inline, file = cluster.get("certificate-authority-data"), cluster.get("certificate-authority")
    try:
        if inline:
            data = base64.b64decode(str(inline))
        elif file:
            with expanded(config.path.parent / str(file)).open("rb") as opened:
                data = opened.read(MAX_BYTES)
    except (OSError, ValueError, binascii.Error) as error:
        log.info("the certificate authority of %s cannot be read: %s", config.path, type(error).__name__)
        return "unreadable"
    return hashlib.sha256(b"".join(data.split())).hexdigest()


def missing_contexts(mesh: Mesh) -> tuple[Mistake, ...]:
    """A mistake for each cluster whose context is not in its kubeconfig, listing those that are, and for each
    kubeconfig that cannot be read. Asks no cluster.
    """
    mistakes = []
    configs_of = functools.cache(_configs)  # fifty clusters may share one large file
    for index, cluster in enumerate(mesh.clusters):
        if not cluster.context:
            continue  # told already, as an answer that is missing
        at = f"clusters[{index}]"
        try:
            configs = configs_of(cluster.kubeconfig)
        except Trouble as trouble:
            mistakes.append(Mistake(f"{at}.kubeconfig", trouble.what))
            mistakes += getattr(trouble, "mistakes", ())
            continue
        where = listing([one_line(config.path) for config in configs], last="or")
        holder = next((config for config in configs if cluster.context in config.contexts), None)
        if holder is None:
            names = [one_line(name) for config in configs for name in config.contexts]
            known = (
                f"there are {listing(names[:20])}{' and more' if len(names) > 20 else ''}" if names else "it has none"
            )
            mistakes.append(
                Mistake(f"{at}.context", f"{one_line(cluster.context)!r} is no context of {where}; {known}")
            )
        elif not any(str(holder.contexts[cluster.context].get("cluster")) in config.clusters for config in configs):
            mistakes.append(
                Mistake(f"{at}.context", f"{one_line(cluster.context)!r} of {where} names a cluster that is not there")
            )
    return tuple(mistakes)


def same_cluster_mistakes(mesh: Mesh) -> tuple[Mistake, ...]:
    """A mistake for each cluster that is, by server and certificate authority, the same as one before it: chosen under
    two contexts, or from two copies of a file. Asks no cluster.
    """
    mistakes = []
    configs_of = functools.cache(_configs)
    first: dict[tuple[str, str, str], tuple[str, str]] = {}
    for index, cluster in enumerate(mesh.clusters):
        try:
            holder = next((each for each in configs_of(cluster.kubeconfig) if cluster.context in each.contexts), None)
        except Trouble:
            continue  # `missing_contexts` tells of it
        identity = _identity(holder, cluster.context) if holder else None
        if identity is None:
            continue
        if identity in first:
            name, context = first[identity]
            mistakes.append(
                Mistake(
                    f"clusters[{index}].context",
                    f"{one_line(cluster.context)!r} leads to {one_line(identity[0])}, the same cluster as {name} "
                    f"(context {one_line(context)!r}); each cluster of a mesh must be another one",
                )
            )
        first.setdefault(identity, (cluster.name, cluster.context))
    return tuple(mistakes)


def _configs(path: Path | None) -> list[Kubeconfig]:
    return [read(each) for each in ([path] if path else default_files())]
