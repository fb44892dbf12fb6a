"""What a check found."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Found:
    """One answer of a check. `severity`: None where it is the check's own. `person`: only a person can decide (exit code 3)."""

    text: str
    remedy: str = ""
    severity: Severity | None = None
    person: bool = False


@dataclass(frozen=True)
class Finding:
    """The same, with whose it is. `check`: its id, which never changes; `cluster`: None where it is about the mesh; `docs`: where
    the documentation tells of that check.
    """

    severity: Severity
    text: str
    remedy: str = ""
    person: bool = False
    _: KW_ONLY
    check: str
    cluster: str | None

    @property
    def docs(self) -> str:
        """The section of the documentation that tells what to do about it, as the path of a file and its anchor."""
        return docs_of(self.check)


def docs_of(check: str) -> str:
    """The section of the documentation about the check with that id, as the path of a file in the repository and an anchor."""
    return f"docs/checks.md#{check}"
