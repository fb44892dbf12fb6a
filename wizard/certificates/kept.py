"""Whether the root that is kept may sign for the mesh: the checks that a person's own certificates pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wizard.certificates import authority, lookalikes
from wizard.certificates.authority import ROOT_KEY, Root, Unfit
from wizard.certificates.bundle import ROOT, Inspection, inspect, of_file


@dataclass(frozen=True)
class Examined:
    """What a kept root is. `mistakes` keep it from signing, `worries` a person should know; each begins with the file."""

    mistakes: tuple[str, ...] = ()
    worries: tuple[str, ...] = ()


def examine(root: Root, trust_domain: str, place: str) -> Examined:
    """Look at a root that is kept in this place. An intermediate that it signs for a trial is inspected."""
    for name, content in ((ROOT, root.certificate), (ROOT_KEY, root.key)):
        other = lookalikes.told(name, Path(place, name), content)
        if other:
            return Examined((of_file(Path(place, name), other),))
    try:
        found = signed(root, "trial", trust_domain)
    except Unfit as error:
        return Examined((of_file(Path(place, error.file), error.args[0]),))
    return Examined(
        tuple(of_file(Path(place, flaw.file), flaw.text) for flaw in found.of("broken", "unfit")),
        tuple(of_file(Path(place, flaw.file), flaw.text) for flaw in found.of("worry")),
    )


def signed(root: Root, cluster: str, trust_domain: str) -> Inspection:
    """An intermediate for this cluster, as istiod and its peers would see it. Raises Unfit where the root cannot sign."""
    return inspect(authority.make_intermediate(root, cluster, trust_domain), trust_domain)


def fingerprint_in(root: Root) -> str:
    """The fingerprint of its certificate; empty where that cannot be read."""
    try:
        return authority.fingerprint(root.certificate)
    except ValueError:
        return ""
