"""What kubeconfigs offer: their contexts, for a person to choose from, and the mistakes that can be found before any cluster is
asked. Nothing in one is run. Connecting is left to the Kubernetes client.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wizard.clusters import smallfile
from wizard.clusters.clientcmd import decoded
from wizard.clusters.contexts import ContextEntry
from wizard.clusters.kubeconfig_read import Found, Kubeconfig, NotLoaded, default_files, files_of, found_in, read
from wizard.clusters.usable import flaws
from wizard.errors import BadInput, Mistake, Trouble
from wizard.mesh.model import Mesh
from wizard.text import listing, one_line, printable

log = logging.getLogger(__name__)


def entries(paths: Sequence[Path] = ()) -> list[ContextEntry]:
    """The contexts of these files, or of those that kubectl would use, in their order. What speaks against one stands in its
    `problem`; so does what speaks against its whole file, and a file whose contexts are not known is one entry. Raises BadInput
    where that would be all. A context with a name that is not printable is left out: nobody could confirm it.
    """
    files = list(paths) or default_files()
    read_ones: dict[Path, Kubeconfig | BadInput] = {}
    for path in files:
        try:
            read_ones[path] = read(path)
        except BadInput as refused:
            read_ones[path] = refused
    refusals = [each for each in read_ones.values() if isinstance(each, BadInput)]
    if len(refusals) == len(read_ones) and not any(isinstance(each, NotLoaded) and each.names for each in refusals):
        raise refusals[0]
    merged = () if paths else tuple(read_ones.values())
    found: list[ContextEntry] = []
    for path, config in read_ones.items():
        found += _unread(path, config) if isinstance(config, BadInput) else _listed(config, merged)
    return found


def _listed(config: Kubeconfig, merged: Sequence[Kubeconfig | BadInput]) -> Iterator[ContextEntry]:
    """The contexts of one file. `merged`: the files that kubectl would make one of, and the refusals of the others."""
    good = [each for each in merged if isinstance(each, Kubeconfig)]
    for name in config.contexts:
        if printable(name) != name or not name.strip():
            log.warning("%s: a context with an unprintable name is left out", config.path)
            continue
        alone, whole = found_in((config,), name), found_in(good, name)
        assert alone is not None  # noqa: S101 - its name is from there
        # The file is named where it says all, so that the choice means the same tomorrow. The rest needs the files together.
        together = whole is not None and whole.context.path == config.path and whole != alone
        yield _entry(whole if whole and together else alone, config, merged if together else ())


def _entry(found: Found, config: Kubeconfig, merged: Sequence[Kubeconfig | BadInput]) -> ContextEntry:
    problems = [*(_whole(each) for each in merged if isinstance(each, BadInput)), *flaws(found)]
    return ContextEntry(
        context=found.context.name,
        kubeconfig=None if merged else config.path,
        server=one_line((found.cluster.body or {}).get("server", "")),
        user=one_line(found.user.name),
        credentials=credentials(found.user.body) if found.user.name else "none: anonymous",
        current=found.context.name == config.current,
        problem=_cannot(problems) if problems else "",
    )


def _unread(path: Path, refused: BadInput) -> Iterator[ContextEntry]:
    names = [name for name in getattr(refused, "names", ()) if printable(name) == name and name.strip()]
    for name in names or [one_line(path.name)]:
        yield ContextEntry(name, path, "", "", "", problem=_whole(refused))


def _whole(refused: BadInput) -> str:
    """A refusal in one sentence: the first of its mistakes stands for all."""
    mistakes = refused.mistakes
    more = f", and {len(mistakes) - 1} more" if len(mistakes) > 1 else ""
    return f"{refused.what}: {one_line(mistakes[0])}{more}" if mistakes else refused.what


def _cannot(problems: Sequence[str]) -> str:
    return "; ".join(problems[:3])


def credentials(user: Mapping[str, Any] | None) -> str:
    """What kind of credentials this user has, in words; never the credentials themselves."""
    if user is None:
        return "none: this user is not in the file"
    for keys, words in (  # as kubectl: these come before a command
        (("client-certificate-data", "client-certificate"), "client certificate"),
        (("token", "tokenFile"), "token"),
        (("username",), "password"),
    ):
        if any(user.get(key) for key in keys):
            return words
    if isinstance(run := user.get("exec"), Mapping):
        return f"runs {one_line(run.get('command') or 'a command', 120)}"
    if isinstance(provider := user.get("auth-provider"), Mapping):
        return f"auth provider {one_line(provider.get('name') or '', 80)}"
    return "none"


def static_identity(entry: ContextEntry) -> tuple[str, str, str] | None:
    """(server, hash of its certificate authority, proxy): two contexts with the same lead to one cluster. Asks nobody;
    None where the file does not tell.
    """
    return _identity(found_in(files_of(entry.kubeconfig), entry.context))


def _identity(found: Found | None) -> tuple[str, str, str] | None:
    cluster = found.cluster.body if found else None
    if not cluster or not cluster.get("server"):
        return None
    try:
        parts = urlsplit(cluster["server"].strip())
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    normal = f"{parts.scheme}://{(parts.hostname or '').rstrip('.')}:{port}{parts.path.rstrip('/')}"
    return normal, _authority(cluster), cluster.get("proxy-url", "")


def _authority(cluster: Mapping[str, Any]) -> str:
    data, file = decoded(cluster.get("certificate-authority-data", "")), cluster.get("certificate-authority")
    if file and not data:
        try:
            data = smallfile.content(Path(file))
        except ValueError as error:
            log.info("the certificate authority %s %s", file, error)
            return "unreadable"
    return hashlib.sha256(b"".join(data.split())).hexdigest()


def missing_contexts(mesh: Mesh) -> tuple[Mistake, ...]:
    """A mistake for each cluster whose context is not in its kubeconfig, listing those that are, for each that kubectl and
    istioctl would refuse, and for each kubeconfig that cannot be read. Asks no cluster.
    """
    mistakes = []
    configs_of = functools.cache(files_of)
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
        found = found_in(configs, cluster.context)
        if found is None:
            names = [one_line(name) for config in configs for name in config.contexts]
            known = (
                f"there are {listing(names[:20])}{' and more' if len(names) > 20 else ''}" if names else "it has none"
            )
            mistakes.append(
                Mistake(f"{at}.context", f"{one_line(cluster.context)!r} is no context of {where}; {known}")
            )
        else:
            mistakes += (
                Mistake(f"{at}.context", f"{one_line(cluster.context)!r} of {where} cannot be used: {flaw}")
                for flaw in flaws(found)
            )
    return tuple(mistakes)


def same_cluster_mistakes(mesh: Mesh) -> tuple[Mistake, ...]:
    """A mistake for each cluster that is, by server and certificate authority, the same as one before it: chosen under
    two contexts, or from two copies of a file. Asks no cluster.
    """
    mistakes = []
    configs_of = functools.cache(files_of)
    first: dict[tuple[str, str, str], tuple[str, str]] = {}
    for index, cluster in enumerate(mesh.clusters):
        try:
            identity = _identity(found_in(configs_of(cluster.kubeconfig), cluster.context))
        except Trouble:
            continue  # `missing_contexts` tells of it
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
