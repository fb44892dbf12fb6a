"""May the context do all that an install needs?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Finding
from wizard.checks.needed import LEASE_RIGHTS
from wizard.text import listing, one_line


def find(looked: Looked) -> Iterable[Finding]:
    member = looked.member
    denied = [right for right in looked.lacking if right not in LEASE_RIGHTS]
    if denied:
        yield Finding(
            "rights", member.name, "error", f"context {one_line(member.context)} may not {listing(map(str, denied[:4]))}"
            + (f", and {len(denied) - 4} more" if len(denied) > 4 else ""),
            "Installing Istio needs a cluster administrator's context.",
        )  # fmt: skip
    else:
        yield Finding("rights", member.name, "ok", "the context may do all that is needed")


CHECK = Check("rights", "rights", find)
