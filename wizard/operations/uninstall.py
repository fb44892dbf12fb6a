"""Takes a whole mesh back."""

from __future__ import annotations

from wizard.engine.outcome import Outcome
from wizard.engine.step import Step
from wizard.errors import NeedsPerson
from wizard.operations.operation import Consent, Operation
from wizard.text import one_line, quoted


def unasked(name: str, place: str) -> NeedsPerson:
    """Nobody is there who could agree to the uninstall of this mesh. `place`: the options that say where its state is."""
    return NeedsPerson(
        f"uninstalling {name} needs a consent, and there is nobody to ask; nothing was changed",
        f"Give it with: meshwizard uninstall {quoted(name)}{place} --yes",
    )


class Uninstall(Operation):
    """In reverse, and only what the wizard made. Once all of it is done, the mesh is forgotten."""

    name = "uninstall"
    direction = "backward"
    resumed_by = "uninstall"
    takes_back = True
    forgets = True

    def consent(self) -> Consent:
        name = self.mesh.name
        lines = (f"Of mesh {name} this will be taken back, last first, where the wizard made it:", *self._removal())
        return Consent(lines, "Take this back now?", unasked(name, self.prepared.place))

    def after(self, outcome: Outcome) -> str:
        return f"Left as it is: {self._kept()}." if outcome.ok else ""

    def _removal(self) -> list[str]:
        """What will be taken back, cluster by cluster."""
        lines = []
        for cluster in self.mesh.clusters:
            # A step without an `undo` of its own made nothing that stays.
            titles = [
                step.title
                for step in reversed(self.plan.steps)
                if step.cluster == cluster.name and type(step).undo is not Step.undo
            ]
            lines.append(f"  {one_line(cluster.name)} (context {one_line(cluster.context)}):")
            lines += [f"    – {one_line(title)}" for title in titles]
        return lines

    def _kept(self) -> str:
        """What of the certificates outlives the mesh."""
        certificates = self.mesh.certificates
        if certificates.source == "generate":
            return f"the root certificate and its key in {one_line(self.prepared.world.roots.place)}"
        if certificates.source == "existing":
            return "the secrets cacerts that were there before"
        return f"keys and certificates in {one_line(certificates.path)}"
