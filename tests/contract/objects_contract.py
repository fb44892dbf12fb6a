"""Objects in general: read, applied, deleted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.contract.manifests import NAME, NOWHERE, UNKNOWN, autoscaler, config_map, ref, service, soon
from wizard.clusters.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    CRD,
    ISTIO_GATEWAY,
    NAMESPACE,
    POD,
    SERVICE_ACCOUNT,
    Kind,
    Ref,
    ref_of,
)
from wizard.clusters.port import Cluster, Conflicting, Right
from wizard.errors import Failed


class InNamespace:
    """Fixture: `cluster`, an administrator's `Cluster`."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def namespace(cls, cluster: Cluster) -> Iterator[None]:
        place = Ref(NAMESPACE, NAME)
        cluster.delete(place)
        soon(lambda: cluster.get(place) is None, "the namespace of an earlier run to go")
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}})
        soon(lambda: cluster.get(ref(SERVICE_ACCOUNT, "default")), "the namespace's service account")
        cluster.apply(config_map("left-in-it", {"a": "1"}))
        yield
        assert cluster.delete(place) is True
        soon(lambda: cluster.get(place) is None, "the namespace to go", seconds=180)
        assert cluster.get(ref(CONFIG_MAP, "left-in-it")) is None
        assert cluster.objects(CONFIG_MAP, NAME) == []


class ReadingContract(InNamespace):
    """The server, and reading from it."""

    def test_version_and_clock(self, cluster: Cluster) -> None:
        version = cluster.version()
        assert version.git.startswith("v1.")
        assert (version.major, f".{version.minor}." in version.git) == (1, True)
        assert version.date is not None
        assert version.date.tzinfo is not None
        assert abs((version.date - datetime.now(UTC)).total_seconds()) < 60
        assert 0 <= version.round_trip < 30

    def test_server_is_an_address(self, cluster: Cluster) -> None:
        assert cluster.server.startswith("https://")

    def test_identity_is_that_of_kube_system(self, cluster: Cluster) -> None:
        found = cluster.get(Ref(NAMESPACE, "kube-system"))
        assert found is not None
        assert cluster.identity() == cluster.identity() == found["metadata"]["uid"]

    def test_an_administrator_lacks_nothing(self, cluster: Cluster) -> None:
        rights = [
            Right("create", NAMESPACE),
            Right("patch", CONFIG_MAP, NAME),
            Right("get", POD, NAME, "exec"),
            Right("list", ISTIO_GATEWAY),
        ]
        assert cluster.denied(rights) == []
        assert cluster.denied([]) == []

    # -- reading

    def test_what_is_not_there_is_none(self, cluster: Cluster) -> None:
        assert cluster.get(ref(CONFIG_MAP, "nobody")) is None
        assert cluster.get(ref(CONFIG_MAP, "nobody", NOWHERE)) is None
        assert cluster.get(Ref(NAMESPACE, NOWHERE)) is None

    def test_an_unknown_kind_has_no_objects(self, cluster: Cluster) -> None:
        assert cluster.get(ref(UNKNOWN, "nobody")) is None
        assert cluster.objects(UNKNOWN) == []
        assert cluster.objects(UNKNOWN, NAME) == []

    def test_a_kind_is_found_in_whatever_version_it_is_served(self, cluster: Cluster) -> None:
        """Asked for in a version that went (this one with Kubernetes 1.25), as an old server is for one that it has not yet."""
        made = cluster.apply(autoscaler("found"))
        gone = Kind("autoscaling/v2beta1", AUTOSCALER.kind, AUTOSCALER.plural)
        assert made["apiVersion"] == AUTOSCALER.api_version
        found = cluster.get(ref(gone, "found"))
        assert found is not None
        assert found["metadata"]["uid"] == made["metadata"]["uid"]
        listed = cluster.objects(gone, NAME)
        assert [item["metadata"]["name"] for item in listed] == ["found"]
        assert {item["apiVersion"] for item in (found, *listed)} <= {"autoscaling/v1", "autoscaling/v2"}
        assert ref_of(listed[0]).kind.resource == AUTOSCALER.resource
        assert cluster.get(ref(gone, "nobody")) is None
        assert cluster.delete(ref(gone, "nobody")) is False
        assert cluster.delete(ref(gone, "found")) is True
        assert cluster.get(ref(AUTOSCALER, "found")) is None

    def test_a_missing_namespace_has_no_objects(self, cluster: Cluster) -> None:
        assert cluster.objects(CONFIG_MAP, NOWHERE) == []

    def test_listed_objects_say_what_they_are(self, cluster: Cluster) -> None:
        cluster.apply(config_map("listed", {"a": "1"}))
        found = cluster.objects(CONFIG_MAP, NAME)
        assert {(item["apiVersion"], item["kind"]) for item in found} == {("v1", "ConfigMap")}
        assert {item["metadata"]["namespace"] for item in found} == {NAME}
        assert {"listed", "kube-root-ca.crt"} <= {item["metadata"]["name"] for item in found}

    def test_all_namespaces_at_once(self, cluster: Cluster) -> None:
        places = {item["metadata"]["namespace"] for item in cluster.objects(SERVICE_ACCOUNT)}
        assert {NAME, "default", "kube-system"} <= places

    @pytest.mark.parametrize(
        ("labels", "found"),
        [
            ("contract=select", "abc"),
            ("contract=select,colour=red", "a"),
            ("contract=select,colour==red", "a"),
            ("contract=select,colour", "ab"),
            ("contract=select,!colour", "c"),
            ("contract=select,colour!=red", "bc"),
            ("contract=select,colour in (red, blue)", "ab"),
            ("contract=select,colour notin (red)", "bc"),
            ("contract=select,colour=green", ""),
        ],
    )
    def test_label_selectors(self, cluster: Cluster, labels: str, found: str) -> None:
        for name, colour in (("a", {"colour": "red"}), ("b", {"colour": "blue"}), ("c", {})):
            cluster.apply(config_map(f"select-{name}", {}, {"contract": "select", **colour}))
        names = [item["metadata"]["name"] for item in cluster.objects(CONFIG_MAP, NAME, labels)]
        assert sorted(names) == [f"select-{letter}" for letter in found]
        assert sorted(item["metadata"]["name"] for item in cluster.objects(CONFIG_MAP, labels=labels)) == sorted(names)


