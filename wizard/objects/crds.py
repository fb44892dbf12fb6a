"""Istio's CustomResourceDefinitions: which stand, and those that an API server accepted and does not serve."""

from __future__ import annotations

from collections.abc import Callable

from wizard.clusters.kinds import CRD, Object
from wizard.clusters.port import Cluster
from wizard.messages import msg

_TOUCHED = "meshwizard/touched"


def standing(cluster: Cluster) -> list[Object]:
    """Istio's CRDs that stand in the cluster, whoever made them."""
    return [crd for crd in cluster.objects(CRD) if crd["metadata"]["name"].endswith("istio.io")]


def establish(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Have the API server look again at each definition whose names it accepted and whose kind it does not serve.

    One that dies between the two looks again only where the definition changes, and istioctl waits for it in vain. Failed where
    it may not be changed. What is changed is taken back at once. `say` hears of each.
    """
    for crd in standing(cluster):
        if _is_unserved(crd):
            name = crd["metadata"]["name"]
            say(
                msg(
                    "{cluster}: the API server accepted CRD {name} and does not serve it; it is written again",
                    cluster=cluster.name,
                    name=name,
                )
            )
            same: Object = {"apiVersion": CRD.api_version, "kind": CRD.kind, "metadata": {"name": name}}
            cluster.apply({**same, "metadata": {"name": name, "annotations": {_TOUCHED: "true"}}})
            cluster.apply(same)


def _is_unserved(crd: Object) -> bool:
    conditions = (crd.get("status") or {}).get("conditions") or []
    met = {each.get("type"): each.get("status") for each in conditions}
    return met.get("NamesAccepted") == "True" and met.get("Established") == "False"
