"""May the context do all that an install needs?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import LEASE_RIGHTS, Check, Looked
from wizard.checks.finding import Found
from wizard.text import listing, one_line


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    denied = [right for right in looked.lacking if right not in LEASE_RIGHTS]
    if denied:
        yield Found(
            f"context {one_line(member.context)} may not {listing(map(str, denied[:4]))}"
            + (f", and {len(denied) - 4} more" if len(denied) > 4 else ""),
            "Installing Istio needs a cluster administrator's context.",
        )
    else:
        yield Found("the context may do all that is needed", severity="ok")


CHECK = Check("rights", "rights", "error", find)
