"""Which operation comes next for a prepared mesh."""

from __future__ import annotations

from collections.abc import Collection

from state import MeshState
from wizard.engine.approval import Approval
from wizard.errors import BadInput
from wizard.messages import msg
from wizard.operations.apply import Apply
from wizard.operations.departure import Departure
from wizard.operations.operation import Operation
from wizard.operations.prepared import Prepared
from wizard.operations.uninstall import Uninstall
from wizard.text import listing, one_line

OPERATIONS: dict[str, type[Operation]] = {kind.name: kind for kind in (Apply, Departure, Uninstall)}


def kind_of(state: MeshState) -> type[Operation]:
    """The operation that was recorded last. BadInput where this release does not know it."""
    kind = OPERATIONS.get(state.operation)
    if kind is None:
        raise BadInput(
            msg(
                "mesh {mesh} is in the midst of an operation that this release does not know: {operation}",
                mesh=state.name,
                operation=one_line(state.operation),
            ),
            msg("Use the meshwizard that began it. Nothing was touched."),
        )
    return kind


def wanted(
    prepared: Prepared, *, agreed: Approval | None = None, remove: Collection[str] = (), forget: Collection[str] = ()
) -> Operation:
    """What makes the mesh as it is wanted begins with this: whoever leaves it goes first. `remove`: clusters whose leaving was
    consented to; in those to `forget` nothing is touched. BadInput where one of them does not leave.
    """
    names = [cluster.name for cluster in prepared.leaving]
    strangers = [name for name in (*remove, *forget) if name not in names]
    if strangers:
        told = listing(map(one_line, strangers))
        what = msg("{clusters} does not leave the mesh; none does", clusters=told)
        if names:
            what = msg(
                "{clusters} does not leave the mesh; those that do are {leaving}", clusters=told, leaving=listing(names)
            )
        raise BadInput(what, msg("Correct the option."))
    if not names:
        return Apply(prepared, agreed=agreed)
    return Departure(prepared, agreed=agreed, untouched=forget, decided=remove)


def first(prepared: Prepared, state: MeshState | None, *, agreed: Approval | None = None) -> Operation:
    """The same, where all of it was consented to. `state`: what is recorded; clusters that a departure was to leave untouched,
    stay so.
    """
    names = [cluster.name for cluster in prepared.leaving]
    untouched = [str(name) for name in (state.payload.get("untouched") or () if state else ()) if name in names]
    return wanted(prepared, agreed=agreed, remove=names, forget=untouched)


def resumed(prepared: Prepared, state: MeshState) -> Operation:
    """What a run that was recorded is gone on with. It was consented to when it began."""
    kind = kind_of(state)
    return first(prepared, state) if kind in (Apply, Departure) else kind(prepared)
