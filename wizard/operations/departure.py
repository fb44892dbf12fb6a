"""Takes clusters out of a mesh that goes on without them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from wizard.engine.approval import Approval
from wizard.engine.outcome import Outcome
from wizard.engine.step import Plan
from wizard.errors import NeedsPerson
from wizard.mesh.model import Mesh
from wizard.messages import msg
from wizard.operations.apply import Apply
from wizard.operations.operation import Consent, Operation
from wizard.operations.prepared import Prepared
from wizard.plan import departure_of
from wizard.text import listing, one_line, quoted


class Departure(Operation):
    """What the clusters that leave have of the mesh, and what the others hold of them, is taken back. The state names them until
    that is done, so that it can be gone on with. An `Apply` of the mesh without them follows.
    """

    name = "departure"
    direction = "backward"
    ends_work = False

    def __init__(
        self,
        prepared: Prepared,
        *,
        agreed: Approval | None = None,
        untouched: Collection[str] = (),
        decided: Collection[str] = (),
    ) -> None:
        """`untouched`: clusters that leave, in which nothing is touched, since they are gone. `decided`: clusters whose leaving
        was consented to already.
        """
        super().__init__(prepared, agreed=agreed)
        if prepared.before is None or not prepared.leaving:
            raise RuntimeError("no cluster leaves this mesh")
        self._untouched = tuple(untouched)
        self._decided = (*untouched, *decided)
        istio = replace(prepared.before.istio, version=prepared.mesh.istio.version)
        self._mesh = replace(prepared.before, istio=istio)
        self._plan = departure_of(self._mesh, self.names, untouched=self._untouched)

    @property
    def names(self) -> list[str]:
        """The clusters that leave."""
        return [cluster.name for cluster in self.prepared.leaving]

    @property
    def mesh(self) -> Mesh:
        return self._mesh

    @property
    def plan(self) -> Plan:
        return self._plan

    @property
    def untouched(self) -> tuple[str, ...]:
        return self._untouched

    @property
    def payload(self) -> Mapping[str, Any]:
        return {"leaving": self.names, "untouched": list(self._untouched)}

    @property
    def approval(self) -> Approval | None:
        return None  # it is about the mesh that is wanted; `check` held it against that

    def consent(self) -> Consent | None:
        undecided = [cluster for cluster in self.prepared.leaving if cluster.name not in self._decided]
        if not undecided:
            return None
        names = [cluster.name for cluster in undecided]
        options = " ".join(f"--remove {quoted(name)}" for name in names)
        clusters, mesh = listing(names), self.prepared.mesh.name
        what = msg(
            "{clusters} belonged to mesh {mesh} and is not in it any more; nothing was changed",
            clusters=clusters,
            mesh=mesh,
        )
        return Consent(
            (
                msg(
                    "{clusters} belonged to mesh {mesh} and is not in it any more. What the wizard made there is taken back, "
                    "and the others forget it:",
                    clusters=clusters,
                    mesh=mesh,
                ),
                *(
                    msg(
                        "  – {cluster} (context {context})", cluster=one_line(each.name), context=one_line(each.context)
                    )
                    for each in self.prepared.leaving
                ),
            ),
            msg("Take it out now?"),
            NeedsPerson(
                what,
                msg(
                    "Take back what the wizard made there with {options}, or with --forget NAME only what the other clusters "
                    "hold of it, for a cluster that is gone. Or put it back into the mesh file.",
                    options=options,
                ),
            ),
            NeedsPerson(what, msg("Put it back into the mesh file, or consent.")),
        )

    def check(self) -> None:
        if self.agreed:
            prepared = self.prepared
            self.agreed.check_place(prepared.stamp, prepared.identities, self.names)
            self.agreed.check(prepared.plan, prepared.look())

    def after(self, outcome: Outcome) -> str:
        if outcome.exit_code != 1:
            return ""
        options = " ".join(f"--forget {quoted(name)}" for name in self.names)
        return msg("Where such a cluster is gone for good, leave it as it is: {options}", options=options)

    def then(self) -> Operation:
        # What is recorded, and who leaves, this run itself has changed.
        agreed = replace(self.agreed, state=None, leaving=self.names) if self.agreed else None
        return Apply(self.prepared, agreed=agreed, departed=self.names)
