"""May the context do all that an install needs?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import LEASE_RIGHTS, Check, Looked
from wizard.checks.finding import Found
from wizard.messages import counted, msg
from wizard.text import listing, one_line


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    denied = [right for right in looked.lacking if right not in LEASE_RIGHTS]
    if denied:
        told = {"context": one_line(member.context), "rights": listing(map(str, denied[:4]))}
        yield Found(
            counted(
                "context {context} may not {rights}, and {count} more",
                "context {context} may not {rights}, and {count} more",
                len(denied) - 4,
                **told,
            )
            if len(denied) > 4
            else msg("context {context} may not {rights}", **told),
            msg("Installing Istio needs a cluster administrator's context."),
        )
    else:
        yield Found(msg("the context may do all that is needed"), severity="ok")


CHECK = Check("rights", "rights", "error", find)
