"""Can runs on other machines be kept out?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import LEASE_RIGHTS, Check, Looked
from wizard.checks.finding import Found
from wizard.messages import msg
from wizard.text import listing, one_line


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    unguarded = [right for right in looked.lacking if right in LEASE_RIGHTS]
    if unguarded:
        yield Found(
            msg(
                "context {context} may not {rights}: runs on other machines are not kept out",
                context=one_line(member.context),
                rights=listing(map(str, unguarded)),
            ),
            msg("Ask for that right, or make sure that nobody else works on this mesh meanwhile."),
        )


CHECK = Check("leases", "rights", "warning", find)
