"""Takes a whole mesh back."""

from __future__ import annotations

from wizard.engine.outcome import Outcome
from wizard.engine.step import Step
from wizard.errors import NeedsPerson
from wizard.messages import msg
from wizard.operations.operation import Consent, Operation
from wizard.text import one_line, quoted


def unasked(name: str, place: str) -> NeedsPerson:
    """Nobody is there who could agree to the uninstall of this mesh. `place`: the options that say where its state is."""
    return NeedsPerson(
        msg("uninstalling {mesh} needs a consent, and there is nobody to ask; nothing was changed", mesh=name),
        msg("Give it with: {command}", command=f"meshwizard uninstall {quoted(name)}{place} --yes"),
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
        begin = msg("Of mesh {mesh} this will be taken back, last first, where the wizard made it:", mesh=name)
        return Consent((begin, *self._removal()), msg("Take this back now?"), unasked(name, self.prepared.place))

    def after(self, outcome: Outcome) -> str:
        return self._kept() if outcome.ok else ""

    def _removal(self) -> list[str]:
        """What will be taken back, cluster by cluster."""
        lines: list[str] = []
        for cluster in self.mesh.clusters:
            # A step without an `undo` of its own made nothing that stays.
            titles = [
                step.title
                for step in reversed(self.plan.steps)
                if step.cluster == cluster.name and type(step).undo is not Step.undo
            ]
            name, context = one_line(cluster.name), one_line(cluster.context)
            lines.append(msg("  {cluster} (context {context}):", cluster=name, context=context))
            lines += [msg("    – {title}", title=one_line(title)) for title in titles]
        return lines

    def _kept(self) -> str:
        """What of the certificates outlives the mesh, in a sentence."""
        certificates = self.mesh.certificates
        if certificates.source == "generate":
            place = one_line(self.prepared.world.roots.place)
            return msg("Left as it is: the root certificate and its key in {place}.", place=place)
        if certificates.source == "existing":
            return msg("Left as it is: the secrets cacerts that were there before.")
        return msg("Left as it is: keys and certificates in {place}.", place=one_line(certificates.path))
