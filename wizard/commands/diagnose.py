"""`meshwizard diagnose`: why clusters do not answer each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wizard.commands.names import from_file, recorded, the_name
from wizard.console.completion import files as any_file
from wizard.console.help import Command, option
from wizard.console.offered import contexts as offered_contexts
from wizard.console.offered import meshes
from wizard.console.settings import Settings, with_settings
from wizard.errors import BadInput, Trouble
from wizard.messages import joined, msg
from wizard.text import listing, one_line, quoted

if TYPE_CHECKING:
    from wizard.checks.standing.diagnosis import Diagnosis
    from wizard.clusters.port import Cluster
    from wizard.mesh.model import Mesh

_BY_CONTEXTS = "meshwizard diagnose --context A --context B"


@dataclass(frozen=True)
class _Asked:
    """The mesh that is meant, and its clusters. `mended_by`: the command that runs our steps; empty where none does. `sample`:
    how to get a client that can ask; `mute`: why none need be asked. `unsettled`: why not all of the mesh could be found.
    """

    mesh: Mesh
    clusters: Mapping[str, Cluster]
    close: Callable[[], None]
    inferred: bool = False
    mended_by: str = ""
    sample: str = ""
    mute: str = ""
    unsettled: Trouble | None = None


@click.command("diagnose", cls=Command)
@click.argument("name", required=False, shell_complete=meshes)
@option("-f", "--file", "path", metavar="FILE", help=msg("The mesh file."), shell_complete=any_file)
@option(
    "--context",
    "contexts",
    multiple=True,
    metavar="NAME",
    help=msg("A cluster of a mesh that was made by others; give it once for each."),
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
@option("--from", "source", metavar="CLUSTER", help=msg("Only traffic from this cluster."))
@option("--to", "target", metavar="CLUSTER", help=msg("Only traffic to this cluster."))
@option("--json", is_flag=True, help=msg("One JSON object."))
@option("--junit", type=click.Path(path_type=Path), metavar="FILE", help=msg("Also write a JUnit report."))
@with_settings
def command(
    settings: Settings,
    name: str | None,
    path: str | None,
    contexts: tuple[str, ...],
    kubeconfig: tuple[str, ...],
    source: str | None,
    target: str | None,
    json: bool,
    junit: Path | None,
) -> int:
    """Find out why clusters do not answer each other: the cause, on which object, and how to mend it. Changes nothing.

    Looks at a recorded mesh (NAME may be left out where only one is), at that of a mesh file, or with --context at whatever mesh
    stands in these clusters, whoever made it.

    Exits 0 where nothing is wrong and traffic passes, 4 where a cause was found or traffic does not pass, 3 where nothing was
    found and it could not be tried whether traffic passes. Warnings alone exit 0.
    """
    from wizard.console import diagnosed, files
    from wizard.console.background import reading
    from wizard.operations.diagnosing import diagnosis_of, pairs_between

    if junit:
        files.check(junit)
    asked = _asked(settings, name, path, contexts, kubeconfig)
    try:
        pairs = pairs_between(asked.mesh, _member(asked.mesh, source), _member(asked.mesh, target))
        diagnosis = reading(
            lambda: diagnosis_of(asked.mesh, asked.clusters, inferred=asked.inferred, pairs=pairs, mute=asked.mute)
        )
    finally:
        asked.close()
    code = _exit_code(diagnosis)
    if json:
        settings.out.json(diagnosed.shape(diagnosis, asked.mesh, ok=code == 0))
    else:
        diagnosed.show(diagnosis, asked.mesh, settings.out, mended_by=asked.mended_by)
        settings.out.line(_summary(diagnosis, asked))
    if junit:
        try:
            files.write(junit, diagnosed.junit(diagnosis, asked.mesh, pairs), overwrite=True, mode=0o644)
        except Trouble as unwritten:
            if not code:
                raise
            settings.out.trouble(unwritten)  # what was found weighs more
    return code


def _asked(
    settings: Settings, name: str | None, path: str | None, contexts: tuple[str, ...], kubeconfigs: tuple[str, ...]
) -> _Asked:
    if sum((name is not None, path is not None, bool(contexts))) > 1:
        raise BadInput(
            msg("NAME, --file and --context each name a mesh"),
            msg("Give one of them. See `{command} --help`.", command="meshwizard diagnose"),
        )
    if kubeconfigs and not contexts:
        raise BadInput(
            msg("{option} says where to look for contexts, and none is named", option="--kubeconfig"),
            msg("Give --context, once for each cluster."),
        )
    return _others(settings, contexts, kubeconfigs) if contexts else _ours(settings, name, path)


def _ours(settings: Settings, name: str | None, path: str | None) -> _Asked:
    """A mesh that is recorded or in a file."""
    from wizard.console.working import prepared
    from wizard.operations.choice import kind_of

    if path is not None:
        made = prepared(settings, from_file(path, settings, looking=True), looking=True)
        mend = f"meshwizard apply -f {quoted(path)}{made.place}"
    else:
        otherwise = msg("Of a mesh that is not recorded, name the clusters: {command}", command=_BY_CONTEXTS)
        mesh, state = recorded(settings, the_name(settings, name, otherwise=otherwise))
        made = prepared(settings, mesh, looking=True)
        mend = "" if kind_of(state).takes_back else made.resume_command
    if made.mesh.adopted:
        mend = ""  # what others made is theirs to mend
    sample = msg("The sample that asks is made by: {command}", command=mend) if mend else ""
    return _Asked(made.mesh, made.world.clusters, made.close, mended_by=mend, sample=sample, unsettled=made.unsettled)


def _others(settings: Settings, contexts: tuple[str, ...], kubeconfigs: tuple[str, ...]) -> _Asked:
    """The mesh that stands in these clusters, whoever made it."""
    from wizard.commands.standing import inferred

    found = inferred(settings, contexts, kubeconfigs, lenient=True)
    sample = msg(
        "Deploy Istio's samples helloworld (a version of its own in each cluster) and curl in namespace {namespace} of every "
        "cluster, with sidecars.",
        namespace=found.mesh.verify.namespace,
    )
    return _Asked(found.mesh, found.clusters, found.close, inferred=True, sample=sample, mute=found.mute)


def _member(mesh: Mesh, given: str | None) -> str | None:
    """The name of the cluster that was given by its name or its context. BadInput where there is none."""
    if given is None:
        return None
    names = [each.name for each in mesh.clusters]
    found = given if given in names else next((each.name for each in mesh.clusters if each.context == given), None)
    if found is None:
        raise BadInput(
            msg("{cluster} is no cluster of mesh {mesh}", cluster=one_line(given), mesh=mesh.name),
            msg("Its clusters are {clusters}.", clusters=listing(names)),
        )
    return found


def _exit_code(diagnosis: Diagnosis) -> int:
    if diagnosis.broken or any(each.severity == "error" for each in diagnosis.findings):
        return 4
    return 0 if diagnosis.proven else 3


def _summary(diagnosis: Diagnosis, asked: _Asked) -> str:
    said = _judged(diagnosis, asked.sample)
    if asked.unsettled is None:
        return said
    return joined((said, msg("Not all of the mesh could be looked at: {problem}", problem=asked.unsettled.what)))


def _judged(diagnosis: Diagnosis, sample: str) -> str:
    if diagnosis.cause:
        return msg("What is told first is the cause: mend it, and ask again.")
    if _exit_code(diagnosis) == 4:
        return msg("Mend what is told above, and ask again.")
    if not diagnosis.proven:
        untried = msg("Nothing is known to be wrong, but it could not be tried whether traffic passes.")
        return joined((untried, sample), " ")
    if any(each.severity == "warning" for each in diagnosis.findings):
        return msg("Traffic passes; the warnings say what will go wrong.")
    return msg("Nothing is wrong: traffic passes.")
