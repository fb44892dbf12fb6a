"""The steps over simulated clusters: what they see, make, mend, refuse and take back."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.conftest import Pages, Setting, setting
from wizard.certificates import authority
from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    NAMESPACE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Ref,
)
from wizard.engine.engine import Engine
from wizard.engine.events import Status
from wizard.engine.step import Conflict, Difference, Done, Needed
from wizard.errors import Failed, Unreachable
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.objects.cacerts import CACERTS
from wizard.objects.installed import RECORD
from wizard.objects.ownership import CREATED, MESH
from wizard.steps.namespace import CONTROL_PLANE, SystemNamespace

SYSTEM = Ref(NAMESPACE, SYSTEM_NAMESPACE)
NETWORK = "topology.istio.io/network"


def needed(probe: object) -> tuple[Difference, ...]:
    assert isinstance(probe, Needed), probe
    return probe.differences


@pytest.mark.promise(18)
def test_everything_is_needed_on_fresh_clusters_and_nothing_afterwards(two: Setting) -> None:
    work = [step for step in two.plan.steps if not step.guard]
    assert all(isinstance(step.probe(two.world), Needed) for step in work)
    assert two.run().ok
    assert all(isinstance(step.probe(two.world), Done) for step in work)


def test_three_clusters_hear_each_other() -> None:
    three = setting(3)
    assert three.run().ok
    done = three.probe("cluster3/verify")
    assert isinstance(done, Done)
    assert all(version in done.note for version in ("v1", "v2", "v3"))


@pytest.mark.promise(21)
def test_undo_takes_back_what_was_made_and_only_that(finished: Setting) -> None:
    machine = finished.machine(1)
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "default"}, "data": {}}
    finished.world.clusters["cluster1"].apply(mine)
    assert finished.undo().ok
    cluster = finished.world.clusters["cluster1"]
    assert cluster.get(SYSTEM) is None
    assert cluster.get(Ref(NAMESPACE, "sample")) is None
    assert [crd for crd in cluster.objects(CRD) if "istio.io" in crd["metadata"]["name"]] == []
    assert cluster.get(Ref(CONFIG_MAP, "mine", "default")) is not None
    assert machine.found(Ref(CONFIG_MAP, "istio-ca-root-cert", "default")) is None


def test_undo_of_nothing_does_nothing(two: Setting) -> None:
    assert two.undo().ok


class TestNamespace:
    def test_a_label_that_we_set_and_somebody_changed_is_drift_that_names_them(self, finished: Setting) -> None:
        finished.machine(2).change(SYSTEM, label(NETWORK, "wrong"), manager="kubectl-label")
        (difference,) = needed(finished.probe("cluster2/namespace"))
        assert (difference.found, difference.wanted, difference.by) == ("wrong", "network2", "kubectl-label")
        assert finished.run().ok
        live = finished.world.clusters["cluster2"].get(SYSTEM)
        assert live is not None
        assert live["metadata"]["labels"][NETWORK] == "network2"

    def test_a_label_that_somebody_set_before_us_is_a_conflict(self, two: Setting) -> None:
        theirs(two, 1, {NETWORK: "elsewhere"})
        probe = two.probe("cluster1/namespace")
        assert isinstance(probe, Conflict)
        assert "elsewhere" in probe.what
        assert two.run().exit_code == 3

    def test_a_namespace_that_was_there_is_joined_and_left_in_place(self, two: Setting) -> None:
        theirs(two, 1, {"team": "platform"})
        assert two.run().ok
        live = two.world.clusters["cluster1"].get(SYSTEM)
        assert live is not None
        assert live["metadata"]["annotations"][MESH] == "mesh1"
        assert CREATED not in live["metadata"]["annotations"]
        assert two.undo().ok
        live = two.world.clusters["cluster1"].get(SYSTEM)
        assert live is not None
        assert live["metadata"]["labels"]["team"] == "platform"
        assert NETWORK not in live["metadata"]["labels"]
        assert MESH not in (live["metadata"].get("annotations") or {})

    def test_what_we_set_and_want_no_more_goes_and_what_others_set_stays(self, two: Setting) -> None:
        """As where a remote becomes a primary."""
        remote = replace(two.mesh.clusters[1], role="remote", primary="cluster1")
        namespace = SystemNamespace(two.mesh.with_cluster(remote), remote)
        world, cluster = two.world, two.world.clusters["cluster2"]
        namespace.apply(world, job_of(namespace))
        two.machine(2).change(SYSTEM, label("team", "platform"), manager="kubectl-label")
        (difference,) = needed(two.probe("cluster2/namespace"))
        assert (difference.field, difference.found) == (f"metadata.annotations.{CONTROL_PLANE}", "cluster1")
        own = two.plan.step("cluster2/namespace")
        own.apply(world, job_of(own))
        live = cluster.get(SYSTEM)
        assert live is not None
        assert CONTROL_PLANE not in live["metadata"]["annotations"]
        assert live["metadata"]["labels"]["team"] == "platform"
        assert isinstance(two.probe("cluster2/namespace"), Done)

    def test_what_others_put_into_it_keeps_it_from_being_deleted(self, finished: Setting) -> None:
        foreign = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "theirs", "namespace": SYSTEM_NAMESPACE},
            "spec": {"ports": [{"port": 80}]},
        }
        finished.world.clusters["cluster1"].apply(foreign)
        outcome = finished.undo()
        assert outcome.exit_code == 3
        assert "Service theirs" in outcome.what
        assert finished.world.clusters["cluster1"].get(Ref(SERVICE, "theirs", SYSTEM_NAMESPACE)) is not None


class TestCertificates:
    def test_one_root_everywhere_and_no_key_of_it_in_a_cluster(self, finished: Setting) -> None:
        kept = finished.world.roots.load()
        assert kept is not None
        for name, cluster in finished.world.clusters.items():
            secret = cluster.get(CACERTS)
            assert secret is not None
            files = {key: base64.b64decode(value) for key, value in secret["data"].items()}
            assert files["root-cert.pem"] == kept[0], name
            assert kept[1] not in files.values()

    def test_a_root_in_one_cluster_whose_key_is_not_here_is_a_conflict(self, two: Setting) -> None:
        put_cacerts(two, 1, authority.make_root("elsewhere"))
        probe = two.probe("root-ca")
        assert isinstance(probe, Conflict)
        assert "cluster2" in probe.what
        assert "key is not here" in probe.what

    def test_the_same_foreign_root_everywhere_is_adopted(self, two: Setting) -> None:
        root = authority.make_root("elsewhere")
        put_cacerts(two, 1, root)
        put_cacerts(two, 2, root)
        assert two.run().ok
        assert two.world.roots.load() is None

    def test_different_roots_are_a_conflict_and_nothing_is_installed(self, two: Setting) -> None:
        put_cacerts(two, 1, authority.make_root("one"))
        put_cacerts(two, 2, authority.make_root("other"))
        outcome = two.run()
        assert outcome.exit_code == 3
        assert "different roots" in outcome.what
        assert two.world.clusters["cluster1"].get(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)) is None

    def test_a_run_that_died_between_two_uploads_goes_on_with_the_same_root(self, two: Setting) -> None:
        step = two.plan.step("cluster1/cacerts")
        two.plan.step("cluster1/namespace").apply(two.world, job_of(step))
        two.plan.step("root-ca").apply(two.world, job_of(step))
        step.apply(two.world, job_of(step))
        kept = two.world.roots.load()
        assert two.run().ok
        assert two.world.roots.load() == kept

    def test_an_unusable_secret_is_a_conflict_that_says_why(self, two: Setting) -> None:
        theirs(two, 1, {})
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "cacerts", "namespace": SYSTEM_NAMESPACE},
            "data": {"ca-cert.pem": base64.b64encode(b"rubbish").decode()},
        }
        two.world.clusters["cluster1"].apply(secret)
        probe = two.probe("root-ca")
        assert isinstance(probe, Conflict)
        assert "missing" in probe.what


class TestInstall:
    def test_a_foreign_istiod_is_never_overwritten(self, two: Setting) -> None:
        theirs(two, 1, {})
        two.world.clusters["cluster1"].apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": "istiod", "namespace": SYSTEM_NAMESPACE, "labels": {"app": "istiod"}},
                "spec": {
                    "selector": {"matchLabels": {"app": "istiod"}},
                    "template": {
                        "metadata": {"labels": {"app": "istiod"}},
                        "spec": {"containers": [{"name": "d", "image": "d"}]},
                    },
                },
            }
        )
        probe = two.probe("cluster1/install")
        assert isinstance(probe, Conflict)
        assert "another installer" in probe.what

    def test_a_cluster_of_another_mesh_is_a_conflict_that_names_it(self, finished: Setting) -> None:
        finished.mesh = replace(finished.mesh, name="mesh2")
        probe = finished.probe("cluster1/install")
        assert isinstance(probe, Conflict)
        assert "belongs to mesh mesh1" in probe.what

    def test_edited_mesh_networks_are_shown_field_by_field(self, finished: Setting) -> None:
        config = Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)
        live = finished.machine(1).found(config)
        assert live is not None
        finished.machine(1).change(
            config,
            lambda item: item["data"].update(meshNetworks=item["data"]["meshNetworks"].replace("31443", "31999")),
        )
        assert isinstance(finished.probe("cluster1/install"), Done)
        differences = needed(finished.probe("cluster1/mesh-networks"))
        assert {difference.found for difference in differences} == {"31999"}
        assert all("gateways.0.port" in difference.field for difference in differences)
        assert finished.run().ok

    def test_a_deleted_gateway_is_installed_again(self, finished: Setting) -> None:
        gateway = Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)
        finished.world.clusters["cluster2"].delete(gateway)
        (difference,) = needed(finished.probe("cluster2/install"))
        assert GATEWAY_NAME in difference.object
        assert finished.run().ok
        assert finished.world.clusters["cluster2"].get(gateway) is not None

    def test_another_wish_is_shown_as_what_changes(self, finished: Setting) -> None:
        gateway = replace(finished.mesh.clusters[0].gateway, port=31777)
        finished.mesh = finished.mesh.with_cluster(replace(finished.mesh.clusters[0], gateway=gateway))
        fields = {difference.field for difference in needed(finished.probe("cluster1/install"))}
        assert fields == {
            "spec.components.ingressGateways.istio-eastwestgateway.k8s.service.ports.tls.nodePort",
            "nodePort of 15443",
        }
        assert isinstance(finished.probe("cluster2/install"), Done)
        (difference,) = needed(finished.probe("cluster2/mesh-networks"))
        assert difference.field == "meshNetworks.network1.gateways.0.port"
        assert finished.run().ok

    def test_crds_that_were_there_before_stay(self, two: Setting) -> None:
        name = "gateways.networking.istio.io"
        two.world.clusters["cluster1"].apply(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": name},
                "spec": {
                    "group": "networking.istio.io",
                    "scope": "Namespaced",
                    "names": {"kind": "Gateway", "plural": "gateways", "singular": "gateway"},
                    "versions": [{"name": "v1", "served": True, "storage": True}],
                },
            },
        )
        assert two.run().ok
        assert two.undo().ok
        left = [crd["metadata"]["name"] for crd in two.world.clusters["cluster1"].objects(CRD)]
        assert name in left

    def test_the_record_says_what_was_installed(self, finished: Setting) -> None:
        record = finished.world.clusters["cluster1"].get(RECORD)
        assert record is not None
        assert "clusterName: cluster1" in record["data"]["operator.yaml"]


class TestRemoteSecret:
    def test_a_token_that_is_not_valid_any_more_is_seen(self, finished: Setting) -> None:
        token = Ref(SECRET, "istio-reader-service-account-istio-remote-secret-token", SYSTEM_NAMESPACE)
        finished.world.clusters["cluster2"].delete(token)
        fields = {difference.field for difference in needed(finished.probe("cluster1/remote-secret/cluster2"))}
        assert "token" in fields
        assert finished.run().ok

    def test_a_token_that_an_old_kubernetes_made_is_found_by_its_account(self, finished: Setting) -> None:
        """Before 1.24 the token's Secret has a name of Kubernetes' choosing, which the account tells."""
        machine, cluster = finished.machine(2), finished.world.clusters["cluster2"]
        new = Ref(SECRET, "istio-reader-service-account-istio-remote-secret-token", SYSTEM_NAMESPACE)
        made = cluster.get(new)
        assert made is not None
        old = {**made, "metadata": {"name": "istio-reader-service-account-token-x7k2p", "namespace": SYSTEM_NAMESPACE}}
        machine.apply_as("kube-controller-manager", {**old, "type": "kubernetes.io/service-account-token"})
        account = Ref(SERVICE_ACCOUNT, "istio-reader-service-account", SYSTEM_NAMESPACE)
        machine.change(account, lambda item: item.update(secrets=[{"name": old["metadata"]["name"]}]))
        cluster.delete(new)
        assert isinstance(finished.probe("cluster1/remote-secret/cluster2"), Done)

    def test_a_token_that_is_filled_late_is_waited_for(self, two: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
        make = two.outside.istioctl.remote_secret
        refusals = [Failed('istioctl create-remote-secret: error: no "ca.crt" data found')] * 2

        def late(cluster: Any, *, server: str) -> Any:
            if refusals:
                raise refusals.pop()
            return make(cluster, server=server)

        monkeypatch.setattr(two.outside.istioctl, "remote_secret", late)
        assert two.run().ok
        assert not refusals

    def test_no_secret_is_shown(self, finished: Setting) -> None:
        token = Ref(SECRET, "istio-reader-service-account-istio-remote-secret-token", SYSTEM_NAMESPACE)
        live = finished.world.clusters["cluster2"].get(token)
        assert live is not None
        plain = base64.b64decode(live["data"]["token"]).decode()
        finished.machine(2).change(token, lambda item: item["data"].update(token=base64.b64encode(b"other").decode()))
        told = " ".join(map(str, needed(finished.probe("cluster1/remote-secret/cluster2"))))
        assert "sha256:" in told
        assert plain not in told
        assert "other" not in told


def test_every_command_is_bash_and_none_shows_a_secret(two: Setting) -> None:
    import subprocess

    for step in two.plan.steps:
        for command in step.commands():
            checked = subprocess.run(["bash", "-n"], input=command.text, text=True, capture_output=True, check=False)
            assert checked.returncode == 0, (step.id, checked.stderr)
            assert "kind: Secret" not in command.text


@pytest.mark.promise(20, 29)
def test_one_dead_cluster_leaves_the_other_lane_alone(two: Setting) -> None:
    class Killing(Pages):
        def end(self, step: str, status: str, detail: str = "") -> None:
            # Before the install, whose waits go on for a while where a cluster falls silent. What is recorded is not behind.
            if step == "cluster2/cacerts":
                two.machine(2).unreachable = True

    outcome = Engine(two.plan, two.world, Killing(), lambda event: None, mesh=two.mesh.name).run()
    assert outcome.exit_code == 1
    assert "cluster2" in outcome.what
    assert outcome.statuses["cluster1/install"] is Status.DONE
    assert outcome.statuses["cluster1/sample"] is Status.DONE
    two.machine(2).unreachable = False
    assert two.run().ok


@pytest.mark.promise(28)
@pytest.mark.parametrize("call", ["get", "apply", "objects"])
def test_a_dropped_connection_fails_one_run_and_the_next_goes_on(two: Setting, call: str) -> None:
    two.machine(1).fail_next(call, Unreachable("cluster1: connection reset", "try again"))
    two.run()
    outcome = two.run()
    assert outcome.ok, outcome.what


def label(key: str, value: str) -> Callable[[Any], None]:
    def change(item: Any) -> None:
        item["metadata"].setdefault("labels", {})[key] = value

    return change


def theirs(made: Setting, number: int, labels: dict[str, str]) -> None:
    """A system namespace that was there before, with these labels of somebody else's."""
    cluster = made.world.clusters[f"cluster{number}"]
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}})
    for key, value in labels.items():
        made.machine(number).change(SYSTEM, label(key, value), manager="platform-team")


