"""Clusters that leave a mesh: what they have of it is taken back by consent only."""

from __future__ import annotations

from collections.abc import Collection

import click

from wizard.console.background import in_background
from wizard.console.output import Output, has_terminal
from wizard.console.progress import JsonLines, Lines
from wizard.console.working import Brake, shown, tell
from wizard.engine.outcome import Outcome
from wizard.errors import BadInput, NeedsPerson
from wizard.session import Session
from wizard.text import listing, one_line, quoted


def take_leave(
    session: Session, out: Output, *, remove: Collection[str] = (), forget: Collection[str] = (), json: bool = False
) -> int:
    """Take the clusters that are in the mesh no more out of it, before anything else is done: `remove` were consented to,
    of `forget` nothing is touched in the clusters themselves. Asks about the others, where somebody can answer. Gives the
    exit code; 0 also where none leaves. The session must be prepared.
    """
    names = [cluster.name for cluster in session.leaving]
    strangers = [name for name in (*remove, *forget) if name not in names]
    if strangers:
        known = f"those that do are {listing(names)}" if names else "none does"
        raise BadInput(f"{listing(map(one_line, strangers))} does not leave the mesh; {known}", "Correct the option.")
    if not names:
        return 0
    _consent(session, out, [name for name in names if name not in (*remove, *forget)], json)
    return _depart(session, out, forget, json)


def _consent(session: Session, out: Output, undecided: list[str], json: bool) -> None:
    if not undecided:
        return
    what = f"{listing(undecided)} belonged to mesh {session.mesh.name} and is not in it any more"
    if json or not has_terminal():
        options = " ".join(f"--remove {quoted(name)}" for name in undecided)
        raise NeedsPerson(
            f"{what}; nothing was changed",
            f"Take back what the wizard made there with {options}, or with --forget NAME only what the other clusters hold "
            "of it, for a cluster that is gone. Or put it back into the mesh file.",
        )
    out.line(f"{what}. What the wizard made there is taken back, and the others forget it:")
    for cluster in session.leaving:
        out.line(f"  – {one_line(cluster.name)} (context {one_line(cluster.context)})")
    if not click.confirm("Take it out now?", default=False):
        raise NeedsPerson(f"{what}; nothing was changed", "Put it back into the mesh file, or consent.")


def _depart(session: Session, out: Output, forget: Collection[str], json: bool) -> int:
    brake = Brake(out.remark, session.resume_command)

    def body() -> Outcome:
        listener = JsonLines() if json else Lines(out, session.mesh)
        with shown(), session.departure(listener, untouched=forget) as engine:
            brake.attach(engine)
            return engine.undo()

    outcome = in_background(body, brake.press)
    tell(outcome, out, json=json)
    if not outcome.ok and outcome.exit_code == 1:
        names = " ".join(f"--forget {quoted(cluster.name)}" for cluster in session.leaving)
        out.remark(f"Where such a cluster is gone for good, leave it as it is: {names}")
    return outcome.exit_code
