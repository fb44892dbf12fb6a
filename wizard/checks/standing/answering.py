"""Which clusters can be read: of one that answers nothing, `api-server` tells once, and no check about another tells it again."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.view import Here
from wizard.errors import NotAllowed, Trouble


def answering(clusters: Iterable[Here]) -> list[Here]:
    """Those of the clusters whose API server answers."""
    return [each for each in clusters if _answers(each)]


def controls(here: Here) -> list[Here]:
    """The clusters of this mesh that run an istiod, as far as they answer."""
    return answering(here.view.at(each.name) for each in here.mesh.primaries)


def _answers(here: Here) -> bool:
    try:
        here.version()
    except NotAllowed:
        return True
    except Trouble:
        return False
    return True