def put_cacerts(made: Setting, number: int, root: authority.Root) -> None:
    theirs(made, number, {})
    files = authority.make_intermediate(root, f"cluster{number}", "cluster.local")
    made.world.clusters[f"cluster{number}"].apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "cacerts", "namespace": SYSTEM_NAMESPACE},
            "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
        }
    )


def job_of(step: Any) -> Any:
    from wizard.engine.step import Job, Shared

    return Job(step, lambda event: None, lambda: None, Shared())


@pytest.mark.promise(15, 17)
def test_a_repeated_install_that_was_cut_off_is_repeated_though_all_of_it_stands(finished: Setting) -> None:
    injector = Ref(MUTATING_WEBHOOK, "istio-sidecar-injector")

    def selectors() -> list[Any]:
        live = finished.machine(1).found(injector)
        assert live is not None
        return [hook.get("namespaceSelector") for hook in live["webhooks"]]

    before = selectors()
    lost = Ref(ROLE_BINDING, "istiod", SYSTEM_NAMESPACE)
    finished.machine(1).store.remove(lost)
    finished.outside.istioctl.fail_at["IngressGateways"] = "cut off"
    assert not finished.run().ok
    assert finished.machine(1).found(lost)
    assert selectors() != before, "beside the default tag's webhook, the revision's own injects, too"
    finished.outside.istioctl.fail_at.clear()
    assert isinstance(finished.probe("cluster1/install"), Needed)
    assert finished.run().ok
    assert selectors() == before
