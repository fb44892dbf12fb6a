"""The contexts and recorded meshes that a shell offers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from wizard.console.completion import names
from wizard.console.settings import outside_of, settings_of
from wizard.messages import msg
from wizard.paths import expanded


def _contexts(context: click.Context) -> Iterable[tuple[str, str]]:
    given: Iterable[str | Path] = context.params.get("kubeconfig") or ()
    entries = outside_of(settings_of(context)).contexts([expanded(str(path)) for path in given])
    return [(entry.context, entry.server) for entry in entries]


def _meshes(context: click.Context) -> Iterable[tuple[str, str]]:
    settings = settings_of(context)
    # Nobody wants to wait for a cluster to answer a keystroke.
    return [] if settings.state else [(name, msg("recorded mesh")) for name in settings.folder().names()]


contexts = names(_contexts)
meshes = names(_meshes)
