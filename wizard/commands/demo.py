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

if TYPE_CHECKING:
    from state import StateFolder
    from wizard.outside import ContextEntry, ContextFacts, Outside


def simulated_outside(clusters: int = FEWEST) -> Outside:
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
@with_settings
def command(settings: Settings, auto: bool, clusters: int) -> int:
    """Try the wizard on simulated clusters: nothing is needed, and nothing on this machine is touched.

    Without a terminal it plays through by itself and prints lines.
    """
    if settings.state:
        raise BadInput(msg("the demo's clusters are simulated: they cannot keep its state"), msg("Leave out --state."))
    outside = simulated_outside(clusters)
    with _folder(settings) as folder:
        if has_terminal() and not is_dumb():
            from wizard.commands.screens import open_screens

            return open_screens(settings, outside, folder, auto=auto)
        return play(settings, outside, folder)


def play(settings: Settings, outside: Outside, folder: StateFolder) -> int:
    """The demo as lines: the drawing, the run, the outcome; gives the exit code."""
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
        if code:
            out.remark(msg("It was the demo: simulated clusters, nothing is left behind."))
        return code


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
