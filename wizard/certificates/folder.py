"""Certificates that people bring in a folder: `PLACE/CLUSTER/ca-cert.pem`, `ca-key.pem`, `root-cert.pem`, `cert-chain.pem`.

The root may stand once, as `PLACE/root-cert.pem`; the chain may be absent, it follows from the others.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wizard.certificates import lookalikes, pem
from wizard.certificates.bundle import CERT, CHAIN, FILES, KEY, ROOT, Flaw, Inspection, fingerprint_of, inspect, of_file
from wizard.errors import Mistake
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import joined, msg
from wizard.paths import is_folder
from wizard.reading import read_if_there
from wizard.text import listing, one_line, printable

FIELD = "certificates.path"


@dataclass(frozen=True)
class Given:
    """What stands in the folder for one cluster. `awaited`: files that are still to come."""

    inspection: Inspection
    mistakes: tuple[str, ...]  # what keeps it from being used, each a sentence that begins with the file
    worries: tuple[str, ...]  # likewise, what a person should know
    awaited: tuple[Path, ...] = ()
    hints: tuple[str, ...] = ()  # what could be the files that are to come

    @property
    def complete(self) -> bool:
        """Whether it can be put into the cluster."""
        return not (self.mistakes or self.awaited)


def given_for(place: Path, cluster: str, trust_domain: str, *, awaiting: bool = False) -> Given:
    """What the folder holds for this cluster. `awaiting`: its certificate is still to be signed, so key, certificate and
    root may be absent; else what is absent is a mistake.
    """
    folder = place / cluster
    if not awaiting and not is_folder(folder):
        return Given(Inspection(()), (_no_folder(place, folder),), ())
    files: dict[str, bytes] = {}
    places = {name: folder / name for name in FILES}
    mistakes: list[str] = []
    worries: list[str] = []
    if not os.path.lexists(places[ROOT]):
        places[ROOT] = place / ROOT
    for name, path in places.items():
        try:
            content = read_if_there(path, pem.MAX_BYTES)
        except ValueError as error:
            mistakes.append(of_file(path, error.args[0]))
            continue
        if content is None:
            continue
        files[name] = content
        other = lookalikes.told(name, path, content)
        if other:
            mistakes.append(of_file(path, other))
    hints = {
        name: other
        for name in (CERT, KEY, ROOT)
        if name not in files and (other := lookalikes.instead(name, (folder, place) if name == ROOT else (folder,)))
    }
    awaited = tuple(places[name] if name != ROOT else place / ROOT for name in (CERT, ROOT) if name not in files)
    if KEY in files:
        worries += _readable_by_others(places[KEY])
    if mistakes:
        return Given(Inspection(()), tuple(mistakes), tuple(worries))
    if awaiting and awaited:
        early = tuple(_early(files, places))
        return Given(
            Inspection(()), early, tuple(worries), awaited, tuple(hints[n] for n in (CERT, ROOT) if n in hints)
        )
    found = inspect(files, trust_domain)

    def told(flaws: Iterable[Flaw]) -> Iterable[str]:
        for flaw in flaws:
            missing = hints.get(flaw.file) if flaw.file not in files else None
            yield missing or of_file(places[flaw.file], flaw.text)

    mistakes += told(found.of("broken", "unfit"))
    return Given(found, tuple(mistakes), (*worries, *told(found.of("worry"))))


def root_for(place: Path, cluster: str) -> str:
    """The fingerprint of the root that the folder holds for this cluster; empty where there is none that can be read."""
    for path in (place / cluster / ROOT, place / ROOT):
        try:
            content = read_if_there(path, pem.MAX_BYTES)
            if content is not None:
                return fingerprint_of(pem.certificates(content))
        except ValueError:
            return ""
    return ""


def folder_mistakes(mesh: Mesh, clusters: Sequence[Cluster]) -> tuple[Mistake, ...]:
    """What is wrong with the certificates that the mesh file's folder holds for these clusters: those that need them, because
    none are in the cluster yet. Empty where the certificates come from elsewhere. Reads files, asks no cluster.
    """
    if mesh.certificates.source not in ("directory", "offline") or mesh.certificates.path is None or not clusters:
        return ()
    place = mesh.certificates.path
    if mesh.certificates.source == "directory" and not is_folder(place):
        return (Mistake(FIELD, _no_place(place)),)
    given = all_given(mesh, clusters)
    # What is said of a root that all share is said once.
    told = dict.fromkeys(text for each in given.values() for text in each.mistakes)
    mistakes = [Mistake(FIELD, printable(text, 2000)) for text in told]  # not one line: it would change a command
    roots: dict[str, list[str]] = {}
    for name, each in given.items():
        if each.inspection.root:
            roots.setdefault(each.inspection.root, []).append(name)
    if len(roots) > 1:
        groups = [
            msg("{clusters}: {fingerprint}", clusters=listing(names), fingerprint=root[:16])
            for root, names in roots.items()
        ]
        different = msg(
            "{folder} holds different roots ({roots}): the clusters would not trust each other",
            folder=place,
            roots=joined(groups, "; "),
        )
        mistakes.append(Mistake(FIELD, different))
    return tuple(mistakes)


def folder_warnings(mesh: Mesh, clusters: Sequence[Cluster]) -> tuple[str, ...]:
    """What a person should know about the certificates in the folder, though they can be used."""
    if mesh.certificates.source not in ("directory", "offline") or mesh.certificates.path is None:
        return ()
    given = all_given(mesh, clusters)
    told = dict.fromkeys(text for each in given.values() for text in each.worries)
    return tuple(one_line(text, 600) for text in [*told, *shared(given)])


def shared(given: Mapping[str, Given]) -> list[str]:
    """A sentence for every intermediate that several clusters would use."""
    keys: dict[str, list[str]] = {}
    for name, each in given.items():
        if each.inspection.public_key:
            keys.setdefault(each.inspection.public_key, []).append(name)
    return [
        msg(
            "{clusters} share one intermediate: whoever takes it from one of them can speak for all",
            clusters=listing(names),
        )
        for names in keys.values()
        if len(names) > 1
    ]


def all_given(mesh: Mesh, clusters: Sequence[Cluster]) -> dict[str, Given]:
    """What the folder holds for each of these clusters, by name. The mesh must name a folder."""
    place = mesh.certificates.path
    if place is None:
        return {}
    awaiting = mesh.certificates.source == "offline"
    return {cluster.name: given_for(place, cluster.name, mesh.trust_domain, awaiting=awaiting) for cluster in clusters}


def _early(files: dict[str, bytes], places: dict[str, Path]) -> Iterable[str]:
    """What can be said of the files while others are still to come."""
    for name, content in files.items():
        try:
            if name == KEY:
                pem.private_key(content)
            else:
                pem.certificates(content)
        except ValueError as error:
            yield of_file(places[name], error.args[0])
    if CERT in files and KEY not in files:
        yield msg("{key} is missing, and {file} is of no use without it", key=places[KEY], file=CERT)
    if CHAIN in files and CERT not in files:
        yield msg("{chain} is there without {file}; take it away, it is built later", chain=places[CHAIN], file=CERT)


def _readable_by_others(path: Path) -> Iterable[str]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if mode & 0o077:
        yield msg("{file} can be read by others (mode {mode:04o}); `chmod 600` makes it private", file=path, mode=mode)


def _no_place(place: Path) -> str:
    try:
        place.stat()
    except OSError as error:
        return _not_opened(place, error)
    return msg("{path} is no folder", path=place)


def _no_folder(place: Path, folder: Path) -> str:
    try:
        folder.stat()
        return msg("{path} is no folder", path=folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        return _not_opened(folder, error)
    try:
        there = sorted(entry.name for entry in place.iterdir() if entry.is_dir())
    except OSError as error:
        return _not_opened(place, error)
    beside = msg("there is no folder in it")
    if there:
        beside = msg("there are {folders}", folders=listing(there[:8]))
    return msg(
        "{folder} is missing; each cluster needs a folder of its name ({beside})",
        folder=folder,
        beside=one_line(beside),
    )


def _not_opened(folder: Path, error: OSError) -> str:
    return msg("{folder} cannot be opened: {reason}", folder=folder, reason=error.strerror)