class ApplyingContract(InNamespace):
    """What is applied stands, what is deleted is gone."""

    def test_apply_makes_it(self, cluster: Cluster) -> None:
        made = cluster.apply(config_map("made", {"a": "1"}, {"l": "x"}))
        assert (made["kind"], made["data"], made["metadata"]["labels"]) == ("ConfigMap", {"a": "1"}, {"l": "x"})
        assert made["metadata"]["uid"]
        assert made["metadata"]["resourceVersion"]
        stamp = datetime.strptime(made["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert abs((stamp - datetime.now(UTC)).total_seconds()) < 60
        assert cluster.get(ref(CONFIG_MAP, "made")) == made

    def test_apply_again_changes_nothing(self, cluster: Cluster) -> None:
        for manifest in (config_map("same", {"a": "1"}), service("same")):
            first = cluster.apply(manifest)
            assert cluster.apply(manifest) == first

    def test_a_change_changes_the_version_only(self, cluster: Cluster) -> None:
        before = cluster.apply(config_map("changing", {"a": "1"}))
        after = cluster.apply(config_map("changing", {"a": "2"}))
        assert after["data"] == {"a": "2"}
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]

    def test_what_is_not_given_any_more_goes(self, cluster: Cluster) -> None:
        cluster.apply(config_map("dropping", {"a": "1", "b": "2"}, {"l": "x"}))
        after = cluster.apply(config_map("dropping", {"a": "1"}))
        assert after["data"] == {"a": "1"}
        assert not after["metadata"].get("labels")

    def test_apply_needs_the_namespace(self, cluster: Cluster) -> None:
        manifest = config_map("homeless", {"a": "1"})
        manifest["metadata"]["namespace"] = NOWHERE
        with pytest.raises(Failed, match=NOWHERE) as refused:
            cluster.apply(manifest)
        assert not isinstance(refused.value, Conflicting)
        assert cluster.get(Ref(NAMESPACE, NOWHERE)) is None

    def test_apply_needs_the_kind(self, cluster: Cluster) -> None:
        if cluster.get(Ref(CRD, ISTIO_GATEWAY.resource)):
            pytest.skip("Istio's kinds are installed here")
        assert cluster.objects(ISTIO_GATEWAY) == []
        metadata = {"name": "unknown", "namespace": NAME}
        with pytest.raises(Failed):
            cluster.apply(
                {"apiVersion": ISTIO_GATEWAY.api_version, "kind": "Gateway", "metadata": metadata, "spec": {}}
            )

    def test_a_dry_run_leaves_nothing(self, cluster: Cluster) -> None:
        would = cluster.apply(config_map("dry", {"a": "1"}), dry_run=True)
        assert would["data"] == {"a": "1"}
        assert cluster.get(ref(CONFIG_MAP, "dry")) is None
        made = cluster.apply(config_map("dry", {"a": "1"}))
        assert cluster.apply(config_map("dry", {"a": "2"}), dry_run=True)["data"] == {"a": "2"}
        assert cluster.get(ref(CONFIG_MAP, "dry")) == made

    def test_a_dry_run_refuses_what_would_be_refused(self, cluster: Cluster) -> None:
        with pytest.raises(Failed, match="range of valid IPs is"):
            cluster.apply(service("dry", clusterIP="1.1.1.1"), dry_run=True)

    def test_many_at_once(self, cluster: Cluster) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: cluster.apply(config_map(f"many-{n}", {"n": str(n)}, {"many": "yes"})), range(24)))
        assert len(cluster.objects(CONFIG_MAP, NAME, "many=yes")) == 24

    def test_delete_twice(self, cluster: Cluster) -> None:
        cluster.apply(config_map("going", {"a": "1"}))
        assert cluster.delete(ref(CONFIG_MAP, "going")) is True
        assert cluster.get(ref(CONFIG_MAP, "going")) is None
        assert cluster.delete(ref(CONFIG_MAP, "going")) is False
        assert cluster.delete(ref(CONFIG_MAP, "going", NOWHERE)) is False
        assert cluster.delete(ref(UNKNOWN, "going")) is False

    def test_delete_only_the_very_object(self, cluster: Cluster) -> None:
        first = cluster.apply(config_map("reborn", {"a": "1"}))["metadata"]["uid"]
        cluster.delete(ref(CONFIG_MAP, "reborn"))
        second = cluster.apply(config_map("reborn", {"a": "1"}))["metadata"]["uid"]
        assert first != second
        try:
            deleted = cluster.delete(ref(CONFIG_MAP, "reborn"), uid=first)
        except Failed:
            deleted = False
        assert deleted is False
        assert cluster.get(ref(CONFIG_MAP, "reborn")) is not None
        assert cluster.delete(ref(CONFIG_MAP, "reborn"), uid=second) is True
