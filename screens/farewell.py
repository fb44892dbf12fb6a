"""What stands at the end and what to do next: told on the last screen, and on the normal one afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wizard.text import duration, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from screens.run import Run

NOTHING = "Nothing was changed."


def farewell(run: Run, log_file: Path | None, *, simulated: bool, ascii_only: bool) -> str:
    """How the run went: done, stopped, or still not at its end."""
    ended, prepared = run.view.ended, run.prepared
    if ended is not None and ended.ok:
        return summary(run, simulated=simulated, ascii_only=ascii_only)
    if ended is None:
        said = f"The install did not end in time; it is recorded.\nGo on with: {prepared.resume_command}"
    elif simulated:
        said = f"{ended.what}\nIt was the demo: simulated clusters, nothing is left behind."
    else:
        said = f"{ended.what}\n{ended.remedy}".strip()
    return f"{said}\nLog: {log_file}" if log_file else said


def stopped(run: Run, *, simulated: bool) -> str:
    """A signal ended the run."""
    if simulated:
        return "Stopped by a signal. It was the demo: simulated clusters, nothing is left behind."
    return f"Stopped by a signal; what was done is recorded.\nGo on with: {run.prepared.resume_command}"


def summary(run: Run, *, simulated: bool, ascii_only: bool) -> str:
    """What stands now, and what to do next."""
    from wizard.mesh.drawing import draw

    view, mesh = run.view, run.prepared.mesh
    picture = draw(mesh, links=view.board.links, counts=view.board.counts, ascii=ascii_only).plain()
    demo = "Demo on simulated clusters: nothing outside this terminal was touched.\n" if simulated else ""
    said = f"Mesh {mesh.name} is verified: {view.passed} steps in {duration(view.elapsed)}."
    commands = "\n".join(f"  {text:<34} {why}" for text, why in next_commands(run, simulated=simulated))
    return f"{demo}{said}\n\n{picture}\n\n{commands}"


def next_commands(run: Run, *, simulated: bool) -> list[tuple[str, str]]:
    """(command, what it does) for a mesh that stands."""
    if simulated:
        return [("meshwizard", "the same with your own clusters"), ("meshwizard --help", "everything else")]
    name = quoted(run.prepared.mesh.name)
    place = run.prepared.place
    return [
        (f"meshwizard status {name}{place}", "every step probed afresh"),
        (f"meshwizard verify {name}{place}", "traffic from every cluster to every cluster"),
        (f"meshwizard uninstall {name}{place}", "takes back only what was made"),
    ]
