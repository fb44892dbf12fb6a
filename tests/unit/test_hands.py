"""Hands off what is not ours: nothing is written over by force, nothing deleted that was made since, no secret of others used."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.conftest import Setting
from tests.unit.test_simulated_topologies import Town, contents, members, mesh
from wizard import yamltext
from wizard.checks.finding import Finding
from wizard.checks.preflight import check_cluster
from wizard.clusters.kinds import CONFIG_MAP, JOB, POD, SECRET, Object, Ref
from wizard.clusters.port import Cluster, Conflicting, Executed, Outdated
from wizard.engine.step import Conflict, Done, Job, Shared
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.objects.ownership import CREATED, MESH
from wizard.objects.placing import put, take_back
from wizard.plan import RIGHTS
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.outside import SimulatedOutside
from wizard.steps.remotesecret import RemoteSecret
from wizard.world import World

PLACE = Ref(CONFIG_MAP, "one", "default")
SECOND = Ref(SECRET, "istio-remote-secret-cluster2", SYSTEM_NAMESPACE)


def config(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}, "data": data}


def job_of(made: Setting) -> Job:
    return Job(made.plan.step("cluster1/install"), lambda _: None, lambda: None, Shared(), lambda _: None)


class Other(SimulatedCluster):
    """A cluster in which somebody is quick: what was just read is another by the time it is written."""

    def __init__(self, cluster: Cluster, made: Setting, again: Object) -> None:
        machine = made.machine(1)
        super().__init__(cluster.name, machine, made.outside.cluster("cluster1", machine.context).shell)
        self._again: Object | None = again

    def get(self, ref: Ref) -> Object | None:
        found = super().get(ref)
        if ref == PLACE and self._again is not None:
            again, self._again = self._again, None
            with self.machine.settled():
                self.machine.store.remove(ref)
                self.machine.store.update(again, "kubectl-create")
        return found


# -- force


@pytest.mark.inputs("M4")
def test_what_others_set_is_not_overwritten_on_what_we_only_joined(two: Setting) -> None:
    two.machine(1).apply_as("somebody", config(both="theirs"))
    cluster = two.world.clusters["cluster1"]
    with pytest.raises(Conflicting) as refused:
        put(cluster, config(both="ours", mine="1"), "mesh1")
    assert refused.value.owners == {".data.both": "somebody"}
    live = cluster.get(PLACE)
    assert live is not None
    assert live["data"] == {"both": "theirs"}
    assert MESH not in (live["metadata"].get("annotations") or {})


@pytest.mark.inputs("M4")
def test_what_we_made_is_mended_whoever_changed_it(two: Setting) -> None:
    cluster = two.world.clusters["cluster1"]
    put(cluster, config(mine="1"), "mesh1")
    two.machine(1).change(PLACE, lambda item: item["data"].update(mine="2"))
    assert put(cluster, config(mine="1"), "mesh1")["data"] == {"mine": "1"}


# -- deletion


@pytest.mark.inputs("M5")
def test_what_was_made_anew_under_the_name_of_ours_stays(two: Setting) -> None:
    put(two.world.clusters["cluster1"], config(mine="1"), "mesh1")
    quick = Other(two.world.clusters["cluster1"], two, config(theirs="1"))
    with pytest.raises(Outdated):
        take_back(quick, PLACE, "mesh1", job_of(two))
    live = two.machine(1).found(PLACE)
    assert live is not None
    assert live["data"] == {"theirs": "1"}


class Watched(SimulatedCluster):
    """Notes what is deleted without saying which object of that name is meant."""

    careless: list[str]

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        if not uid and ref.kind not in (JOB, POD):  # the wizard's own probes, whose names nobody else can have
            self.careless.append(str(ref))
        return super().delete(ref, uid=uid, version=version)


@pytest.mark.inputs("M5")
def test_an_uninstall_deletes_only_the_objects_that_it_looked_at(finished: Setting) -> None:
    careless: list[str] = []
    watched: dict[str, Cluster] = {}
    for number, name in enumerate(finished.world.clusters, 1):
        machine = finished.machine(number)
        cluster = Watched(name, machine, finished.outside.cluster(name, machine.context).shell)
        cluster.careless = careless
        watched[name] = cluster
    finished.world = World(watched, finished.world.istioctl, finished.world.roots, simulated=True)
    assert finished.undo().ok
    assert careless == []
    assert finished.machine(1).listed(CONFIG_MAP, SYSTEM_NAMESPACE) == []


def test_an_object_that_this_mesh_did_not_create_is_given_up_not_deleted(two: Setting) -> None:
    cluster = two.world.clusters["cluster1"]
    two.machine(1).apply_as("somebody", config(theirs="1"))
    put(cluster, config(mine="1"), "mesh1")
    take_back(cluster, PLACE, "mesh1", job_of(two))
    live = cluster.get(PLACE)
    assert live is not None
    assert live["data"] == {"theirs": "1"}
    assert CREATED not in (live["metadata"].get("annotations") or {})


# -- remote secrets


def secret_of(name: str, *keys: str, server: str = "https://192.0.2.99:6443", **annotations: str) -> Object:
    kubeconfig = yamltext.dump({"clusters": [{"cluster": {"server": server}}], "users": [{"user": {"token": "x"}}]})
    data = dict.fromkeys(keys, base64.b64encode(kubeconfig.encode()).decode())
    metadata = {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": {"istio/multiCluster": "true"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata, "annotations": annotations}, "data": data}


def put_in(made: Setting, manifest: Object, manager: str = "kubectl-create") -> None:
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
    machine = made.machine(1)
    with machine.settled():
        if machine.store.find(Ref(SECRET, manifest["metadata"]["name"], SYSTEM_NAMESPACE)) is None:
            machine.store.apply(place, manager, force=True)
        machine.store.update(manifest, manager)


def remote_secrets(made: Setting) -> list[Finding]:
    findings = check_cluster(made.mesh, made.mesh.clusters[0], made.world, RIGHTS)
    return [finding for finding in findings if finding.check == "remote-secrets"]


@pytest.mark.inputs("M7")
def test_a_remote_secret_of_another_mesh_is_not_taken_for_ours(finished: Setting) -> None:
    """Even where it says the same: what this mesh may not take back, it does not build on."""
    finished.machine(1).change(SECOND, lambda item: item["metadata"]["annotations"].update({MESH: "meshb"}))
    before = finished.machine(1).found(SECOND)
    probe = finished.probe("cluster1/remote-secret/cluster2")
    assert isinstance(probe, Conflict)
    assert "belongs to mesh meshb" in probe.what
    assert finished.run().exit_code == 3
    finished.undo()
    assert finished.machine(1).found(SECOND) == before


@pytest.mark.inputs("22")
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("istio-remote-secret-old", "cluster2"),
        ("istio-remote-secret-cluster1", "cluster1"),  # the cluster itself
        ("by-hand", "cluster2"),
        ("istio-remote-secret-cluster2-b", "cluster2"),
    ],
)
def test_a_secret_with_a_key_of_this_mesh_is_a_conflict(two: Setting, name: str, key: str) -> None:
    put_in(two, secret_of(name, "gone", key))
    found = {finding.severity: finding for finding in remote_secrets(two)}
    assert (found["error"].person, found["warning"].person) == (True, False)
    assert f"Secret {name} in istio-system (written by kubectl-create) registers cluster {key}" in found["error"].text
    assert f"delete secret {name}" in found["error"].remedy
    versions = {ref: live["metadata"]["resourceVersion"] for ref, live in everything(two)}
    outcome = two.run()
    assert outcome.exit_code == 3, outcome.what
    assert name in outcome.what
    assert {ref: live["metadata"]["resourceVersion"] for ref, live in everything(two)} == versions


def everything(made: Setting) -> Iterator[tuple[str, Object]]:
    for live in made.machine(1).listed(SECRET):
        yield live["metadata"]["name"], live


@pytest.mark.inputs("22")
def test_secrets_of_clusters_that_are_gone_are_reported(two: Setting) -> None:
    put_in(two, secret_of("istio-remote-secret-gone", "gone", server="https://192.0.2.44:6443"))
    put_in(two, {**secret_of("unreadable", "nothing"), "data": {"nothing": "!"}})
    put_in(two, {**secret_of("empty"), "data": {}})
    told = {finding.text: finding for finding in remote_secrets(two)}
    assert {finding.severity for finding in told.values()} == {"warning"}
    gone, unreadable = sorted(told)
    assert "cluster gone at https://192.0.2.44:6443, which is none of this mesh" in gone
    assert "an address that cannot be read" in unreadable
    assert two.run().ok
    assert remote_secrets(two) == list(told.values())  # ours are none of them
    assert two.undo().ok
    assert two.machine(1).found(Ref(SECRET, "istio-remote-secret-gone", SYSTEM_NAMESPACE)) is not None


@pytest.mark.inputs("22")
def test_a_secret_under_the_name_of_ours_that_leads_elsewhere_is_a_conflict(two: Setting) -> None:
    put_in(two, secret_of(SECOND.name, "cluster2", **{"meta.helm.sh/release-name": "secrets"}), "helm")
    before = two.machine(1).found(SECOND)
    probe = two.probe("cluster1/remote-secret/cluster2")
    assert isinstance(probe, Conflict)
    assert f"{SECOND} is there already, made by Helm release secrets" in probe.what
    assert "https://192.0.2.99:6443" in probe.what
    assert two.run().exit_code == 3
    assert two.machine(1).found(SECOND) == before


def test_a_secret_of_a_person_that_says_the_same_is_used_and_left(finished: Setting) -> None:
    live = finished.machine(1).found(SECOND)
    assert live is not None
    metadata = {key: live["metadata"][key] for key in ("name", "namespace", "labels")}
    metadata["annotations"] = {"networking.istio.io/cluster": "cluster2"}
    finished.machine(1).store.remove(SECOND)
    put_in(finished, {**{key: live[key] for key in ("apiVersion", "kind", "type", "data")}, "metadata": metadata})
    assert isinstance(finished.probe("cluster1/remote-secret/cluster2"), Done)
    finished.plan.step("cluster1/remote-secret/cluster2").undo(finished.world, job_of(finished))
    assert finished.machine(1).found(SECOND) is not None


# -- what istiod was told to forget


class Telling(SimulatedCluster):
    """A cluster whose istiod lists a cluster for some time after its secret is gone."""

    answers: list[Any]

    def execute(self, pod: Ref, container: str, argv: Any, *, seconds: float) -> Executed:
        if "/debug/clusterz" not in argv:
            return super().execute(pod, container, argv, seconds=seconds)
        told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Executed(told if isinstance(told, str) else json.dumps(told), "", 0)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([[{"id": "cluster1"}, {"id": "cluster2"}]] * 3 + [[{"id": "cluster1"}]], 3),
        (["404 page not found\n"], 0),  # before Istio 1.11
        ([{"id": "cluster2"}], 0),
        ([[7, None]], 0),
    ],
)
def test_a_remote_is_taken_back_once_no_istiod_lists_it_any_more(
    tmp_path: Path, answers: list[Any], asked: int
) -> None:
    outside = SimulatedOutside(2, 0)
    town = Town(tmp_path, outside, mesh(members(outside, "external-ips", [None, "cluster1"])))
    assert town.run().ok
    machine = town.machine("cluster1")
    cluster = Telling("cluster1", machine, outside.cluster("cluster1", machine.context).shell)
    cluster.answers = list(answers)
    (first, second), waited = town.mesh.clusters, []
    step = RemoteSecret(town.mesh, first, second)
    world = replace(outside.world(town.mesh), clusters={"cluster1": cluster})
    step.undo(world, Job(step, lambda _: None, lambda: None, Shared(), waited.append))
    assert len(waited) == asked
    assert machine.found(step.ref) is None
    assert town.undo().ok
    assert [contents(each) for each in outside.machines] == town.before
