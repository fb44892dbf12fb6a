"""`meshwizard` without a command: the wizard on the whole screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wizard.console import settings as doors
from wizard.console.flags import prefilled
from wizard.console.output import has_terminal, is_dumb
from wizard.console.settings import Settings
from wizard.errors import BadInput
from wizard.mesh.document import Document
from wizard.messages import msg
from wizard.paths import expanded


def start(settings: Settings, flags: Mapping[str, Any]) -> int:
    """Open the wizard, with what the flags answer filled in. Raises BadInput where there is no terminal for it."""
    if not has_terminal() or is_dumb():
        raise BadInput(
            msg("the wizard needs a whole screen, and this terminal cannot show whole screens (TERM=dumb)")
            if has_terminal()
            else msg("the wizard needs a whole screen, and there is no terminal here"),
            msg(
                "Use `meshwizard plain` for the same questions line by line, or `meshwizard apply -f mesh.yaml` for none at "
                "all."
            ),
        )
    document = prefilled(flags)
    contexts, kubeconfigs = flags.get("context") or (), flags.get("kubeconfig") or ()
    settings.kubeconfigs = tuple(expanded(name) for name in kubeconfigs)
    outside = doors.outside_of(settings)
    if contexts:
        from wizard.console.choosing import chosen_clusters

        document["clusters"] = chosen_clusters(outside, contexts, kubeconfigs)
    from wizard.commands.screens import open_screens

    return open_screens(settings, outside, settings.folder(), document=_or_none(document))


def _or_none(document: Document) -> Document | None:
    # apiVersion and kind alone answer nothing.
    return document if len(document) > 2 else None
