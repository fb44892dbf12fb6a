"""The contract of `Cluster` and `RootStore`: written once, held against the simulated and against real clusters.

Subclass a class, call it `Test...` and give it the fixtures that its docstring names; those of a cluster must live at
least as long as a class (`scope="class"` or longer). Asserted is only what an API server of Kubernetes 1.34 does. All is done
in the namespace `meshwizard-contract`, which is removed afterwards.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ISTIO_GATEWAY,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    Ref,
)
from wizard.clusters.port import MANAGER, Cluster, Conflicting, Right
from wizard.engine.step import RootStore
from wizard.errors import Failed, NotAllowed, Trouble, Unreachable

NAME = "meshwizard-contract"
NOWHERE = "meshwizard-contract-nowhere"  # a namespace that nobody makes
OTHER = "somebody-else"
UNKNOWN = Kind("contract.meshwizard.example/v1", "Nothing", "nothings")
SomebodyElse = Callable[[Object], None]
T = TypeVar("T")


def config_map(name: str, data: dict[str, str] | None = None, labels: dict[str, str] | None = None) -> Object:
    """A ConfigMap in the contract's namespace."""
    manifest: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NAME}}
    if data is not None:
        manifest["data"] = data
    if labels is not None:
        manifest["metadata"]["labels"] = labels
    return manifest


def service(name: str, *ports: dict[str, Any], **spec: Any) -> Object:
    """A Service in the contract's namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAME},
        "spec": {"selector": {"app": name}, "ports": list(ports) or [{"port": 80, "name": "http"}], **spec},
    }


def deployment(name: str, image: str) -> Object:
    """A Deployment of one sleeping Pod."""
    labels = {"app": name}
    container = {"name": "sleeper", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "infinity"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAME, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }


def ref(kind: Kind, name: str, namespace: str = NAME) -> Ref:
    """An address in the contract's namespace."""
    return Ref(kind, name, namespace if kind.namespaced else "")


