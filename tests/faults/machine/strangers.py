"""Somebody else in the same clusters: what is theirs must stay as it is, and what they write over ours is in the way."""

from __future__ import annotations

import json

from tests.faults.machine.shapes import Shape
from wizard.clusters.kinds import KINDS, Object
from wizard.mesh.model import NETWORK_LABEL
from wizard.simulated.machine import Machine
from wizard.simulated.outside import SimulatedOutside

ELSEWHERE = "elsewhere"  # the network that their label names
SECRET_OF_THEIRS = "canary-of-somebody-else-77ab20"


def own_network(namespace: Object) -> None:
    """A person takes back the network label that is not the mesh's."""
    labels = namespace["metadata"].get("labels") or {}
    if labels.get(NETWORK_LABEL) == ELSEWHERE:
        del labels[NETWORK_LABEL]


def plant(outside: SimulatedOutside, shape: Shape) -> None:
    """Things of somebody else in every cluster."""
    for machine in outside.machines:

        def made(api: str, kind: str, name: str, place: str = "", machine: Machine = machine, **rest: object) -> None:
            metadata = {"name": name, "labels": {"team": "payments"}} | ({"namespace": place} if place else {})
            machine.apply_as("somebody", {"apiVersion": api, "kind": kind, "metadata": metadata, **rest})

        made("v1", "Namespace", "payments")
        made("v1", "ConfigMap", "settings", "payments", data={"a": "1"})
        made("v1", "Secret", "password", "payments", stringData={"password": SECRET_OF_THEIRS})
        made("v1", "Service", "shop", "payments", spec={"ports": [{"port": 80}], "selector": {"app": "shop"}})
        made("rbac.authorization.k8s.io/v1", "ClusterRole", "payments", rules=[])
        names = {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"}
        versions = [{"name": "v1", "served": True, "storage": True}]
        spec = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": versions}
        made("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.example.com", spec=spec)
        if shape.settled_in:
            for place in ("istio-system", "sample"):
                made("v1", "Namespace", place)
                made("v1", "ConfigMap", "settings", place, data={"a": "1"})
                made("v1", "Secret", "password", place, stringData={"password": SECRET_OF_THEIRS})


def belongings(machine: Machine) -> list[Object]:
    """What of theirs is in this cluster."""
    return [
        live for kind in KINDS for live in machine.listed(kind) if (live["metadata"].get("labels") or {}).get("team")
    ]


def kept(live: Object) -> str:
    """What must stay as it was. Into a namespace that was there the wizard may join with labels of its own."""
    if live["kind"] == "Namespace":
        return json.dumps([live["metadata"]["uid"], live["metadata"]["labels"]["team"]])
    told = {key: value for key, value in live.items() if key != "metadata"}
    metadata = {key: live["metadata"].get(key) for key in ("labels", "annotations", "uid", "resourceVersion")}
    return json.dumps([told, metadata], sort_keys=True)
