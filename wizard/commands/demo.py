"""`meshwizard demo`: the same wizard on simulated clusters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from wizard.console.help import Command, option
from wizard.console.output import has_terminal, is_dumb
from wizard.console.settings import Settings, with_settings
from wizard.errors import BadInput
from wizard.mesh.model import API_VERSION
from wizard.messages import msg

FEWEST, MOST = 2, 50  # clusters
SOMEBODY = 15.0  # seconds until somebody does what the demo asks a person to do on a node
SHOWN = 15.0  # seconds until what is broken has reached every proxy, and what is made anew is ready
LIST = "list"  # the value of an option that was given without one

if TYPE_CHECKING:
    from state import StateFolder
    from wizard.checks.standing.diagnosis import Diagnosis
    from wizard.console.output import Output
    from wizard.operations.prepared import Prepared
    from wizard.outside import ContextEntry, ContextFacts
    from wizard.simulated.breaks import Break
    from wizard.simulated.outside import SimulatedOutside


def simulated_outside(clusters: int = FEWEST) -> SimulatedOutside:
    """The outside of the demo, where whatever a person may choose can work: shared networks, load balancers, routes that
    somebody lays. The one place to put another in its stead.
    """
    from wizard.simulated.outside import SimulatedOutside

    class Demo(SimulatedOutside):
        def facts(self, entry: ContextEntry) -> ContextFacts:
            self.machine(entry.context).load_balancer = True
            return super().facts(entry)

    return Demo(clusters, flat=True, own_services=True, person=SOMEBODY)


@click.command("demo", cls=Command)
@option("--auto", is_flag=True, help=msg("Play it through without waiting for anybody."))
@option(
    "--clusters",
    type=click.IntRange(FEWEST, MOST),
    default=FEWEST,
    show_default=True,
    metavar="N",
    help=msg("How many clusters there are to choose from, up to {most}.", most=MOST),
)
@option(
    "--break",
    "cause",
    is_flag=False,
    flag_value=LIST,
    metavar="[CAUSE]",
    help=msg(
        "Play it through as lines, break it like this, and find out why it does not answer. Without CAUSE: list the causes."
    ),
)
@with_settings
def command(settings: Settings, auto: bool, clusters: int, cause: str | None) -> int:
    """Try the wizard on simulated clusters: nothing is needed, and nothing on this machine is touched.

    Without a terminal it plays through by itself and prints lines.

    Exits 4 where it was broken and the cause was found, or traffic does not pass.
    """
    if settings.state:
        raise BadInput(msg("the demo's clusters are simulated: they cannot keep its state"), msg("Leave out --state."))
    if cause == LIST:
        _list(settings.out)
        return 0
    chosen = _cause(cause) if cause else None
    outside = simulated_outside(clusters)
    with _folder(settings) as folder:
        if chosen is None and has_terminal() and not is_dumb():
            from wizard.commands.screens import open_screens

            return open_screens(settings, outside, folder, auto=auto)
        return play(settings, outside, folder, chosen)


def _cause(name: str) -> Break:
    from wizard.simulated.breaks import cause_of

    return cause_of(name)


def _list(out: Output) -> None:
    from wizard.console.output import columns
    from wizard.simulated.breaks import BREAKS

    for line in columns([(each.id, each.told) for each in BREAKS], indent=""):
        out.line(line)


def play(settings: Settings, outside: SimulatedOutside, folder: StateFolder, cause: Break | None = None) -> int:
    """The demo as lines: the drawing, the run, the outcome; gives the exit code. `cause`: by which it is broken then."""
    from wizard.console import planned
    from wizard.console.choosing import proposals
    from wizard.console.working import carry_out, looked
    from wizard.mesh.document import mesh_from
    from wizard.operations.apply import Apply

    document = {"apiVersion": API_VERSION, "kind": "Mesh", "name": "demo", "clusters": proposals(outside.contexts())}
    out = settings.out
    options = settings.options(ephemeral=True)
    made, looks = looked(settings, mesh_from(document), options, outside=outside, folder=folder)
    with closing(made):
        out.line(planned.drawing(made.mesh, planned.found(made.plan, looks)))
        out.line()
        code = carry_out(Apply(made), out).exit_code
        if not code and cause:
            code = _broken(made, outside, out, cause)
        if code:
            out.remark(msg("It was the demo: simulated clusters, nothing is left behind."))
        return code


def _broken(made: Prepared, outside: SimulatedOutside, out: Output, cause: Break) -> int:
    """Break the finished mesh and tell why it does not answer; gives the exit code."""
    from wizard.console import diagnosed
    from wizard.console.background import reading
    from wizard.operations.diagnosing import diagnosis_of
    from wizard.simulated.breaks import break_mesh

    told = break_mesh(cause, made.mesh, outside.machine)
    out.line()
    out.line(msg("Broken: {what}", what=told))
    out.line()

    def look() -> Diagnosis:
        outside.pace.sleep(SHOWN)
        return diagnosis_of(made.mesh, made.world.clusters, inferred=False)

    diagnosis = reading(look)
    diagnosed.show(diagnosis, made.mesh, out, mended_by="")
    return 4 if diagnosis.cause or diagnosis.broken else 0


@contextmanager
def _folder(settings: Settings) -> Iterator[StateFolder]:
    from state import StateFolder
    from state.scratch import scratch

    if settings.state_dir:
        yield settings.folder()
        return
    # What is recorded of simulated clusters must not be offered for resuming when the real wizard starts.
    with scratch("meshwizard-demo-") as place:
        yield StateFolder(place)
