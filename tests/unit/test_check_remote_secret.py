"""The check `remote-secret`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.discovery_fakes import SYSTEM, encoded, put_anew, saying, secret_of
from tests.unit.restoring import restoring
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.check import Fault
from wizard.checks.standing.discovery.remote_secret import CHECK
from wizard.checks.standing.view import View
from wizard.clusters.kinds import DEPLOYMENT, SECRET, Object, Ref

TO_2 = (("cluster1", "cluster2"),)
NAME = "Secret istio-remote-secret-cluster2 in istio-system"
AT_1 = "kubectl --context=kubernetes-admin1@kubernetes"
MAKE = (
    "istioctl create-remote-secret --context=kubernetes-admin2@kubernetes -n istio-system --name=cluster2 "
    f"--server=https://192.0.2.12:6443 |\n  {AT_1} apply -f -"
)


@pytest.fixture(scope="module")
def shared() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(shared: Setting) -> Iterator[Setting]:
    with restoring(shared, SECRET):
        yield shared


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_where_each_istiod_has_its_secrets_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), "remote-secret") == []


def by_hand(made: Setting) -> list[tuple[str, Fault]]:
    view = View(made.mesh, made.world.clusters, inferred=True)
    return [(here.name, fault) for here in view.all for fault in CHECK.find(here)]


def test_of_a_mesh_that_others_made_nothing_is_said() -> None:
    assert by_hand(made_by_hand()) == []


def test_one_that_is_gone_is_the_cause_with_command_and_step(made: Setting) -> None:
    made.machine(1).store.remove(secret_of("cluster2"))
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object, cause.breaks) == ("remote-secret", "cluster1", NAME, TO_2)
    assert cause.commands == (MAKE,)
    assert cause.step == "cluster1/remote-secret/cluster2"
    assert [each.check for each in whole(made).findings if each.severity == "error"] == ["remote-secret"]


def test_of_a_remote_it_takes_all_of_its_traffic() -> None:
    made = finished_remote()
    made.machine(1).store.remove(secret_of("cluster2"))
    (told,) = found(made, "remote-secret")
    assert told.object == NAME
    assert set(told.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster1")}


def test_what_an_istiod_with_a_remote_does_not_read_its_remote_does_not_reach() -> None:
    made = finished_mesh(3)
    made.machine(1).store.remove(secret_of("cluster3"))
    (told,) = found(made, "remote-secret")
    assert told.breaks == (("cluster1", "cluster3"),)


def elsewhere(made: Setting) -> None:
    machine = made.machine(1)
    live = machine.found(secret_of("cluster2"))
    assert live is not None
    metadata = {"name": live["metadata"]["name"], "namespace": "default", "labels": live["metadata"]["labels"]}
    machine.store.remove(secret_of("cluster2"))
    machine.apply_as("kubectl", {**live, "metadata": metadata})


def test_one_in_another_namespace_is_found(made: Setting) -> None:
    elsewhere(made)
    (told,) = found(made, "remote-secret")
    assert told.object == NAME
    assert "Secret istio-remote-secret-cluster2 in default is" in told.text
    assert told.commands == (MAKE, f"{AT_1} -n default delete secret istio-remote-secret-cluster2")


def test_who_may_not_look_there_still_hears_that_it_is_gone() -> None:
    made = finished_mesh()
    made.machine(1).store.remove(secret_of("cluster2"))
    machine = made.machine(1)

    class Narrow:
        def __getattr__(self, name: str) -> Any:
            return getattr(made.world.clusters["cluster1"], name)

        def objects(self, kind: Any, namespace: str = "", labels: str = "") -> list[Object]:
            machine.missing_rights = set() if namespace else {f"list {kind.resource}"}
            return made.world.clusters["cluster1"].objects(kind, namespace, labels)

    clusters: Any = {**made.world.clusters, "cluster1": Narrow()}
    view = View(made.mesh, clusters)
    (fault,) = CHECK.find(view.at("cluster1"))
    assert fault.object == NAME


def test_one_without_the_label_is_named_with_the_command_that_puts_it_there(made: Setting) -> None:
    made.machine(1).change(secret_of("cluster2"), lambda secret: secret["metadata"]["labels"].pop("istio/multiCluster"))
    (told,) = found(made, "remote-secret")
    assert (told.object, told.breaks) == (NAME, TO_2)
    assert "lacks label istio/multiCluster=true" in told.text
    assert told.commands == (
        f"{AT_1} -n istio-system label secret istio-remote-secret-cluster2 --overwrite istio/multiCluster=true",
    )


def renamed(secret: Object) -> None:
    secret["data"] = {"other": secret["data"]["cluster2"]}


def test_one_with_another_key_than_the_clusters_name_is_named(made: Setting) -> None:
    put_anew(made, 1, "cluster2", renamed)
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.object, cause.breaks) == ("remote-secret", NAME, TO_2)
    assert "registers cluster2 as other, but that cluster is called cluster2" in cause.text
    assert cause.commands == (f"{AT_1} -n istio-system delete secret istio-remote-secret-cluster2 && sleep 10", MAKE)
    assert "Deployment istiod in istio-system in cluster2 calls it cluster2" in cause.evidence


def test_in_a_mesh_of_others_the_key_is_found_by_the_address() -> None:
    made = made_by_hand()
    machine = made.machine(1)
    live = machine.found(secret_of("cluster2"))
    assert live is not None
    metadata = {"name": "theirs", "namespace": SYSTEM, "labels": live["metadata"]["labels"]}
    machine.store.remove(secret_of("cluster2"))
    machine.apply_as("kubectl", {**live, "metadata": metadata, "data": {"east": live["data"]["cluster2"]}})
    ((cluster, fault),) = by_hand(made)
    assert (cluster, fault.object) == ("cluster1", "Secret theirs in istio-system")
    assert "registers cluster2 as east" in fault.text
    assert fault.step is None


def test_in_a_mesh_of_others_the_secret_may_have_any_name() -> None:
    made = made_by_hand()
    machine = made.machine(1)
    live = machine.found(secret_of("cluster2"))
    assert live is not None
    metadata = {"name": "theirs", "namespace": SYSTEM, "labels": live["metadata"]["labels"]}
    machine.store.remove(secret_of("cluster2"))
    machine.apply_as("kubectl", {**live, "metadata": metadata})
    assert by_hand(made) == []


def called_other(made: Setting) -> None:
    """cluster2 was installed under another name than the mesh has for it."""

    def change(deployment: Object) -> None:
        for each in deployment["spec"]["template"]["spec"]["containers"][0]["env"]:
            if each["name"] == "CLUSTER_ID":
                each["value"] = "other"

    made.machine(2).change(Ref(DEPLOYMENT, "istiod", SYSTEM), change)


def test_a_cluster_that_goes_by_another_name_than_the_mesh_gives_it_is_named_itself() -> None:
    made = finished_mesh()
    called_other(made)
    (told,) = found(made, "remote-secret")
    assert (told.cluster, told.object) == ("cluster1", "Deployment istiod in istio-system")
    assert "cluster2: Deployment istiod in istio-system calls the cluster other" in told.text


def test_one_without_any_key_is_named(made: Setting) -> None:
    put_anew(made, 1, "cluster2", lambda secret: secret.update(data={}))
    (told,) = found(made, "remote-secret")
    assert told.object == NAME
    assert "has no key cluster2" in told.text


USER: dict[str, dict[str, Any]] = {
    "exec": {"exec": {"command": "aws"}},
    "provider": {"auth-provider": {"name": "gcp"}},
    "files": {"client-certificate": "/root/a.crt", "client-key": "/root/a.key"},
    "token-file": {"tokenFile": "/var/run/token"},
}


@pytest.mark.parametrize("user", USER.values(), ids=USER)
def test_a_kubeconfig_that_istiod_refuses_is_named(made: Setting, user: dict[str, Any]) -> None:
    put_anew(made, 1, "cluster2", saying("cluster2", lambda config: config["users"][0].update(user=user)))
    (told,) = found(made, "remote-secret")
    assert (told.object, told.breaks) == (NAME, TO_2)
    assert "for its credentials, which" in told.text


def test_what_istiod_was_allowed_to_take_is_let_be() -> None:
    made = finished_mesh()
    put_anew(made, 1, "cluster2", saying("cluster2", lambda config: config["users"][0].update(user=USER["exec"])))
    allowed = {"name": "PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS", "value": "exec"}
    made.machine(1).change(
        Ref(DEPLOYMENT, "istiod", SYSTEM),
        lambda deployment: deployment["spec"]["template"]["spec"]["containers"][0]["env"].append(allowed),
    )
    assert found(made, "remote-secret") == []


def test_a_certificate_in_place_of_a_token_is_taken(made: Setting) -> None:
    user = {"client-certificate-data": "YQ==", "client-key-data": "YWFhYWFhYWFhYWFh"}
    put_anew(made, 1, "cluster2", saying("cluster2", lambda config: config["users"][0].update(user=user)))
    assert found(made, "remote-secret") == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not a kubeconfig",
        "- 1",
        "clusters: 1\nusers: 2",
        "{",
        "clusters: [1]\nusers: [{user: 1}]",
        "clusters: &a [*a]",
    ],
)
def test_what_is_no_kubeconfig_is_named(made: Setting, content: str) -> None:
    put_anew(made, 1, "cluster2", lambda secret: secret.update(data={"cluster2": encoded(content)}))
    (told,) = found(made, "remote-secret")
    assert told.object == NAME
    assert "is no kubeconfig" in told.text


def test_no_token_is_shown(made: Setting) -> None:
    put_anew(made, 1, "cluster2", renamed)
    assert "simulated-token" not in f"{found(made, 'remote-secret')}"


def test_of_a_cluster_that_does_not_answer_the_others_say_nothing() -> None:
    made = finished_mesh(3)
    made.machine(1).store.remove(secret_of("cluster3"))
    made.machine(3).unreachable = True
    told = {each.check for each in whole(made).findings}
    assert not {each for each in told if each.startswith(("remote-", "reader-"))}
