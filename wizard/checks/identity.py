"""Is it another cluster than the others of the mesh?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.errors import Trouble
from wizard.messages import msg


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, world, identity = looked.mesh, looked.member, looked.world, looked.identity
    for other in mesh.clusters[: [each.name for each in mesh.clusters].index(member.name)]:
        try:
            same = world.cluster(other.name).identity() == identity
        except Trouble:
            continue  # its own finding tells
        if same:
            yield Found(
                msg("{one} and {other} are one cluster under two contexts", one=member.name, other=other.name),
                msg("Take one of them out of the mesh."),
            )


CHECK = Check("identity", "connection", "error", find)
