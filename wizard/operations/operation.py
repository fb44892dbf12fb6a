"""What every operation says of itself: what it plans, which way its steps go, what it needs a consent for, what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from state import MeshState
from wizard.engine.approval import Approval
from wizard.engine.engine import Engine
from wizard.engine.outcome import Outcome
from wizard.engine.step import Plan
from wizard.errors import NeedsPerson
from wizard.mesh.model import Mesh
from wizard.operations.prepared import Prepared


@dataclass(frozen=True)
class Consent:
    """What a person must agree to before an operation begins."""

    lines: tuple[str, ...]  # what is about to happen, and where
    question: str  # yes means go on
    unasked: NeedsPerson  # where nobody can be asked: how else the consent is given
    declined: NeedsPerson | None = None  # where the answer is no, and something else must be done first


class Operation:
    """One thing that is done to a mesh, by one run of one plan. Made anew for each run; nothing of it changes.

    A new one: a subclass in a file of its own here, and its place in `OPERATIONS` of `wizard.operations.choice`, so that
    `meshwizard resume` goes on with it.
    """

    name: ClassVar[str]  # as recorded, and as events and `--json` tell it
    resumed_by: ClassVar[str] = "resume"  # the command that goes on with it
    direction: ClassVar[Literal["forward", "backward"]]  # steps are made, or taken back
    takes_back: ClassVar[bool] = False  # the whole mesh goes: nothing of the person's files is needed, or looked at
    ends_work: ClassVar[bool] = True  # ended well, nothing is left to be gone on with
    forgets: ClassVar[bool] = False  # ended well, nothing is remembered of the mesh

    def __init__(self, prepared: Prepared, *, agreed: Approval | None = None) -> None:
        """`agreed`: what a person agreed to; where something else would be done, nothing begins."""
        self.prepared = prepared
        self.agreed = agreed

    @property
    def mesh(self) -> Mesh:
        """The mesh that is worked on, and recorded."""
        return self.prepared.mesh

    @property
    def plan(self) -> Plan:
        """The steps, in the order in which they are made."""
        return self.prepared.plan

    @property
    def untouched(self) -> tuple[str, ...]:
        """Clusters of the mesh that nothing is asked of, nor done to."""
        return ()

    @property
    def payload(self) -> Mapping[str, Any]:
        """What is recorded of the operation beside the mesh: enough to go on with it. Plain JSON data."""
        return {}

    @property
    def places(self) -> Mapping[str, Mapping[str, Any]]:
        """What is recorded of each cluster's gateway, beside the identity of the cluster."""
        return {}

    @property
    def approval(self) -> Approval | None:
        """What the engine holds its first look against."""
        return self.agreed

    def consent(self) -> Consent | None:
        """What must be agreed to before it begins; None where nothing must."""
        return None

    def check(self) -> None:
        """Raises Stale where it would not do what was agreed to, as far as the engine does not see to that. Before any lock."""

    def refuse(self, state: MeshState) -> None:
        """Raises NeedsPerson where it must not begin on what is recorded. Under the lock."""

    def run(self, engine: Engine) -> Outcome:
        """Have the engine do it. Blocks; never raises."""
        return engine.run(self.name) if self.direction == "forward" else engine.undo(self.name)

    def after(self, outcome: Outcome) -> str:
        """A sentence for a person once it ended, beside the outcome; empty where there is none."""
        return ""

    def again(self) -> Self:
        """The same once more, after it began and did not end well: by the same consent, and without a look at what was agreed to,
        since it changed things itself.
        """
        other = copy(self)
        other.agreed = None
        return other

    def then(self) -> Operation | None:
        """What follows where it ended well; None where that was all."""
        return None
