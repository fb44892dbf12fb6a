"""What stands at the end and what to do next: told on the last screen, and on the normal one afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr, trn
from wizard.messages.cells import padded
from wizard.text import duration, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from screens.run import Run

NOTHING = msg("Nothing was changed.")
DEMO = msg("It was the demo: simulated clusters, nothing is left behind.")


def farewell(run: Run, log_file: Path | None, *, simulated: bool, ascii_only: bool) -> str:
    """How the run went: done, stopped, or still not at its end."""
    ended = run.view.ended
    if ended is not None and ended.ok:
        return summary(run, simulated=simulated, ascii_only=ascii_only)
    if ended is None:
        said = (tr("The install did not end in time; it is recorded."), _go_on(run))
    elif simulated:
        said = (rendered(ended.what), rendered(DEMO))
    else:
        said = (rendered(ended.what), rendered(ended.remedy))
    log = tr("Log: {file}", file=str(log_file)) if log_file else ""
    return "\n".join(filter(None, (*said, log)))


def stopped(run: Run, *, simulated: bool) -> str:
    """A signal ended the run."""
    if simulated:
        return f"{tr('Stopped by a signal.')} {rendered(DEMO)}"
    return f"{tr('Stopped by a signal; what was done is recorded.')}\n{_go_on(run)}"


def _go_on(run: Run) -> str:
    return tr("Go on with: {command}", command=run.prepared.resume_command)


def summary(run: Run, *, simulated: bool, ascii_only: bool) -> str:
    """What stands now, and what to do next."""
    from wizard.mesh.drawing import draw

    view, mesh = run.view, run.prepared.mesh
    picture = draw(
        mesh, links=view.board.links, counts=view.board.counts, causes=view.board.causes, ascii=ascii_only, say=rendered
    ).plain()
    demo = tr("Demo on simulated clusters: nothing outside this terminal was touched.") + "\n" if simulated else ""
    said = trn(
        "Mesh {mesh} is verified: {count} steps in {time}.",
        "Mesh {mesh} is verified: {count} steps in {time}.",
        view.passed,
        mesh=mesh.name,
        time=duration(view.elapsed),
    )
    commands = "\n".join(f"  {padded(text, 34)} {why}" for text, why in next_commands(run, simulated=simulated))
    return f"{demo}{said}\n\n{picture}\n\n{commands}"


def next_commands(run: Run, *, simulated: bool) -> list[tuple[str, str]]:
    """(command, what it does, in the person's language) for a mesh that stands."""
    if simulated:
        return [("meshwizard", tr("the same with your own clusters")), ("meshwizard --help", tr("everything else"))]
    name = quoted(run.prepared.mesh.name)
    place = run.prepared.place
    return [
        (f"meshwizard status {name}{place}", tr("every step probed afresh")),
        (f"meshwizard verify {name}{place}", tr("traffic from every cluster to every cluster")),
        (f"meshwizard uninstall {name}{place}", tr("takes back only what was made")),
    ]
