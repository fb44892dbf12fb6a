"""In which version an API server has a kind, as its own discovery tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wizard.clusters.kinds import Kind

_MOST = 16  # versions of one group that are looked into


def served(kind: Kind, ask: Callable[[str], dict[str, Any] | None]) -> Kind | None:
    """The kind in the version of its group that the API server prefers, of those which have it; None where none has. `ask`
    gives what a path answers, None where there is nothing.
    """
    if not kind.group:
        return None  # its only version is the core's v1
    for version in _versions(ask(f"/apis/{kind.group}") or {}, kind.group):
        resources = (ask(f"/apis/{version}") or {}).get("resources")
        if any(each.get("name") == kind.plural for each in _mappings(resources)):
            return replace(kind, api_version=version)
    return None


def _versions(told: dict[str, Any], group: str) -> list[str]:
    """The versions of a group, such as `autoscaling/v1`, the preferred one first."""
    each = [*_mappings([told.get("preferredVersion")]), *_mappings(told.get("versions"))]
    names = dict.fromkeys(str(version.get("groupVersion")) for version in each)
    return [name for name in names if re.fullmatch(rf"{re.escape(group)}/v[a-z0-9]+", name)][:_MOST]


def _mappings(items: Any) -> list[dict[str, Any]]:
    return [each for each in items if isinstance(each, dict)] if isinstance(items, list) else []
