"""`meshwizard contexts merge`: one kubeconfig out of several."""

from __future__ import annotations

from pathlib import Path

import click

from wizard.console.help import Group, option
from wizard.console.output import columns
from wizard.console.settings import Settings, with_settings
from wizard.messages import msg
from wizard.text import one_line, quoted

_file = click.Path(path_type=Path)


@click.group("contexts", cls=Group, no_args_is_help=False)
def command() -> None:
    """Work on kubeconfig files."""


@command.command("merge")
@click.argument("files", nargs=-1, required=True, type=_file, metavar="FILE…")
@option("-o", "--output", required=True, type=_file, metavar="OUT", help=msg("The kubeconfig to write (mode 0600)."))
@option("--force", is_flag=True, help=msg("Overwrite OUT."))
@option("--by-file-name", is_flag=True, help=msg("Tell colliding names apart by file name instead of a number."))
@with_settings
def merge_command(settings: Settings, files: tuple[Path, ...], output: Path, force: bool, by_file_name: bool) -> int:
    """Make one kubeconfig out of several whose names collide, such as those of kubeadm.

    Names that collide get the number of their file: kubernetes-admin@kubernetes of the first becomes
    kubernetes-admin1@kubernetes. All other names stay. The files given are only read.
    """
    from wizard.clusters.kubeconfig_merge import merge
    from wizard.console.files import write

    merged = merge(files, by_file_name=by_file_name)
    write(output, merged.text, overwrite=force, mode=0o600)
    out = settings.out
    rows: list[tuple[str, ...]] = [(msg("context"), msg("was"), msg("in"), msg("API server"))]
    rows += [(each.name, each.was, str(each.file), each.server) for each in merged.contexts]
    for line in columns(rows):
        out.line(line)
    use = f"meshwizard plain --kubeconfig {quoted(output)}"
    out.line(msg("Written to {file}. Use it with: {command}", file=one_line(output), command=use))
    return 0
