"""What a check found."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from wizard.messages import joined, msg

# `unsure`: it may be so, or could not be looked at; never called a cause.
Severity = Literal["ok", "unsure", "warning", "error"]
Pair = tuple[str, str]  # traffic from the Pods of one cluster to those of another, by their names


@dataclass(frozen=True)
class Found:
    """One answer of a check. `severity`: None where it is the check's own. `person`: only a person can decide (exit code 3)."""

    text: str
    remedy: str = ""
    severity: Severity | None = None
    person: bool = False


@dataclass(frozen=True)
class Finding:
    """The same, with whose it is. `check`: its id, which never changes; `cluster`: None where it is about the mesh.

    Of a standing mesh there is more to say. `text` is then the sentence: what is wrong, on which object, in which cluster.
    `layer`: of the check; `object`: what is named, as `str(Ref)` tells it; `short`: the cause in a few words, for an arrow;
    `evidence`: what was read, and from where; `commands`: to paste, quoted; `step`: the id of our step that mends it; `breaks`:
    the traffic that cannot pass.
    """

    severity: Severity
    text: str
    remedy: str = ""
    person: bool = False
    _: KW_ONLY
    check: str
    cluster: str | None
    layer: str = ""
    object: str = ""
    short: str = ""
    evidence: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    step: str | None = None
    breaks: tuple[Pair, ...] = ()

    @property
    def docs(self) -> str:
        """The page or section of the documentation that tells what to do about it, as the path of a file in the repository."""
        return f"docs/checks/{self.check}.md" if self.layer else docs_of(self.check)


def way_on(finding: Finding) -> str:
    """What to do about it, as one text: the remedy, the commands, where more is told."""
    commands = "\n".join(finding.commands)
    more = msg("More about it: {page}", page=finding.docs)
    return joined(part for part in (finding.remedy, commands, more) if part)


def docs_of(check: str) -> str:
    """The section of the documentation about the check before an install with that id, as a path and an anchor."""
    return f"docs/checks.md#{check}"
