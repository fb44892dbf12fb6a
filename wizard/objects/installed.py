"""What was installed in a cluster, as ConfigMap `meshwizard` there tells: the IstioOperator, what the install made of it, and
what stood before.
"""

from __future__ import annotations

import copy
from functools import lru_cache

import yaml

from wizard import yamltext
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref, ref_of
from wizard.clusters.port import Cluster
from wizard.engine.step import Difference
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects import crds, foreign
from wizard.objects.before import Before
from wizard.text import one_line

RECORD = Ref(CONFIG_MAP, "meshwizard", SYSTEM_NAMESPACE)
MADE = "made"  # its key with the names of what the install made, one a line


def compared(operator: Object) -> Object:
    """The IstioOperator without meshNetworks, which have a step of their own: they change with every cluster that comes
    or goes, and nothing else has to be installed again for that.
    """
    told: Object = copy.deepcopy(operator)
    told["spec"]["values"]["global"].pop("meshNetworks", None)
    return told


def before_of(cluster: Cluster, record: Object | None) -> Before:
    """What stood before the first install, as its record tells. One of an earlier release holds the names of CRDs alone."""
    data = (record or {}).get("data") or {}
    if "before" not in data and (names := str(data.get("crds-before", "")).split()):
        return Before.of(each for each in crds.standing(cluster) if each["metadata"]["name"] in names)
    return Before.read(data, f"{cluster.name}: {RECORD}")


def missing(cluster: Cluster, record: Object | None, told: list[Difference]) -> list[Difference]:
    """What the install made and stands no more, as far as it is not told already."""
    made = ((record or {}).get("data") or {}).get(MADE, "").splitlines()
    if not made:
        return []
    standing = {str(ref_of(item)) for item in foreign.installed(cluster)} | {each.object for each in told}
    return [Difference(one_line(name), "", None, msg("to be installed")) for name in made if name not in standing]


def recorded_operator(record: Object | None) -> Object:
    """What was installed, to compare with; empty where that cannot be read."""
    try:
        return compared(_parsed(((record or {}).get("data") or {})["operator.yaml"]))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


@lru_cache(maxsize=128)
def _parsed(text: str) -> Object:
    """Probed again and again, and much slower to read than to copy. Not to be changed."""
    operator: Object = yamltext.load(text)
    return operator


def discovery_in(operator: Object) -> str | None:
    """Where the remote that this IstioOperator describes finds its istiod; None where it does not say."""
    found = operator.get("spec", {}).get("values", {}).get("global", {}).get("remotePilotAddress")
    return str(found) if found else None
