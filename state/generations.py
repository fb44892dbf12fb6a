"""Which of a mesh's files to believe: the newest that is whole, of the history that most of them tell."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from .errors import StateDamaged
from .medium import Medium
from .message import joined, msg
from .records import MeshState
from .schema import LIMIT, SCHEMA, Damaged, decode

FILE = "state.json"
KEEP = 3
FILES = (FILE, *(f"{FILE}.{number}" for number in range(1, KEEP + 1)))
ASIDE = f"{FILE}.quarantined-"
BACKUP = f"{FILE}.schema-"


@dataclass(frozen=True)
class Survey:
    """What the files of a mesh say. `state` is None where none of them can be believed."""

    state: MeshState | None
    source: str | None  # the file that `state` came from
    schema: int  # the schema of that file
    stamp: Hashable | None  # of state.json, taken before it was read
    rejected: dict[str, str]  # file -> why, completing "the file …"
    aside: list[str]  # what earlier runs quarantined

    @property
    def exists(self) -> bool:
        return bool(self.source or self.rejected or self.aside)


@dataclass(frozen=True)
class _Generation:
    file: str
    state: MeshState
    schema: int


def is_ours(file: str) -> bool:
    """Whether a file name is one that this package makes to remember something."""
    return file in FILES or file.startswith((ASIDE, BACKUP))


def survey(medium: Medium, mesh: str) -> Survey:
    """Read all generations; changes nothing.

    Raises StateTooNew where any of them is of a newer release, StateError where one cannot be read at all.
    """
    stamp = medium.stamp(FILE)
    good: list[_Generation] = []
    rejected: dict[str, str] = {}
    for file in FILES:
        data = medium.read(file, LIMIT)
        if data is None:
            continue
        try:
            good.append(_Generation(file, *decode(data, mesh, medium.label(file))))
        except Damaged as damage:
            rejected[file] = damage.args[0]
    best = _best(good, rejected)
    return Survey(
        state=best.state if best else None,
        source=best.file if best else None,
        schema=best.schema if best else SCHEMA,
        stamp=stamp,
        rejected=rejected,
        aside=sorted(file for file in medium.names() if file.startswith(ASIDE)),
    )


def _best(good: list[_Generation], rejected: dict[str, str]) -> _Generation | None:
    """The newest generation; what contradicts it is added to `rejected`.

    One run never mixes lineages and never lowers a serial: only a copied or restored file does. Between two lineages
    told equally often the older file wins, for the newer one is the one that was put there.
    """
    if not good:
        return None
    lineage = Counter(each.state.lineage for each in reversed(good)).most_common(1)[0][0]
    ours = [each for each in good if each.state.lineage == lineage]
    best = max(ours, key=lambda each: each.state.serial)
    for each in good:
        if each not in ours:
            rejected[each.file] = msg("belongs to another history of this mesh")
        elif good.index(each) < good.index(best):
            rejected[each.file] = msg("is older than its own backup {file}, as after restoring files", file=best.file)
    return best


def none_left(medium: Medium, found: Survey) -> StateDamaged:
    reasons = [msg("{file} {problem}", file=file, problem=why) for file, why in found.rejected.items()]
    if not reasons:
        reasons = [msg("only {files} is left", files=", ".join(found.aside))]
    return StateDamaged(
        msg(
            "The state in {place} cannot be believed: {reasons}.",
            place=medium.label(),
            reasons=joined(reasons, "; "),
        ),
        msg("Apply the mesh file again: what stands is found in the clusters, and nothing is installed twice."),
    )


def put_aside(medium: Medium, found: Survey) -> str | None:
    """Move rejected files out of the way, keeping them, and say in a sentence what is used instead.

    None where nothing was lost. Only for the holder of the lock. Raises StateWriteFailed.
    """
    moved = {file: _aside_name(medium, file) for file in found.rejected}
    for file, name in moved.items():
        medium.move(file, name)
    if found.source == FILE or not found.exists:
        return None
    loss = _loss(medium, found, moved)
    if found.state is None:
        return joined((loss, msg("No earlier state is left: what stands is found in the clusters.")), " ")
    used = msg(
        "The state before it is used ({file}, serial {serial}); every step is probed again.",
        file=found.source,
        serial=found.state.serial,
    )
    return joined((loss, used), " ")


def _loss(medium: Medium, found: Survey, moved: dict[str, str]) -> str:
    file = medium.label(FILE)
    if FILE in moved:
        return msg(
            "{file} {problem}; it was quarantined to {new}.", file=file, problem=found.rejected[FILE], new=moved[FILE]
        )
    if moved or not found.source:
        names = ", ".join([*moved.values(), *found.aside])
        return msg("{file} is missing; what was there before is quarantined in {files}.", file=file, files=names)
    return msg("{file} is missing.", file=file)


def remove_all(medium: Medium) -> None:
    """Remove everything remembered, the newest last: stopped half-way, no older state takes its place."""
    age = {file: number for number, file in enumerate(FILES)}
    remembered = [file for file in medium.names() if is_ours(file)]
    for file in sorted(remembered, key=lambda file: age.get(file, len(FILES)), reverse=True):
        medium.remove(file)
    medium.flush()


def _aside_name(medium: Medium, file: str) -> str:
    """A free name that tells which file it was and when it was moved."""
    stem = f"{ASIDE}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}{file.removeprefix(FILE)}"
    taken = set(medium.names())
    number, name = 1, stem
    while name in taken:
        number += 1
        name = f"{stem}-{number}"
    return name
