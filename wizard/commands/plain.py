"""`meshwizard plain`: the same questions, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from wizard.console.flags import mesh_flags
from wizard.console.help import Command
from wizard.console.output import has_terminal, is_dumb
from wizard.console.settings import Settings, with_settings

if TYPE_CHECKING:
    from wizard.console.output import Output
    from wizard.plain.asking import Asker


@click.command("plain", cls=Command)
@mesh_flags
@with_settings
def command(settings: Settings, **flags: Any) -> int:
    """Ask the wizard's questions without whole screens; flags answer some of them beforehand.

    Numbered lines are used where the terminal is dumb or answers come through a pipe. Ctrl-C leaves; before the review
    is agreed to nothing is touched.
    """
    from wizard.plain.flow import Flow

    return Flow(asker_for(settings.out), settings, flags).run()


def asker_for(out: Output) -> Asker:
    """Prompts on a full terminal, numbered lines elsewhere."""
    if has_terminal() and not is_dumb():
        from wizard.plain.prompts import Prompts

        return Prompts(out.line)
    from wizard.plain.numbered import Numbered

    return Numbered(out.line)
