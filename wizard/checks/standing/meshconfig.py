"""Single settings of the mesh configuration with which an istiod works."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from wizard.checks.standing.istiods import mesh_config
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import CONFIG_MAP, Ref
from wizard.istio import names
from wizard.istio.overlaid import DEFAULT_DOMAIN
from wizard.mesh.model import SYSTEM_NAMESPACE


def setting(control: Here, *path: str) -> Any:
    """What the mesh configuration of this primary says at this place, whatever that is; None where it says nothing. Not to be
    changed.
    """
    found: Any = mesh_config(control)
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def root_namespace(control: Here) -> str:
    """Whose policies are for the whole mesh."""
    return str(setting(control, "rootNamespace") or SYSTEM_NAMESPACE)


def cluster_domain(control: Here) -> str:
    """The domain by which this istiod names the Services of all clusters."""
    ref = Ref(CONFIG_MAP, names.injector_name(control.mesh, control.member), SYSTEM_NAMESPACE)
    found = _from_json(((control.get(ref) or {}).get("data") or {}).get("values", ""))
    for key in ("global", "proxy", "clusterDomain"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else DEFAULT_DOMAIN


@lru_cache(maxsize=256)
def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
