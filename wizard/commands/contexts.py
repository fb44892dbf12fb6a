"""`meshwizard contexts merge`: one kubeconfig out of several."""

from __future__ import annotations

from pathlib import Path

import click

from wizard.console.output import columns
from wizard.console.settings import Settings, with_settings
from wizard.text import one_line, quoted

_file = click.Path(path_type=Path)


@click.group("contexts", no_args_is_help=False)
def command() -> None:
    """Work on kubeconfig files."""


@command.command("merge")
@click.argument("files", nargs=-1, required=True, type=_file, metavar="FILE…")
@click.option("-o", "--output", required=True, type=_file, metavar="OUT", help="The kubeconfig to write (mode 0600).")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@click.option("--by-file-name", is_flag=True, help="Tell colliding names apart by file name instead of a number.")
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
    rows = [("context", "was", "in", "API server")]
    rows += [(each.name, each.was, str(each.file), each.server) for each in merged.contexts]
    for line in columns(rows):
        out.line(line)
    out.line(f"Written to {one_line(output)}. Use it with: meshwizard plain --kubeconfig {quoted(output)}")
    return 0
