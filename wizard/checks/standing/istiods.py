"""istiod as it stands in a cluster, and the traffic that lives from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import yaml

from wizard import yamltext
from wizard.checks.finding import Pair
from wizard.checks.standing.samples import out_and_within
from wizard.checks.standing.view import Here, View
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, Object, Ref
from wizard.istio import names
from wizard.istio.proxies import control_plane_version
from wizard.istio.versions import remote_runs_istiod
from wizard.mesh.model import SYSTEM_NAMESPACE

CONTAINER = "discovery"


def runs_istiod(here: Here) -> bool:
    """Whether this cluster is to run an istiod of its own. Of a mesh that others made, whether it does."""
    if here.member.role == "primary" or remote_runs_istiod(str(here.mesh.istio.version)):
        return True
    return here.view.inferred and istiod_of(here)[1] is not None


def istiod_of(here: Here) -> tuple[Ref, Object | None]:
    """The Deployment of this mesh's istiod here. Where others made the mesh its name may be any; None: there is none."""
    wanted = Ref(DEPLOYMENT, names.istiod_name(here.mesh), SYSTEM_NAMESPACE)
    live = here.get(wanted)
    if live is None and here.view.inferred:
        for other in here.objects(DEPLOYMENT, SYSTEM_NAMESPACE, "app=istiod"):
            return Ref(DEPLOYMENT, str(other["metadata"]["name"]), SYSTEM_NAMESPACE), other
    return wanted, live


def environment(istiod: Object) -> dict[str, str | None]:
    """The variables of istiod's container; None for one whose value stands elsewhere."""
    containers = istiod["spec"]["template"]["spec"]["containers"]
    variables = [each for one in containers if one["name"] == CONTAINER for each in one.get("env") or []]
    return {each["name"]: None if each.get("valueFrom") else each.get("value", "") for each in variables}


def version_of(here: Here) -> str:
    """The version of the Istio that stands here, else the wanted one; empty where neither is known."""
    return control_plane_version(here, here.mesh) or here.mesh.istio.version or ""


def served_clusters(here: Here) -> tuple[str, ...]:
    """The clusters whose proxies live from the istiod here: those that it serves; a remote's own only injects and signs there."""
    return here.view.served_by(here.name) or (here.name,)


def cut_off(view: View, clusters: Iterable[str]) -> tuple[Pair, ...]:
    """All traffic of these clusters, within each as well: proxies keep what they were told, who restarts is told nothing."""
    return tuple(dict.fromkeys(pair for name in clusters for pair in (*out_and_within(view, name), *view.into(name))))


def mesh_config_of(here: Here) -> Ref:
    """The ConfigMap with the mesh configuration that istiod here reads."""
    return Ref(CONFIG_MAP, names.mesh_config_name(here.mesh), SYSTEM_NAMESPACE)


def mesh_config(here: Here) -> Mapping[str, Any]:
    """The mesh configuration that istiod here reads; empty where there is none, or it cannot be read."""
    live = here.get(mesh_config_of(here))
    return parsed(((live or {}).get("data") or {}).get("mesh", "")) or {}


@lru_cache(maxsize=512)  # every cluster of a mesh has it, and several checks read it
def parsed(text: str) -> Mapping[str, Any] | None:
    """The mapping in this YAML, empty where there is no text; None where it is none. Not to be changed."""
    try:
        found = yamltext.load(text)
    except yaml.YAMLError:
        return None
    if found is None:
        return {}
    return found if isinstance(found, dict) else None
