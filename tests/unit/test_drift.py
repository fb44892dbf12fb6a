"""Whatever becomes of an object that the wizard or its istioctl made: it is told, of that object, by the step it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from tests.unit.conftest import Setting, setting
from tests.unit.test_simulated_topologies import members, mesh
from wizard.clusters.kinds import CRD, KINDS, Object, Ref, ref_of
from wizard.clusters.port import MANAGER
from wizard.engine.step import Conflict, Done, Step
from wizard.mesh.model import GATEWAY_NAME
from wizard.objects.ownership import MESH
from wizard.objects.removal import READER_TOKEN
from wizard.resolve import check_istioctl, resolve
from wizard.simulated.outside import SimulatedOutside

pytestmark = pytest.mark.promise(24)
_MADE_BY = {MANAGER, "istio-operator", "istioctl"}


def managed(made: Setting, number: int = 1) -> list[Ref]:
    """Every object in that cluster that a run made."""
    return [
        ref_of(record.manifest)
        for kind in KINDS
        if kind != CRD  # deleted with all resources of their kind, which are missed
        for record in made.machine(number).store.all(kind)
        if {entry["manager"] for entry in record.show()["metadata"]["managedFields"]} & _MADE_BY
    ]


BY_STEP = {
    "cacerts": "cluster1/cacerts",
    "meshwizard": "cluster1/install",
    "istio-reader-service-account-istio-remote-secret-token": "cluster2/remote-secret/cluster1",
}


@cache
def refs() -> tuple[Ref, ...]:
    made = setting()
    assert made.run().ok
    return tuple(managed(made))


def with_remote() -> Setting:
    """A primary and its remote, nothing installed."""
    outside = SimulatedOutside(clusters=2, speed=0)
    wanted = mesh(members(outside, "external-ips", [None, "cluster1"]))
    world = outside.world(wanted)
    wanted = replace(wanted, istio=replace(wanted.istio, version=check_istioctl(wanted, world)))
    return Setting(outside, resolve(wanted, world), world)


@cache
def refs_in_remote() -> tuple[Ref, ...]:
    made = with_remote()
    assert made.run().ok
    return tuple(managed(made, 2))


def guarded(step: Step) -> bool:
    """Whether this looks at what is to come, not at what stands."""
    return step.guard


def told(made: Setting) -> dict[str, list[str]]:
    """Step → the objects of which it tells."""
    found: dict[str, list[str]] = {}
    for step in made.plan.steps:
        probe = step.probe(made.world)
        if isinstance(probe, Done) or guarded(step):
            continue
        found[step.id] = [probe.what] if isinstance(probe, Conflict) else [each.object for each in probe.differences]
    return found


@pytest.mark.parametrize("ref", refs(), ids=str)
def test_what_is_deleted_is_missed_and_made_again(finished: Setting, ref: Ref) -> None:
    finished.machine(1).store.remove(ref)
    found = told(finished)
    assert any(str(ref) in objects for objects in found.values()) or BY_STEP.get(ref.name) in found, found
    if ref.name == "cacerts":  # istiod made a root of its own by now, perhaps: a person decides
        assert finished.run().exit_code == 3
        return
    assert finished.run().ok
    assert finished.machine(1).found(ref) is not None
    assert told(finished) == {}


@pytest.mark.parametrize("ref", refs_in_remote(), ids=str)
def test_what_is_deleted_in_a_remote_is_missed_and_made_again(ref: Ref) -> None:
    made = with_remote()
    assert made.run().ok
    made.machine(2).store.remove(ref)
    found = told(made)
    by_step = {**BY_STEP, "cacerts": "cluster2/cacerts", "meshwizard": "cluster2/install"}
    by_step[READER_TOKEN.name] = "cluster1/remote-secret/cluster2"
    assert any(str(ref) in objects for objects in found.values()) or by_step.get(ref.name) in found, found
    assert made.run().ok
    assert made.machine(2).found(ref) is not None
    assert told(made) == {}


def relabelled(item: Object) -> None:
    """Without the labels that mean something to Istio. (Who takes our own mark off an object has taken the object over.)"""
    kept = {key: value for key, value in item["metadata"]["labels"].items() if key == "app.kubernetes.io/managed-by"}
    item["metadata"]["labels"] = kept


CHANGES: dict[tuple[str, str], Callable[[Any], object]] = {
    ("Namespace", "istio-system"): relabelled,
    ("Namespace", "sample"): relabelled,
    ("Service", "helloworld"): lambda item: item["spec"]["selector"].update(app="other"),
    ("Service", GATEWAY_NAME): lambda item: item["spec"].update(type="LoadBalancer"),
    ("Deployment", "curl"): lambda item: item["spec"]["template"]["spec"]["containers"][0].update(image="other"),
    ("Deployment", "helloworld-v1"): lambda item: item["spec"]["template"]["spec"]["containers"][0].update(
        image="other"
    ),
    ("Gateway", "cross-network-gateway"): lambda item: item["spec"]["servers"][0]["port"].update(number=15444),
    ("Secret", "istio-remote-secret-cluster2"): relabelled,
    ("Secret", "cacerts"): lambda item: item["data"].update({"ca-cert.pem": "b3RoZXI="}),
    ("ConfigMap", "istio"): lambda item: item["data"].update(meshNetworks="networks: {}\n"),
    ("ConfigMap", "meshwizard"): lambda item: item["data"].update(overlays="others"),
}


def test_there_is_a_change_for_everything_that_the_wizard_itself_applies() -> None:
    made = setting()
    assert made.run().ok
    applied = {
        (ref.kind.kind, ref.name)
        for ref in managed(made)
        if MESH in (made.machine(1).store.find(ref).manifest["metadata"].get("annotations") or {})  # type: ignore[union-attr]
    }
    assert applied <= CHANGES.keys()


@pytest.mark.parametrize(("kind", "name"), CHANGES, ids=str)
def test_what_somebody_changed_is_told_and_mended(finished: Setting, kind: str, name: str) -> None:
    (ref,) = [ref for ref in refs() if (ref.kind.kind, ref.name) == (kind, name)]
    finished.machine(1).change(ref, CHANGES[kind, name], manager="kubectl-edit")
    found = told(finished)
    if name == "cacerts":  # never mended: whoever signed with the old one would be cut off
        assert "cacerts" in found["root-ca"][0]
        return
    assert any(str(ref) in objects for objects in found.values()) or BY_STEP.get(name) in found, found
    assert {step for step in found if "verify" not in step} == {min(found)}, "one step tells of it"
    assert finished.run().ok
    assert told(finished) == {}
