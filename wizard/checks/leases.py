"""Can runs on other machines be kept out?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import LEASE_RIGHTS, Check, Looked
from wizard.checks.finding import Found
from wizard.text import listing, one_line


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    unguarded = [right for right in looked.lacking if right in LEASE_RIGHTS]
    if unguarded:
        yield Found(
            f"context {one_line(member.context)} may not {listing(map(str, unguarded))}: runs on other machines are not kept out",
            "Ask for that right, or make sure that nobody else works on this mesh meanwhile.",
        )


CHECK = Check("leases", "rights", "warning", find)
