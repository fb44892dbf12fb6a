"""What kubeconfigs offer: their contexts, for a person to choose from, and the mistakes that can be found before any cluster is
asked. Nothing in one is run. Connecting is left to the Kubernetes client.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wizard.clusters.contexts import ContextEntry
from wizard.clusters.kubeconfig_read import Found, Kubeconfig, NotLoaded, default_files, files_of, found_in, read
from wizard.clusters.plugin import plugin_of
from wizard.clusters.usable import flaws
from wizard.errors import BadInput, Mistake, Trouble
from wizard.mesh.model import Mesh
from wizard.messages import counted, joined, msg
from wizard.text import listing, one_line, printable


def entries(paths: Sequence[Path] = ()) -> list[ContextEntry]:
    """The contexts of these files, or of those that kubectl would use, in their order. What speaks against one stands in its
    `problem`; so does what speaks against its whole file, and a file whose contexts are not known is one entry. Raises BadInput
    where that would be all.
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


# What nobody can read nobody can confirm, nor type into a mesh file.
_UNREADABLE_NAME = msg("its name holds what cannot be shown; give it another with kubectl config rename-context")


def _shown(name: str) -> str:
    return one_line(name) or msg("(blank)")


def _listed(config: Kubeconfig, merged: Sequence[Kubeconfig | BadInput]) -> Iterator[ContextEntry]:
    """The contexts of one file. `merged`: the files that kubectl would make one of, and the refusals of the others."""
    good = [each for each in merged if isinstance(each, Kubeconfig)]
    for name in config.contexts:
        if printable(name) != name or not name.strip():
            yield ContextEntry(_shown(name), config.path, "", "", "", problem=_UNREADABLE_NAME)
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
        credentials=credentials(found.user.body) if found.user.name else msg("none: anonymous"),
        current=found.context.name == config.current,
        problem=_cannot(problems) if problems else "",
        plugin=None if problems else plugin_of(found.user.body, found.user.path),
    )


def _unread(path: Path, refused: BadInput) -> Iterator[ContextEntry]:
    names = [_shown(name) for name in getattr(refused, "names", ())]
    for name in names or [one_line(path.name)]:
        yield ContextEntry(name, path, "", "", "", problem=_whole(refused))


def _whole(refused: BadInput) -> str:
    """A refusal in one sentence: the first of its mistakes stands for all."""
    if not refused.mistakes:
        return refused.what
    first, others = one_line(str(refused.mistakes[0])), len(refused.mistakes) - 1
    if not others:
        return msg("{problem}: {mistake}", problem=refused.what, mistake=first)
    return counted(
        "{problem}: {mistake}, and {count} more",
        "{problem}: {mistake}, and {count} more",
        others,
        problem=refused.what,
        mistake=first,
    )


def _cannot(problems: Sequence[str]) -> str:
    return joined(problems[:3], "; ")


def credentials(user: Mapping[str, Any] | None) -> str:
    """What kind of credentials this user has, in words; never the credentials themselves."""
    if user is None:
        return msg("none: this user is not in the file")
    for keys, words in (  # as kubectl: these come before a command
        (("client-certificate-data", "client-certificate"), msg("client certificate")),
        (("token", "tokenFile"), msg("token")),
        (("username",), msg("password")),
    ):
        if any(user.get(key) for key in keys):
            return words
    if isinstance(run := user.get("exec"), Mapping):
        command = run.get("command")
        return msg("runs {command}", command=one_line(command, 120)) if command else msg("runs a command")
    if isinstance(provider := user.get("auth-provider"), Mapping):
        return msg("auth provider {name}", name=one_line(provider.get("name") or "", 80))
    return msg("none")


def missing_contexts(mesh: Mesh, *, usable: bool = True) -> tuple[Mistake, ...]:
    """A mistake for each cluster whose context is not in its kubeconfig, listing those that are, for each kubeconfig that cannot
    be read, and unless `usable` is False for each context that kubectl and istioctl would refuse. Asks no cluster.
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
        context = repr(one_line(cluster.context))
        if found is None:
            names = [one_line(name) for config in configs for name in config.contexts]
            mistakes.append(Mistake(f"{at}.context", _no_context(context, where, names)))
        elif usable:
            for flaw in flaws(found):
                text = msg("{context} of {files} cannot be used: {problem}", context=context, files=where, problem=flaw)
                mistakes.append(Mistake(f"{at}.context", text))
    return tuple(mistakes)


def _no_context(context: str, files: str, names: Sequence[str]) -> str:
    if not names:
        return msg("{context} is no context of {files}; it has none", context=context, files=files)
    known = listing(names[:20])
    if len(names) > 20:
        return msg(
            "{context} is no context of {files}; there are {contexts} and more",
            context=context,
            files=files,
            contexts=known,
        )
    return msg("{context} is no context of {files}; there are {contexts}", context=context, files=files, contexts=known)
