"""Answers of the wrong shape: a sentence about that cluster, never a breakdown; and those of the right shape are let in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_fakes import Api, Asked, Said, api, kubeconfig, thing
from tests.unit.conftest import Setting
from wizard.checks.preflight import check
from wizard.clusters.clock import clock_offset
from wizard.clusters.kinds import CONFIG_MAP, CRD, DEPLOYMENT, KINDS, LEASE, NODE, POD, SECRET, SERVICE, Kind, Ref
from wizard.clusters.patience import Patience, moment, retry_after
from wizard.clusters.port import Cluster
from wizard.clusters.real import RealCluster
from wizard.clusters.shapes import Misshapen, object_of
from wizard.errors import Failed
from wizard.facts import facts_of
from wizard.plan import RIGHTS
from wizard.resolve import identities

pytestmark = pytest.mark.inputs("29", "S12")
QUICK = Patience(connect=5.0, silence=5.0, total=10.0, pauses=(0.01,), plugin=3.0, mute=0.0, parked=0.5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as made:
        yield made


@pytest.fixture
def cluster(server: Api, tmp_path: Path) -> Iterator[RealCluster]:
    config = kubeconfig(tmp_path / "config", server.url, server.authority, {"token": "abc"})
    made = RealCluster("east", config, "ours", QUICK)
    yield made
    made.close()


def metadata(**more: Any) -> dict[str, Any]:
    return {"metadata": {**thing("a")["metadata"], **more}}


def template(**spec: Any) -> dict[str, Any]:
    return {**thing("a"), "spec": {"template": {"spec": spec}}}


DEEP: dict[str, Any] = {}
for _ in range(300):
    DEEP = {"f:a": DEEP}
LISTS: list[tuple[Kind, Any, str]] = [
    (POD, [1], r"items\[0\] must be an object"),
    (POD, {}, "items must be a list"),
    (POD, "abc", "items must be a list"),
    (POD, [None], r"items\[0\] must be an object"),
    (POD, [{}], r"items\[0\].metadata is missing"),
    (POD, [{"metadata": []}], r"items\[0\].metadata must be an object"),
    (POD, [{"metadata": {"name": "a"}}], r"items\[0\].metadata.uid is missing"),
    (POD, [metadata(name=7)], "metadata.name must be text"),
    (POD, [metadata(name="")], "metadata.name is empty"),
    (POD, [metadata(labels=["a"])], "metadata.labels must be an object"),
    (POD, [metadata(labels={"a": 1})], "metadata.labels.a must be text"),
    (POD, [metadata(ownerReferences=[7])], r"metadata.ownerReferences\[0\] must be an object"),
    (POD, [metadata(managedFields={"a": 1})], "metadata.managedFields must be a list"),
    (POD, [metadata(managedFields=[{"fieldsV1": DEEP}])], "is nested too deeply"),
    (POD, [{**thing("a"), "status": {"conditions": 7}}], "status.conditions must be a list"),
    (POD, [{**thing("a"), "status": {"conditions": [7]}}], r"status.conditions\[0\] must be an object"),
    (POD, [{**thing("a"), "status": {"containerStatuses": [{"name": "a", "state": 7}]}}], "state must be an object"),
    (POD, [{**thing("a"), "kind": "Secret"}], r"items\[0\].kind must be Pod"),
    (NODE, [{**thing("a"), "spec": []}], "spec must be an object"),
    (NODE, [{**thing("a"), "status": {"addresses": [{"type": "InternalIP"}]}}], r"addresses\[0\].address is missing"),
    (SERVICE, [{**thing("a"), "spec": {"ports": [{"port": 1, "nodePort": "31443"}]}}], "nodePort must be a whole number"),
    (SERVICE, [{**thing("a"), "spec": {"ports": [{"port": 1, "nodePort": 1e400}]}}], "nodePort must be a whole number"),
    (SERVICE, [{**thing("a"), "spec": {"ports": [{"port": 10**30}]}}], "must be a number of 64 bits"),
    (SERVICE, [{**thing("a"), "spec": {"ports": [{"port": True}]}}], "port must be a whole number"),
    (SERVICE, [{**thing("a"), "status": {"loadBalancer": {"ingress": ["1.2.3.4"]}}}], r"ingress\[0\] must be an object"),
    (DEPLOYMENT, [thing("a")], "spec is missing"),
    (DEPLOYMENT, [template(containers=[])], "containers is empty"),
    (DEPLOYMENT, [template(containers=[{"image": 7}])], r"containers\[0\].name is missing"),
    (LEASE, [{**thing("a"), "spec": {"leaseDurationSeconds": "soon"}}], "leaseDurationSeconds must be a whole number"),
    (CRD, [{**thing("a"), "spec": {"group": "a.io"}}], "names is missing"),
    (SECRET, [{**thing("a"), "data": {"a": {}}}], "data.a must be text"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "items", "words"), LISTS)
def test_a_list_that_is_none_is_told_with_its_place(
    server: Api, cluster: RealCluster, kind: Kind, items: Any, words: str
) -> None:
    server.react = lambda _: Said(body={"items": items})
    with pytest.raises(
        Failed, match=f"east: list {kind.plural}.* does not answer as an API server does: .*{words}"
    ) as told:
        cluster.objects(kind)
    assert told.value.remedy
    assert "unexpected" not in told.value.what


@pytest.mark.parametrize(("token", "words"), [(7, "metadata.continue must be text"), ({}, "metadata.continue must be")])
def test_what_a_list_goes_on_with_is_text(server: Api, cluster: RealCluster, token: Any, words: str) -> None:
    server.react = lambda _: Said(body={"items": [], "metadata": {"continue": token}})
    with pytest.raises(Failed, match=words):
        cluster.objects(POD)


def test_an_object_without_a_uid_is_none(server: Api, cluster: RealCluster) -> None:
    server.react = lambda _: Said(body={"metadata": {"name": "kube-system"}})
    for call in (cluster.identity, lambda: cluster.get(Ref(CONFIG_MAP, "a", "b"))):
        with pytest.raises(Failed, match=r"metadata\.uid is missing"):
            call()


def test_a_dry_run_keeps_nothing(server: Api, cluster: RealCluster) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "b"}}
    server.react = lambda _: Said(body=manifest)
    assert cluster.apply(manifest, dry_run=True)["metadata"]["name"] == "a"
    with pytest.raises(Failed, match=r"whether it did apply ConfigMap a in b is unknown"):
        cluster.apply(manifest)


def test_null_is_a_field_that_is_not_there(server: Api, cluster: RealCluster) -> None:
    pod = {**metadata(labels=None, deletionTimestamp=None), "spec": None, "status": {"conditions": None, "phase": "x"}}
    server.react = lambda _: Said(body={"items": [pod], "metadata": None})
    assert cluster.objects(POD) == [{**thing("a"), "status": {"phase": "x"}, "apiVersion": "v1", "kind": "Pod"}]
    server.react = lambda _: Said(body={"items": None})
    assert cluster.objects(POD) == []


@pytest.mark.parametrize(
    "version",
    [{"minor": "9" * 10_000}, {"major": "x"}, {"minor": 34}, {"gitVersion": ["v1"]}, {"minor": "-1"}, {"minor": "3.4"}],
)
def test_a_version_that_is_none_is_told(server: Api, cluster: RealCluster, version: dict[str, Any]) -> None:
    server.react = lambda _: Said(body={"gitVersion": "v1.34.4", "major": "1", "minor": "34", **version})
    with pytest.raises(Failed, match=r"east: ask for its version: .* does not answer as an API server does"):
        cluster.version()


def test_a_version_with_a_sign_of_its_maker_is_one(server: Api, cluster: RealCluster) -> None:
    server.react = lambda _: Said(body={"gitVersion": "v1.21.5-eks-bc4871b", "major": "1", "minor": "21+"})
    assert (cluster.version().major, cluster.version().minor) == (1, 21)


@pytest.mark.parametrize("date", ["Mon, 30 Nov 2026 03:00:00 -0000", "Mon, 30 Nov 2026 04:00:00 +0100"])
def test_the_clock_is_read_in_any_zone(server: Api, cluster: RealCluster, date: str) -> None:
    server.react = lambda _: Said(headers={"Date": date})
    version = cluster.version()
    assert version.date == datetime(2026, 11, 30, 3, tzinfo=UTC)
    assert clock_offset(version) is not None


@pytest.mark.parametrize(
    "date", ["", "now", "Mon, 99 Nov 2026 03:00:00 GMT", "1 Jan 1 0:0:0 +9999", "Mon, 30 Nov 99999 1:1:1 -0"]
)
def test_a_clock_that_is_none_is_not_read(date: str) -> None:
    found = moment(date)
    assert found is None or found.tzinfo is UTC
    assert retry_after("Wed, 21 Oct 2099 07:28:00 GMT", date) is None or found is not None or not date


def sound(asked: Asked) -> Said:
    """An API server with nothing in it but its namespace, in which everything is allowed."""
    if asked.path == "/version":
        return Said(body={"gitVersion": "v1.34.4", "major": "1", "minor": "34"})
    if asked.path.endswith("/namespaces/kube-system"):
        return Said(body=thing("kube-system"))
    if asked.method == "POST":
        return Said(201, {"status": {"allowed": True}})
    return Said(body={"items": []}) if "limit=" in asked.path else Said(404, {"message": "not found"})


SPOILT: dict[str, Callable[[Asked], Said]] = {
    "items": lambda asked: Said(body={"items": [1]}) if "limit=" in asked.path else sound(asked),
    "no uid": lambda asked: Said(body={"metadata": {"name": "a"}}) if "kube-system" in asked.path else sound(asked),
    "minor": lambda asked: Said(body={"minor": "9" * 10_000}) if asked.path == "/version" else sound(asked),
    "conditions": lambda asked: (
        Said(body={"items": [{**thing("a"), "status": {"conditions": 7}}]}) if "/nodes" in asked.path else sound(asked)
    ),
    "review": lambda asked: Said(201, {"status": {"allowed": "yes"}}) if asked.method == "POST" else sound(asked),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_misshapen_cluster_is_one_finding_and_the_others_are_kept(
    server: Api, cluster: RealCluster, two: Setting, spoilt: str
) -> None:
    server.react = SPOILT[spoilt]
    clusters: dict[str, Cluster] = {**two.world.clusters, "cluster2": cluster}
    world = replace(two.world, clusters=clusters)
    findings = check(two.mesh, world, RIGHTS)
    (bad,) = [finding for finding in findings if finding.severity == "error"]
    assert bad.cluster == "cluster2"
    assert "does not answer as an API server does" in bad.text
    assert [each for each in findings if each.cluster == "cluster1"] == [
        each for each in check(two.mesh, two.world, RIGHTS) if each.cluster == "cluster1"
    ]
    assert "cluster1" in identities(two.mesh, world)
    assert "does not answer as an API server does" in facts_of(cluster).problem


def test_whatever_the_simulated_clusters_hold_is_of_the_right_shape(two: Setting) -> None:
    for cluster in two.world.clusters.values():
        for kind in KINDS:
            for each in cluster.objects(kind):
                object_of(kind, each)


def test_what_is_not_declared_is_let_in() -> None:
    with pytest.raises(Misshapen, match="it must be an object"):
        object_of(POD, 7)
    assert object_of(CONFIG_MAP, {**thing("a"), "more": [1, {"a": None}]})["more"] == [1, {"a": None}]
