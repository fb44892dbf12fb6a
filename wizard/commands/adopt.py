"""`meshwizard adopt`: the mesh file of a mesh that somebody else made."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from wizard.clusters.typed import options
from wizard.commands.standing import inferred
from wizard.console.completion import files as any_file
from wizard.console.help import Command, option
from wizard.console.offered import contexts as offered_contexts
from wizard.console.settings import Settings, with_settings
from wizard.errors import BadInput
from wizard.messages import msg
from wizard.text import one_line, quoted


@click.command("adopt", cls=Command)
@option(
    "--context",
    "contexts",
    multiple=True,
    required=True,
    metavar="NAME",
    help=msg("A cluster of the mesh; give it once for each."),
    shell_complete=offered_contexts,
)
@option(
    "--kubeconfig",
    "kubeconfig",
    multiple=True,
    metavar="FILE",
    help=msg("Where to look for contexts. May be repeated."),
    shell_complete=any_file,
)
@option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="OUT", required=True, help=msg("The mesh file to write.")
)
@option("--force", is_flag=True, help=msg("Overwrite OUT."))
@with_settings
def command(
    settings: Settings, contexts: tuple[str, ...], kubeconfig: tuple[str, ...], output: Path, force: bool
) -> int:
    """Write the mesh file of the mesh that stands in these clusters, whoever made it. Changes nothing there.

    What no mesh file can say is told. What others installed stays theirs: the file says so (istio.installed: by-others), and no
    command changes it or takes it back.
    """
    from wizard.console import files
    from wizard.mesh.document import document_of, mistakes_in
    from wizard.mesh.inplace import text_for
    from wizard.mesh.meshfile import write_meshfile

    files.check(output)
    with closing(inferred(settings, contexts, kubeconfig)) as found:
        mesh = found.mesh
    mistakes = mistakes_in(document_of(mesh))
    if mistakes:
        raise BadInput(
            msg("no mesh file can say what stands in these clusters; nothing was written"),
            msg(
                "Find out more with: {command}", command=f"meshwizard diagnose {' '.join(map(options, mesh.clusters))}"
            ),
            mistakes,
        )
    text = text_for(output, mesh)[0] if force else write_meshfile(mesh)
    files.write(output, text, overwrite=force, mode=0o644)
    out = settings.out
    out.line(msg("Written to {file}.", file=one_line(output)))
    untold = [*found.unexpressed, *([found.mute] if found.mute else [])]
    if untold:
        out.line(msg("What it does not say:"))
        for each in untold:
            out.line(msg("  {text}", text=one_line(each, 600)))
    out.line(msg("What would be done with it: {command}", command=f"meshwizard plan -f {quoted(output)}"))
    return 0