def soon(look: Callable[[], T | None], what: str, seconds: float = 90) -> T:
    """What `look` finds, as soon as it is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


def owners(live: Object, *path: str) -> set[str]:
    """The managers that own the field at this path, as managedFields tell."""
    found = set()
    for entry in live["metadata"]["managedFields"]:
        node: Any = entry["fieldsV1"]
        for step in path:
            node = node.get(f"f:{step}") if isinstance(node, dict) else None
        if node is not None:
            found.add(entry["manager"])
    return found


class ClusterContract:
    """Fixtures: `cluster` (an administrator's `Cluster`), `somebody_else` (applies a manifest server-side, with force, as
    manager `somebody-else`), `image` (one that the nodes have, with a shell's usual commands).
    """

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

    # -- the server

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

    # -- applying

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

    # -- whose is which field

    def test_managed_fields_name_us(self, cluster: Cluster) -> None:
        made = cluster.apply(config_map("ours", {"a": "1"}, {"l": "x"}))
        (entry,) = made["metadata"]["managedFields"]
        assert (entry["manager"], entry["operation"], entry["apiVersion"]) == (MANAGER, "Apply", "v1")
        assert entry["fieldsV1"]["f:data"] == {"f:a": {}}
        assert entry["fieldsV1"]["f:metadata"] == {"f:labels": {"f:l": {}}}

    def test_a_foreign_field_is_a_conflict(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(config_map("foreign", {"theirs": "1", "both": "1"}))
        before = cluster.get(ref(CONFIG_MAP, "foreign"))
        with pytest.raises(Conflicting) as refused:
            cluster.apply(config_map("foreign", {"both": "2", "mine": "2"}))
        assert refused.value.owners == {".data.both": OTHER}
        assert OTHER in refused.value.what
        assert cluster.get(ref(CONFIG_MAP, "foreign")) == before

    def test_force_takes_a_field_over(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(config_map("forced", {"theirs": "1", "both": "1"}))
        after = cluster.apply(config_map("forced", {"both": "2"}), force=True)
        assert after["data"] == {"theirs": "1", "both": "2"}
        assert owners(after, "data", "both") == {MANAGER}
        assert owners(after, "data", "theirs") == {OTHER}
        assert cluster.apply(config_map("forced", {"both": "2"})) == after

    def test_the_same_value_is_shared(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(config_map("shared", {"both": "1"}))
        after = cluster.apply(config_map("shared", {"both": "1", "mine": "1"}))
        assert owners(after, "data", "both") == {MANAGER, OTHER}
        given_up = cluster.apply(config_map("shared", {"mine": "1"}))
        assert given_up["data"] == {"both": "1", "mine": "1"}
        assert owners(given_up, "data", "both") == {OTHER}

    def test_what_others_set_stays(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        cluster.apply(config_map("mixed", {"mine": "1"}))
        somebody_else(config_map("mixed", {"theirs": "1"}, {"l": "theirs"}))
        after = cluster.apply(config_map("mixed", {"other": "1"}))
        assert after["data"] == {"theirs": "1", "other": "1"}
        assert after["metadata"]["labels"] == {"l": "theirs"}

    def test_an_apply_of_nothing_gives_all_up(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(config_map("leaving", {"theirs": "1"}))
        cluster.apply(config_map("leaving", {"mine": "1"}, {"l": "x"}))
        after = cluster.apply(config_map("leaving"), force=True)
        assert after["data"] == {"theirs": "1"}
        assert not after["metadata"].get("labels")
        assert MANAGER not in {entry["manager"] for entry in after["metadata"]["managedFields"]}

    def test_items_of_a_keyed_list_have_owners_each(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(service("ports", {"name": "one", "port": 1001}))
        after = cluster.apply(service("ports", {"name": "two", "port": 1002}))
        assert sorted(port["port"] for port in after["spec"]["ports"]) == [1001, 1002]
        with pytest.raises(Conflicting) as refused:
            cluster.apply(service("ports", {"name": "other", "port": 1001}, {"name": "two", "port": 1002}))
        assert refused.value.owners == {'.spec.ports[port=1001,protocol="TCP"].name': OTHER}

    def test_a_selector_is_one_value(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(service("atomic"))
        with pytest.raises(Conflicting) as refused:
            cluster.apply(service("atomic", selector={"tier": "x"}))
        assert refused.value.owners == {".spec.selector": OTHER}
        after = cluster.apply(service("atomic", selector={"tier": "x"}), force=True)
        assert after["spec"]["selector"] == {"tier": "x"}

    # -- deleting

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

    # -- what a server fills in and refuses

    def test_a_namespace_is_furnished(self, cluster: Cluster) -> None:
        place = cluster.get(Ref(NAMESPACE, NAME))
        assert place is not None
        assert place["status"]["phase"] == "Active"
        assert place["metadata"]["labels"]["kubernetes.io/metadata.name"] == NAME
        bundle = soon(lambda: cluster.get(ref(CONFIG_MAP, "kube-root-ca.crt")), "the root certificate")
        assert "BEGIN CERTIFICATE" in bundle["data"]["ca.crt"]

    def test_a_service_gets_an_address(self, cluster: Cluster) -> None:
        made = cluster.apply(service("addressed"))
        assert made["spec"]["type"] == "ClusterIP"
        assert made["spec"]["clusterIPs"] == [made["spec"]["clusterIP"]]
        assert made["spec"]["ports"][0] == {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}

    def test_node_ports_are_given_out_once(self, cluster: Cluster) -> None:
        given = cluster.apply(service("found", type="NodePort"))["spec"]["ports"][0]["nodePort"]
        assert 30000 <= given <= 32767
        wish = service("wishing", {"name": "http", "port": 80, "nodePort": given}, type="NodePort")
        with pytest.raises(Failed, match="already allocated"):
            cluster.apply(wish)
        with pytest.raises(Failed, match="already allocated"):
            cluster.apply(wish, dry_run=True)
        assert cluster.get(ref(SERVICE, "wishing")) is None
        assert cluster.delete(ref(SERVICE, "found")) is True
        assert cluster.apply(wish)["spec"]["ports"][0]["nodePort"] == given
        assert cluster.apply(wish)["spec"]["ports"][0]["nodePort"] == given

    def test_a_node_port_has_a_range(self, cluster: Cluster) -> None:
        with pytest.raises(Failed, match="not in the valid range"):
            cluster.apply(service("ranging", {"name": "http", "port": 80, "nodePort": 80}, type="NodePort"))

    def test_a_cluster_address_never_changes(self, cluster: Cluster) -> None:
        own = cluster.apply(service("fixed"))["spec"]["clusterIP"]
        other = f"{own.rsplit('.', 1)[0]}.{(int(own.rsplit('.', 1)[1]) + 100) % 250 + 1}"
        with pytest.raises(Failed, match="may not change once set"):
            cluster.apply(service("fixed", clusterIP=other), force=True)

    def test_a_secret_keeps_its_type(self, cluster: Cluster) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "typed", "namespace": NAME},
            "data": {"key": base64.b64encode(b"\x00\xffvalue").decode()},
        }
        made = cluster.apply(secret)
        assert made["type"] == "Opaque"
        assert base64.b64decode(made["data"]["key"]) == b"\x00\xffvalue"
        with pytest.raises(Failed, match="immutable"):
            cluster.apply({**secret, "type": "example.com/other"})

    def test_a_token_is_made_for_a_service_account(self, cluster: Cluster) -> None:
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "token",
                    "namespace": NAME,
                    "annotations": {"kubernetes.io/service-account.name": "default"},
                },
                "type": "kubernetes.io/service-account-token",
            }
        )

        def filled() -> dict[str, str] | None:
            data = (cluster.get(ref(SECRET, "token")) or {}).get("data") or {}
            return data if "token" in data else None

        data = soon(filled, "the token")
        assert base64.b64decode(data["namespace"]).decode() == NAME
        assert b"BEGIN CERTIFICATE" in base64.b64decode(data["ca.crt"])
        assert len(base64.b64decode(data["token"])) > 20


class PodContract(ClusterContract):
    """What needs a node: Deployments, and commands in containers. Fixtures as for `ClusterContract`."""

    @pytest.fixture(scope="class")
    @classmethod
    def sleeper(cls, cluster: Cluster, image: str, namespace: None) -> Ref:
        cluster.apply(deployment("sleeper", image))

        def running() -> Ref | None:
            status = (cluster.get(ref(DEPLOYMENT, "sleeper")) or {}).get("status") or {}
            if not status.get("availableReplicas"):
                return None
            (pod,) = cluster.objects(POD, NAME, "app=sleeper")
            return ref(POD, pod["metadata"]["name"])

        return soon(running, "the deployment to be available", seconds=180)

    def test_a_deployment_becomes_available(self, cluster: Cluster, sleeper: Ref) -> None:
        made = cluster.get(ref(DEPLOYMENT, "sleeper"))
        assert made is not None
        status = made["status"]
        assert status["observedGeneration"] == made["metadata"]["generation"]
        assert (status["replicas"], status["updatedReplicas"], status["readyReplicas"]) == (1, 1, 1)
        assert {"type": "Available", "status": "True"}.items() <= next(
            condition for condition in status["conditions"] if condition["type"] == "Available"
        ).items()

    def test_its_pod_is_ready(self, cluster: Cluster, sleeper: Ref) -> None:
        pod = cluster.get(sleeper)
        assert pod is not None
        assert sleeper.name.startswith("sleeper-")
        assert pod["metadata"]["labels"]["app"] == "sleeper"
        assert pod["metadata"]["ownerReferences"][0]["controller"] is True
        assert pod["status"]["phase"] == "Running"
        assert any((each["type"], each["status"]) == ("Ready", "True") for each in pod["status"]["conditions"])
        (container,) = pod["status"]["containerStatuses"]
        assert (container["name"], container["ready"], list(container["state"])) == ("sleeper", True, ["running"])

    def test_applying_it_again_starts_nothing_new(
        self, cluster: Cluster, sleeper: Ref, image: str, somebody_else: SomebodyElse
    ) -> None:
        before = cluster.get(sleeper)
        assert before is not None
        cluster.apply(deployment("sleeper", image))
        after = cluster.get(sleeper)
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]

    def test_its_selector_never_changes(self, cluster: Cluster, sleeper: Ref, image: str) -> None:
        manifest = deployment("sleeper", image)
        manifest["spec"]["selector"] = {"matchLabels": {"app": "other"}}
        manifest["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        with pytest.raises(Failed, match="immutable"):
            cluster.apply(manifest, force=True)

    def test_selector_and_template_agree(self, cluster: Cluster, image: str) -> None:
        manifest = deployment("disagreeing", image)
        manifest["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        with pytest.raises(Failed, match="does not match template"):
            cluster.apply(manifest)

    def test_a_command_speaks_and_ends(self, cluster: Cluster, sleeper: Ref) -> None:
        done = cluster.execute(sleeper, "sleeper", ["echo", "hello", "a b"], seconds=30)
        assert (done.stdout, done.stderr, done.code) == ("hello a b\n", "", 0)
        assert cluster.execute(sleeper, "sleeper", ["false"], seconds=30).code == 1

    def test_a_command_has_its_time(self, cluster: Cluster, sleeper: Ref) -> None:
        began = time.monotonic()
        done = cluster.execute(sleeper, "sleeper", ["sleep", "60"], seconds=1)
        assert done.code != 0
        assert time.monotonic() - began < 20

    def test_a_command_needs_a_container(self, cluster: Cluster, sleeper: Ref) -> None:
        with pytest.raises(Failed):
            cluster.execute(ref(POD, "nobody"), "sleeper", ["true"], seconds=10)
        with pytest.raises(Failed):
            cluster.execute(sleeper, "nobody", ["true"], seconds=10)

    def test_no_logs_are_no_failure(self, cluster: Cluster, sleeper: Ref) -> None:
        assert cluster.logs(ref(POD, "nobody"), "sleeper") == ""

    def test_deleting_a_deployment_ends_its_pods(self, cluster: Cluster, image: str) -> None:
        cluster.apply(deployment("ending", image))
        soon(lambda: cluster.objects(POD, NAME, "app=ending"), "a pod")
        assert cluster.delete(ref(DEPLOYMENT, "ending")) is True
        soon(lambda: not cluster.objects(POD, NAME, "app=ending"), "the pods to go", seconds=120)

    def test_a_deleted_pod_is_made_again(self, cluster: Cluster, image: str) -> None:
        cluster.apply(deployment("healing", image))
        (pod,) = soon(lambda: cluster.objects(POD, NAME, "app=healing"), "a pod")
        cluster.delete(ref(POD, pod["metadata"]["name"]), uid=pod["metadata"]["uid"])

        def another() -> bool:
            uids = {each["metadata"]["uid"] for each in cluster.objects(POD, NAME, "app=healing")}
            return bool(uids - {pod["metadata"]["uid"]})

        soon(another, "another pod")


class RestrictedContract:
    """Fixture: `restricted`, a `Cluster` whose user may not create namespaces."""

    def test_it_says_what_it_may_not(self, restricted: Cluster) -> None:
        right = Right("create", NAMESPACE)
        assert restricted.denied([right]) == [right]

    def test_it_is_not_allowed(self, restricted: Cluster) -> None:
        with pytest.raises(NotAllowed):
            restricted.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NOWHERE}})


class UnreachableContract:
    """Fixture: `unreachable`, a `Cluster` whose address nobody answers at."""

    def test_every_call_says_so(self, unreachable: Cluster) -> None:
        calls: list[Callable[[], object]] = [
            unreachable.version,
            unreachable.identity,
            lambda: unreachable.get(Ref(NAMESPACE, "default")),
            lambda: unreachable.objects(NAMESPACE),
            lambda: unreachable.apply(config_map("unreachable", {})),
            lambda: unreachable.delete(ref(CONFIG_MAP, "unreachable")),
            lambda: unreachable.denied([Right("list", POD)]),
        ]
        for call in calls:
            with pytest.raises(Unreachable) as told:
                call()
            assert unreachable.server in told.value.what
            assert told.value.remedy


class RootStoreContract:
    """Fixture: `roots`, a new and empty `RootStore`."""

    def test_it_is_empty_at_first(self, roots: RootStore) -> None:
        assert roots.load() is None
        assert roots.place

    def test_it_keeps_what_it_was_given(self, roots: RootStore) -> None:
        roots.save(b"certificate", b"key")
        assert roots.load() == (b"certificate", b"key")

    def test_it_never_overwrites_another_root(self, roots: RootStore) -> None:
        roots.save(b"certificate", b"key")
        with pytest.raises(Trouble):
            roots.save(b"other certificate", b"other key")
        assert roots.load() == (b"certificate", b"key")
