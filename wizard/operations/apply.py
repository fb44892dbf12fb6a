"""Makes a mesh as it is wanted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from state import MeshState
from wizard.engine.approval import Approval
from wizard.errors import NeedsPerson
from wizard.messages import msg
from wizard.operations.operation import Operation
from wizard.operations.prepared import Prepared
from wizard.operations.recorded import mesh_before
from wizard.text import listing


class Apply(Operation):
    """Every step is made as wanted, those that are already cost no request that changes anything."""

    name = "apply"
    direction = "forward"

    def __init__(self, prepared: Prepared, *, agreed: Approval | None = None, departed: Collection[str] = ()) -> None:
        """`departed`: clusters that this program took out of the mesh just now, so that they may be forgotten."""
        super().__init__(prepared, agreed=agreed)
        self._departed = tuple(departed)

    @property
    def places(self) -> Mapping[str, Mapping[str, Any]]:
        return self.prepared.places

    def refuse(self, state: MeshState) -> None:
        """NeedsPerson where a cluster belonged to the mesh, as it is recorded now, and neither does any more nor was taken out of
        it: what it and the others hold of the mesh would stay for ever.
        """
        before = mesh_before(state, self.prepared.folder)
        names = {*(cluster.name for cluster in self.mesh.clusters), *self._departed}
        left = [cluster.name for cluster in (before.clusters if before else ()) if cluster.name not in names]
        if left:
            raise NeedsPerson(
                msg(
                    "{clusters} belonged to mesh {mesh} and is not in it any more; nothing was changed",
                    clusters=listing(left),
                    mesh=self.mesh.name,
                ),
                msg("Consent to taking it out (`meshwizard apply --remove NAME`, or --forget NAME), or put it back."),
            )
