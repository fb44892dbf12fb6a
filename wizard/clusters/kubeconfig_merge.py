"""One kubeconfig out of several whose names collide: every kubeadm file says `kubernetes-admin@kubernetes`.

kubectl's own merge keeps the first of each name and silently drops the others. Here whatever differs keeps its own entry:
names that collide get the number of their file (or its name), contexts before the `@`, so that the second file's
`kubernetes-admin@kubernetes` becomes `kubernetes-admin2@kubernetes`. Names that do not collide stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wizard import yamltext
from wizard.clusters.clientcmd import Item
from wizard.clusters.kubeconfig_read import Kubeconfig, absolute, read
from wizard.errors import BadInput
from wizard.messages import msg
from wizard.text import one_line


@dataclass(frozen=True)
class MergedContext:
    """A context of the merged file: its name there, and in which file and to which server it `was`."""

    name: str
    was: str
    file: Path
    server: str


@dataclass(frozen=True)
class Merged:
    """The merged file's text, and each context with where it came from."""

    text: str
    contexts: tuple[MergedContext, ...]


@dataclass
class _Table:
    """The entries of one kind so far, and under which name each file's entries went."""

    entries: dict[str, Item] = field(default_factory=dict)
    names: dict[tuple[int, str], str] = field(default_factory=dict)


def merge(paths: Sequence[Path], *, by_file_name: bool = False) -> Merged:
    """The merge of these files, in their order. Raises BadInput naming a file that cannot be read or holds no context.

    `by_file_name`: colliding names get the file's name instead of its number.
    """
    configs = [read(path) for path in paths]
    empty = [one_line(config.path) for config in configs if not config.contexts]
    if empty:
        raise BadInput(msg("{files} holds no context", files=", ".join(empty)), msg("Leave it out."))
    marks = [f"-{config.path.stem}" if by_file_name else str(number) for number, config in enumerate(configs, 1)]
    clusters = _joined([_absolute(config.clusters, config) for config in configs], marks, _appended)
    users = _joined([_absolute(config.users, config) for config in configs], marks, _appended)
    contexts = _joined(
        [_pointed(config, index, clusters, users) for index, config in enumerate(configs)], marks, _inserted
    )
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": contexts.names.get((0, configs[0].current), ""),
        "clusters": [{"name": name, "cluster": body} for name, body in clusters.entries.items()],
        "users": [{"name": name, "user": body} for name, body in users.entries.items()],
        "contexts": [{"name": name, "context": body} for name, body in contexts.entries.items()],
    }
    told: dict[str, MergedContext] = {}
    for (index, was), name in contexts.names.items():
        server = clusters.entries.get(str(contexts.entries[name].get("cluster", "")), {}).get("server") or ""
        told.setdefault(name, MergedContext(name, was, configs[index].path, one_line(server)))
    return Merged(yamltext.dump(document), tuple(told.values()))


def _joined(tables: Sequence[Mapping[str, Item]], marks: Sequence[str], marked: Callable[[str, str], str]) -> _Table:
    """All entries under names that are unique. One name with one content in every file that has it stays one entry."""
    variants: dict[str, list[Item]] = {}
    for table in tables:
        for name, body in table.items():
            known = variants.setdefault(name, [])
            if body not in known:
                known.append(body)
    # Names that stay as they are come first, so that no made-up name can take one of them.
    taken = {name: bodies[0] for name, bodies in variants.items() if len(bodies) == 1}
    joined = _Table()
    for index, table in enumerate(tables):
        for name, body in table.items():
            new = name
            if len(variants[name]) > 1:
                again = next((joined.names[before, name] for before in range(index)
                              if tables[before].get(name) == body), None)  # fmt: skip
                new = again or _free(marked(name, marks[index]), taken)
            taken[new] = body
            joined.entries[new] = body
            joined.names[index, name] = new
    return joined


def _free(name: str, taken: Mapping[str, Any]) -> str:
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _appended(name: str, mark: str) -> str:
    return f"{name}{mark}"


def _inserted(name: str, mark: str) -> str:
    user, at, cluster = name.partition("@")
    return f"{user}{mark}{at}{cluster}"


def _absolute(table: Mapping[str, Item], config: Kubeconfig) -> dict[str, Item]:
    return {name: absolute(body, config.path.parent) for name, body in table.items()}


def _pointed(config: Kubeconfig, index: int, clusters: _Table, users: _Table) -> dict[str, Item]:
    """This file's contexts, pointing at the new names of its clusters and users."""
    result = {}
    for name, body in config.contexts.items():
        moved = dict(body)
        for key, table in (("cluster", clusters), ("user", users)):
            if key in moved:
                moved[key] = table.names.get((index, str(moved[key])), moved[key])
        result[name] = moved
    return result
