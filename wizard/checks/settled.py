"""Could all that the mesh file leaves open be found in the clusters?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Finding, Found
from wizard.errors import NeedsPerson, Trouble


def find(_: Looked) -> Iterable[Found]:
    # Of all clusters together, when the mesh is settled; no cluster tells of it by itself.
    return ()


def unsettled(why: Trouble) -> Finding:
    """That something could not be found, and `why`."""
    return CHECK.finding(Found(why.what, why.remedy, person=isinstance(why, NeedsPerson)), cluster=None)


CHECK = Check("settled", "mesh", "error", find)
