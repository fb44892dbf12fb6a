"""Meshes of several shapes that stand, what people put beside them, and what the checks of their traffic find."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.unit.standing import Setting
from tests.unit.test_simulated_topologies import members, mesh
from wizard.checks.finding import Finding
from wizard.checks.standing.diagnosis import checks
from wizard.checks.standing.view import Traffic, View
from wizard.clusters.kinds import Kind, Ref
from wizard.clusters.port import Cluster, Executed
from wizard.probes.traffic import Heard
from wizard.resolve import check_istioctl, resolve
from wizard.simulated.outside import SimulatedOutside


def mesh_of(primaries: Sequence[str | None], networks: Sequence[str] = ()) -> Setting:
    """A mesh that stands and answers: the primary of each cluster, None for a primary, and its network."""
    flat = [networks.index(each) for each in networks] if networks else False
    outside = SimulatedOutside(len(primaries), 0, flat=flat)
    wanted = mesh(members(outside, "external-ips", list(primaries), networks))
    world = outside.world(wanted)
    wanted = replace(wanted, istio=replace(wanted.istio, version=check_istioctl(wanted, world)))
    made = Setting(outside, resolve(wanted, world), world)
    outcome = made.run()
    assert outcome.ok, outcome.what
    return made


def put(
    made: Setting, number: int, kind: Kind, spec: Any, *, name: str = "theirs", namespace: str = "sample",
    **metadata: Any,
) -> None:  # fmt: skip
    """Apply such an object to a cluster, as a person does."""
    manifest = {
        "apiVersion": kind.api_version.replace("v1alpha3", "v1").replace("v1beta1", "v1"),
        "kind": kind.kind,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }
    made.machine(number).store.served[kind.resource] = manifest["apiVersion"]
    made.machine(number).apply_as("kubectl", manifest)


def clear(made: Setting, *kinds: Kind) -> None:
    """Take away what people put of these kinds."""
    for machine in made.outside.machines:
        for kind in kinds:
            for live in machine.listed(kind):
                machine.store.remove(Ref(kind, live["metadata"]["name"], live["metadata"]["namespace"]))


def found_in(view: View, check: str) -> list[Finding]:
    """What the check of that id finds in this view."""
    one = next(each for each in checks() if each.id == check)
    return [one.finding(fault, here.name) for here in view.all for fault in one.find(here)]


def heard(made: Setting, missing: Mapping[str, Sequence[str]], error: str = "") -> View:
    """The mesh as if each client had heard every cluster but those that are missing for it, with that complaint."""
    told = {}
    for each in made.mesh.clusters:
        silent = missing.get(each.name, ())
        versions = [made.mesh.sample_version(one.name) for one in made.mesh.clusters if one.name not in silent]
        told[each.name] = Traffic(Heard(Counter(versions), error if silent else ""))
    return View(made.mesh, made.world.clusters, traffic=told)


class Paged:
    """A cluster whose proxies answer with these admin pages."""

    def __init__(self, door: Cluster, pages: Mapping[str, Any]) -> None:
        self._door = door
        self._pages = pages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        if argv[-1] in self._pages:
            return Executed(json.dumps(self._pages[argv[-1]]), "", 0)
        return self._door.execute(pod, container, argv, seconds=seconds, stdin=stdin)


def paged(view: View, pages: Mapping[str, Any], cluster: str = "cluster1") -> View:
    """The view, with these pages of the proxies in one cluster."""
    doors: dict[str, Any] = dict(view.clusters)
    return replace(view, clusters={**doors, cluster: Paged(doors[cluster], pages)})


def hosts(*told: Mapping[str, Any], name: str = "outbound|5000||helloworld.sample.svc.cluster.local") -> dict[str, Any]:
    """Envoy's page of clusters, with the sample's as these hosts: `at` (address:port), stats, and whatever else stands there."""
    statuses = []
    for each in told:
        address, _, port = str(each["at"]).rpartition(":")
        rest = {key: value for key, value in each.items() if key not in ("at", "stats")}
        stats = [{"name": key, "value": str(value)} for key, value in each.get("stats", {}).items()]
        socket = {"socket_address": {"address": address, "port_value": int(port)}}
        statuses.append({"address": socket, "stats": stats, **rest})
    other = {"name": "outbound|443||kubernetes.default.svc.cluster.local"}
    return {"clusters?format=json": {"cluster_statuses": [other, {"name": name, "host_statuses": statuses}]}}
