"""Command line flags made from the declared fields, and the mesh document that they prefill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from wizard.console.completion import Completer, choices, files
from wizard.console.help import option
from wizard.console.offered import contexts
from wizard.errors import BadInput, Mistake
from wizard.mesh.document import Document, put
from wizard.mesh.fields import MESH_FIELDS, Field
from wizard.mesh.model import API_VERSION
from wizard.messages import msg

F = TypeVar("F", bound=Callable[..., Any])


def mesh_file(function: F) -> F:
    """Give a click command `path`, the mesh file."""
    return option(
        "-f", "--file", "path", required=True, metavar="FILE", help=msg("The mesh file."), shell_complete=files
    )(function)


def mesh_flags(function: F) -> F:
    """Give a click command one flag for every mesh field, and --kubeconfig and --context for the clusters."""
    for field in reversed(MESH_FIELDS):
        function = option(
            field.flag, _parameter(field), metavar=_metavar(field), help=_help(field), shell_complete=_completer(field)
        )(function)
    function = option(
        "--context",
        "context",
        multiple=True,
        metavar="NAME",
        help=msg("A cluster of the mesh; give it once for each."),
        shell_complete=contexts,
    )(function)
    return option(
        "--kubeconfig",
        "kubeconfig",
        multiple=True,
        metavar="FILE",
        help=msg("Where to look for contexts. May be repeated."),
        shell_complete=files,
    )(function)


def prefilled(flags: Mapping[str, Any]) -> Document:
    """The part of a mesh document that these flags answer. Raises BadInput with every flag that does not fit."""
    document: Document = {"apiVersion": API_VERSION, "kind": "Mesh"}
    mistakes = []
    for field in MESH_FIELDS:
        typed = flags.get(_parameter(field))
        if typed is None:
            continue
        value = field.parse(typed)
        wrong = field.mistake(value)
        if wrong:
            mistakes.append(Mistake(field.flag, wrong))
        put(document, field.key, value)
    if mistakes:
        raise BadInput(
            msg("these flags do not fit; nothing was touched"), msg("Correct them and try again."), tuple(mistakes)
        )
    return document


def _parameter(field: Field) -> str:
    return field.flag.removeprefix("--").replace("-", "_")


def _metavar(field: Field) -> str:
    if field.kind == "choice":
        return "|".join(choice.value for choice in field.choices)
    return {"integer": "NUMBER", "path": "PATH", "paths": "FILE,…", "texts": "TEXT,…"}.get(field.kind, "TEXT")


def _completer(field: Field) -> Completer | None:
    if field.kind == "choice":
        return choices([choice.value for choice in field.choices])
    return files if field.kind in ("path", "paths") else None


def _help(field: Field) -> str:
    if field.default is None:
        return msg("{title}.", title=field.title)
    return msg("{title}. [default: {default}]", title=field.title, default=field.render(field.default))
