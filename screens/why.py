"""Why does a recorded mesh not answer? Looked at in the background, told in a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.messages import Message, msg
from wizard.messages.catalogue import rendered
from wizard.text import one_line, printable

if TYPE_CHECKING:
    from screens.base import WizardScreen
    from wizard.checks.finding import Finding
    from wizard.checks.standing.diagnosis import Diagnosis

OTHERS: Message = msg(
    "Of a mesh that other hands or tools made, name the clusters on the command line; nothing is changed there:\n\n"
    "meshwizard diagnose --context A --context B"
)


def find_out(screen: WizardScreen, name: str) -> None:
    """Look at the recorded mesh of that name, and tell what was found."""
    from screens.dialogs import Help

    wizard = screen.wizard

    def work() -> Diagnosis:
        from wizard.clusters.consents import Consents
        from wizard.operations.diagnosing import diagnosis_of
        from wizard.operations.prepared import prepare
        from wizard.operations.recorded import saved_mesh, wanted_mesh
        from wizard.sharedstate import refuse_files

        mesh = wanted_mesh(*saved_mesh(wizard.folder, name))
        refuse_files(mesh, wizard.folder, Consents())
        made = prepare(mesh, wizard.outside, wizard.folder, looking=True)
        try:
            return diagnosis_of(made.mesh, made.world.clusters, inferred=False)
        finally:
            made.close()

    def found(diagnosis: Diagnosis) -> None:
        if screen.stands:
            screen.say("")
            screen.app.push_screen(Help(msg("Why does {mesh} not answer?", mesh=name), told(diagnosis)))

    screen.say(msg("Looking at the clusters of {mesh} …", mesh=name))
    wizard.background(work, found)


def told(diagnosis: Diagnosis) -> str:
    """All of it, the cause first, in the person's language."""
    parts = [rendered(_judged(diagnosis))]
    if diagnosis.cause:
        parts.append(_finding(diagnosis.cause, whole=True))
    if diagnosis.also:
        parts.append(rendered(msg("Also:") if diagnosis.cause else msg("Found:")))
    parts += [_finding(each, whole=each.severity in ("error", "warning")) for each in diagnosis.also]
    return "\n\n".join(parts)


def _judged(diagnosis: Diagnosis) -> str:
    if diagnosis.cause:
        return msg("What is told first is the cause: mend it, and ask again.")
    if diagnosis.broken:
        return msg("Not everything answers, and no cause was found for sure.")
    if diagnosis.proven is None:
        return msg("It could not be tried whether everything answers.")
    return msg("Everything answers.")


def _finding(each: Finding, *, whole: bool) -> str:
    lines = [rendered(one_line(each.text, 2000))]
    if whole:
        lines += [rendered(msg("read: {evidence}", evidence=one_line(line, 600))) for line in each.evidence]
        lines += [rendered(printable(text)) for text in (each.remedy, *each.commands) if text]
        lines.append(rendered(msg("More about it: {page}", page=each.docs)))
    return "\n".join(lines)
